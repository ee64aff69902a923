"""Streamed bodies: every kind of source, constant memory, and nothing left behind when the source fails."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.errors import BadBody, BadValue
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.store import Feature

Mails = Queue[Any]
DATA = bytes(range(256)) * 600  # 150 KiB: over what an engine keeps inline


def one_by_one() -> Iterator[bytes]:
    for at in range(0, len(DATA), 1000):
        yield DATA[at : at + 1000]


def sources(path: Path) -> dict[str, Any]:
    rest = list(one_by_one())
    return {
        "path": path,
        "text path": str(path),
        "file": path.open("rb"),
        "bytes file": io.BytesIO(DATA),
        "iterable": list(one_by_one()),
        "generator": one_by_one(),
        "function that answers chunks": one_by_one,
        "function that answers a chunk": lambda: rest.pop(0) if rest else b"",
        "bytes": DATA,
    }


def test_every_kind_of_source(mails: Mails, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(DATA)
    for kind, source in sources(path).items():
        mails.put_file(source, priority=7, content_type="video/x-matroska", headers={"kind": kind})
        claim = mails.claim()
        assert claim is not None
        assert claim.body == DATA, kind
        assert (claim.headers["kind"], claim.job.content_type, claim.job.priority) == (kind, "video/x-matroska", 7)
        assert Path(claim.path()).read_bytes() == DATA
        claim.ack()
        if kind == "file":
            assert not source.closed  # whoever opened it closes it
            source.close()


def test_a_source_that_fails_leaves_nothing(mails: Mails, tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield DATA
        raise RuntimeError("the camera was unplugged")

    with pytest.raises(RuntimeError, match="unplugged"):
        mails.put_file(failing())
    with pytest.raises(BadBody, match="bytes"):
        mails.put_file(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        mails.put_file(tmp_path / "missing")
    with pytest.raises(BadValue):
        mails.put_file(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        mails.put_file(b"x", prioritt=1)  # type: ignore[call-arg]
    assert len(mails) == 0
    spool = tmp_path / "spool"
    left = [name for _, _, names in os.walk(spool) for name in names if name not in ("format",)] if spool.exists() else []
    assert not [name for name in left if os.path.getsize(next(spool.rglob(name))) >= len(DATA)], left


def test_an_engine_that_holds_bodies_inline_says_where_its_limit_is(link: Link) -> None:
    queue: Mails = Queue(link, "large")
    limit = link.store.max_body
    chunks = 0

    def endless() -> Iterator[bytes]:
        nonlocal chunks
        while chunks < 100:
            chunks += 1
            yield b"x" * (1 << 18)

    if Feature.STREAM in link.store.features:
        assert limit is None
        queue.put_file(endless())
        claim = queue.claim()
        assert claim is not None
        assert os.path.getsize(claim.path()) == 100 << 18
        return
    assert limit is not None
    with pytest.raises(BadBody, match=str(limit)):
        queue.put_file(endless())
    assert chunks <= limit // (1 << 18) + 1  # it stopped reading as soon as it knew
    assert len(queue) == 0


def test_a_failed_put_closes_the_file_that_it_opened(mails: Mails, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(DATA)
    mails.put_file(path)
    mails.pause(put=True)
    with pytest.raises(Exception, match="mails"):
        mails.put_file(path)
    opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
    assert str(path) not in opened
