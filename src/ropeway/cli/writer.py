"""Jobs written out: as rows, as bare bodies, or each into a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..job import Job
from ..source import chunks_of
from ..store import Lent
from .bodies import put_bytes, size_of, whole_body
from .clean import clean, clean_bytes
from .output import Row
from .session import Session
from .times import iso
from .verdict import FAILED, Failure

JSON_LIMIT = 64 << 20  # bytes of a body within JSON
_AFTER = {"raw": b"", "lines": b"\n", "null": b"\0"}


class Writer:
    """Writes jobs in one form. `form` is raw, lines or null: bodies only. `folder`: each body a file in it. `lease`: what the
    receipts are worth, seconds; None prints none."""

    def __init__(self, session: Session, form: str | None, folder: str | None = None, lease: float | None = None) -> None:
        self._session = session
        self._out = session.out
        self._form = form
        self._folder = folder
        self._lease = lease
        self._count = 0

    @contextmanager
    def listing(self) -> Iterator[None]:
        """What is written inside belongs together."""
        if self._folder:
            os.makedirs(self._folder, exist_ok=True)
        if self._form:
            yield
            return
        with self._out.listing(self._text, name="id" if self._lease is None else "receipt") as self._emit:
            yield

    def write(self, job: Job, attempt: int, lent: Lent | None = None) -> None:
        """Write one job. Raises Failure, before anything of it is written, for a body that does not fit the form."""
        if self._form:
            self._write_body(job, _AFTER[self._form])
            return
        row: Row = {"id": job.id, "queue": job.queue}
        if lent and self._lease is not None:
            row["receipt"] = lent.receipt
            row["lease_until"] = iso(self._session.link.clock.now() + self._lease)
        row |= {"attempt": attempt, "priority": job.priority}
        row |= {name: value for name in ("key", "task", "lane") if (value := getattr(job, name))}
        row |= {"headers": job.headers, "content_type": job.content_type, "size": size_of(job)}
        if self._folder:
            row["path"] = self._to_file(job)
        elif job.source is not None and "receipt" in row:
            row["path"] = job.source.path()  # the body is the job's own file: read it, leave it
        else:
            self._put_body(row, job)
        self._emit(row)

    def _put_body(self, row: Row, job: Job) -> None:
        if size_of(job) > JSON_LIMIT:
            raise Failure(
                FAILED,
                f"the body of {job.id} is {size_of(job):,} bytes, too large to print as text; it was not taken. Use --raw or --to-dir",
            )
        put_bytes(row, "body", whole_body(job))

    def _write_body(self, job: Job, after: bytes) -> None:
        if self._out.terminal:
            text = clean_bytes(whole_body(job)) if size_of(job) <= JSON_LIMIT else f"({size_of(job):,} bytes: send them to a file)"
            self._out.line(text)
            return
        for chunk in chunks_of(job):
            self._out.stream.write(chunk)
        self._out.stream.write(after)

    def _to_file(self, job: Job) -> str:
        """The body in a file of its own, whole and synced, or not there at all."""
        assert self._folder
        path = os.path.join(self._folder, job.id)  # noqa: PTH118 - an id is 32 hex digits, nothing else
        part = os.path.join(self._folder, f".{job.id}.part")  # noqa: PTH118
        try:
            with open(part, "wb") as file:
                for chunk in chunks_of(job):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            if os.path.exists(part):
                os.unlink(part)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return path

    def _text(self, row: Row) -> Iterator[str]:
        """A job for a person: a line about it, what belongs to it, its body."""
        if self._count:
            yield ""
        self._count += 1
        about = [row["id"], row["queue"], f"attempt {row['attempt']}"]
        about += [f"{name} {row[name]}" for name in ("key", "task", "lane") if name in row]
        yield clean("  ".join(about))
        if "receipt" in row:
            yield f"receipt: {clean(row['receipt'])}"
        for name, value in row["headers"].items():
            yield clean(f"{name}: {value}")
        if "path" in row:
            yield f"file: {clean(row['path'])}"
            return
        body = row["body"].encode() if "body" in row else _from_base64(row["body_base64"])
        yield clean_bytes(body)


def _from_base64(text: str) -> bytes:
    from base64 import b64decode

    return b64decode(text)
