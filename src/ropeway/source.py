"""Bodies that are streamed in (a path, an open file, chunks, or a function that gives chunks; read once) and out, in constant memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from .errors import BadBody, BadValue
from .job import Blob, Job, Source

CHUNK = 1 << 20


class Readable(Protocol):
    """An open binary file, or what reads like one."""

    def read(self, size: int, /) -> bytes: ...


Streamable = str | os.PathLike[str] | Readable | Iterable[bytes] | Callable[[], Any]


class Stream:
    """A Source over anything that gives bytes. Reading it twice gives BadBody: half a body must not be stored as a whole one."""

    def __init__(self, chunks: Iterator[object], close: Callable[[], object] | None = None) -> None:
        self._chunks: Iterator[object] | None = chunks
        self.close = close or (lambda: None)

    def __iter__(self) -> Iterator[bytes]:
        chunks, self._chunks = self._chunks, None
        if chunks is None:
            raise BadBody("this stream was read before; nothing was stored. Open it anew for another put")
        for chunk in chunks:
            if isinstance(chunk, bytes):
                yield chunk
            elif isinstance(chunk, bytearray | memoryview):
                yield bytes(chunk)
            else:
                raise BadBody(f"a streamed body is made of bytes, not {type(chunk).__name__}; nothing was stored. Open files with 'rb'")


def stream(what: Streamable) -> Stream:
    """A Stream over a path (opened here, so that a missing file is said at once), an open binary file, an iterable of bytes, or a
    function: called once if it answers chunks, else again and again until it answers nothing."""
    if isinstance(what, str | os.PathLike):
        file = open(what, "rb", buffering=0)  # closed by the put
        return Stream(_read(file), file.close)
    if isinstance(what, bytes | bytearray | memoryview):
        return Stream(iter((bytes(what),)))
    if callable(getattr(what, "read", None)):
        return Stream(_read(what))
    if callable(what):
        return Stream(_call(what))
    if isinstance(what, Iterable):
        return Stream(iter(what))
    raise BadValue(f"a {type(what).__name__} is no file, path, iterable of bytes or function; nothing was stored")


def copied(blob: Blob) -> Stream:
    """A body that is kept beside one job, as the source of another; opened when it is read."""
    return Stream(_opened(blob))


def whole(source: Source, limit: int | None) -> bytes:
    """All of a stream in memory, for an engine that holds bodies inline; BadBody as soon as it is over `limit` bytes."""
    parts, size = [], 0
    for chunk in source:
        size += len(chunk)
        if limit is not None and size > limit:
            raise BadBody(
                f"the body is over {limit} bytes, which is all that this engine takes; nothing was stored. "
                "Keep large bodies on the directory engine, or put a reference to them"
            )
        parts.append(chunk)
    return b"".join(parts)


def _read(file: Any) -> Iterator[object]:
    while chunk := file.read(CHUNK):
        yield chunk


def _opened(blob: Blob) -> Iterator[object]:
    with open(blob.path(), "rb", buffering=0) as file:
        yield from _read(file)


def _call(function: Callable[[], Any]) -> Iterator[object]:
    given = function()
    if given is not None and not isinstance(given, bytes | bytearray | memoryview):
        yield from given
        return
    while given:
        yield given
        given = function()


def chunks_of(job: Job, size: int = 1 << 18) -> Iterator[bytes]:
    """The body of a job in pieces of so many bytes, in constant memory when it is kept beside its job; else whole."""
    if job.source is None:
        yield job.body
        return
    with open(job.source.path(), "rb") as file:
        while chunk := file.read(size):
            yield chunk
