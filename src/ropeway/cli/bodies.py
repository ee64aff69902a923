"""Bodies on their way out: as JSON, as bytes, cut to a preview."""

from __future__ import annotations

from typing import Any

from ..job import Job
from ..shell.command import CONTENT_TYPE, line_of
from .output import Row

PREVIEW = 200


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


def whole_body(job: Job) -> bytes:
    return job.body if job.source is None else bytes(job.source.read())


def preview(job: Job, limit: int = PREVIEW) -> str:
    """The beginning of the body as text, for a person, or the command line that it is; cleaned where it is printed."""
    if job.content_type == CONTENT_TYPE:
        return line_of(whole_body(job))[:limit]
    data = job.body if job.source is None else _beginning(job, limit)
    return data[:limit].decode("utf-8", "backslashreplace").replace("\n", " ⏎ ")


def _beginning(job: Job, limit: int) -> bytes:
    source: Any = job.source
    try:
        with open(source.path(), "rb") as file:
            return file.read(limit)
    except OSError:
        return b""
