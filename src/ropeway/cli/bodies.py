"""Bodies on their way out: as JSON, as bytes, cut to a preview."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..job import Job
from .output import Row

PREVIEW = 200
CHUNK = 1 << 18


def put_bytes(row: Row, field: str, data: bytes) -> None:
    """Bytes as a field of JSON: text under its own name when it is UTF-8, else base64 under name_base64."""
    try:
        row[field] = data.decode()
    except UnicodeDecodeError:
        from base64 import b64encode

        row[field + "_base64"] = b64encode(data).decode()


def size_of(job: Job) -> int:
    """Bytes of the body, whether it goes with the job or beside it."""
    return job.size if job.size >= 0 else len(job.body)


def chunks_of(job: Job) -> Iterator[bytes]:
    """The body in pieces, in constant memory when it is kept beside its job."""
    if job.source is None:
        yield job.body
        return
    with open(job.source.path(), "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def whole_body(job: Job) -> bytes:
    return job.body if job.source is None else bytes(job.source.read())


def preview(job: Job, limit: int = PREVIEW) -> str:
    """The beginning of the body as text, for a person; cleaned where it is printed."""
    data = job.body if job.source is None else _beginning(job, limit)
    return data[:limit].decode("utf-8", "backslashreplace").replace("\n", " ⏎ ")


def _beginning(job: Job, limit: int) -> bytes:
    source: Any = job.source
    try:
        with open(source.path(), "rb") as file:
            return file.read(limit)
    except OSError:
        return b""
