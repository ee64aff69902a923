"""Bodies, modes, unfinished work and the room that a queue takes: D2, D14, D15, D16, E5."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropeway.errors import BadBody
from ropeway.store import Ack, Query
from ropeway.stores.directory import DirectoryStore

from .conftest import HOLDER, drain, job, names, waiting

Opened = Callable[..., DirectoryStore]
CHUNK = 1 << 20


def stream(chunks: int, fail_at: int | None = None) -> Iterator[bytes]:
    for number in range(chunks):
        if number == fail_at:
            raise KeyError("the source broke off")
        yield bytes([number % 251]) * CHUNK


@pytest.mark.parametrize("fail_at", [0, 1, 3])
def test_a_source_that_fails_half_way_leaves_nothing(opened: Opened, spool: Path, fail_at: int) -> None:
    store = opened()
    store.put([job()])
    drain(store)
    before = names(spool)
    with pytest.raises(KeyError, match="broke off"):
        store.put([job(source=stream(4, fail_at))])
    with pytest.raises(BadBody):
        store.put([job(source=iter(["text"]))])
    assert names(spool) == before


def test_a_streamed_body_comes_back_and_leaves_nothing(opened: Opened, spool: Path) -> None:
    store = opened()
    store.put([job(source=stream(3))])
    assert len(names(spool / "q" / "big")) == 1
    entry = store.browse(Query())[0]
    assert entry.job.size == 3 * CHUNK, "known without reading it"
    lent = store.claim(["q"], 1, 30, HOLDER)[0]
    body = b"".join(stream(3))
    assert lent.job.digest == hashlib.sha256(body).hexdigest()
    assert Path(lent.job.source.path()).read_bytes() == lent.job.source.read() == body
    assert store.ack([Ack(lent.receipt)]) == [True]
    assert names(spool / "q" / "big") == names(spool / "q" / "jobs") == []


def test_a_body_that_was_changed_on_the_disk_is_noticed(opened: Opened, spool: Path) -> None:
    store = opened()
    store.put([job(source=stream(1))])
    big = spool / "q" / "big" / names(spool / "q" / "big")[0]
    lent = store.claim(["q"], 1, 30, HOLDER)[0]
    big.chmod(0o600)
    big.write_bytes(b"y" * CHUNK)
    with pytest.raises(Exception, match="damaged on the disk"):
        lent.job.source.read()


def test_half_a_gigabyte_in_constant_memory(in_child: Callable[[str], str]) -> None:
    """E5, D14: the child puts and reads back 512 MiB and says how much its memory grew."""
    grown = in_child(
        """
import resource
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.put([job()])
before = peak()
store.put([job(source=(b"z" * (1 << 20) for _ in range(512)))])
lents = store.claim(["q"], 2, 60, HOLDER)
assert sum(len(c) for c in lents[-1].job.source) == 512 << 20
assert all(store.ack([Ack(l.receipt) for l in lents]))
print(peak() - before)
"""
    )
    assert int(grown) < 16 * 1024, f"{grown} KiB more"


@pytest.mark.parametrize(
    ("options", "file_mode", "folder_mode"), [("", 0o600, 0o700), ("mode=660", 0o660, 0o770), ("mode=640", 0o640, 0o750)]
)
def test_modes(opened: Opened, spool: Path, options: str, file_mode: int, folder_mode: int) -> None:
    mask = os.umask(0)
    try:
        store = opened(options or "durability=os")
        store.put([job(key="k"), job(source=stream(1)), job()])
        store.notes.note("a/b", b"1", 60)
        store.pause(["q"], put=True, reason="r")
        for path in (spool, *spool.rglob("*")):
            mode = stat.S_IMODE(path.lstat().st_mode)
            assert mode == (folder_mode if path.is_dir() else file_mode), path
    finally:
        os.umask(mask)


def test_the_umask_takes_away_as_everywhere(opened: Opened, spool: Path) -> None:
    mask = os.umask(0o027)
    try:
        store = opened("mode=660")
        store.put([job()])
        assert stat.S_IMODE(waiting(spool)[0].stat().st_mode) == 0o640
    finally:
        os.umask(mask)


def test_nothing_is_left_when_all_is_done(opened: Opened, spool: Path) -> None:
    """D1: all folders empty after, but for the folders themselves."""
    store = opened()
    store.put([job(b"%d" % n, priority=n % 3, key=f"k{n}" if n % 50 == 0 else "") for n in range(500)])
    assert len(drain(store)) == 500
    store.close()
    left = [n for n in names(spool) if not n.startswith("q/run/.swept")]
    assert left == ["format"]


def test_order_is_exact_for_one_worker(opened: Opened) -> None:
    """D4, D5: 20,000 jobs put one by one come out as they were put, 37 at a time."""
    store = opened()
    ids = []
    for number in range(20_000):
        one = job(b"%d" % number)
        store.put([one])
        ids.append(one.id)
    assert [lent.job.id for lent in drain(store, limit=37)] == ids


def test_an_urgent_job_is_given_by_the_very_next_claim(opened: Opened) -> None:
    store = opened()
    store.put([job(b"many") for _ in range(300)])
    for number in range(50):
        assert store.claim(["q"], 1, 30, HOLDER)[0].job.body == b"many"
        store.put([job(b"now %d" % number, priority=number % 50)])
        assert store.claim(["q"], 1, 30, HOLDER)[0].job.body == b"now %d" % number


def test_a_claim_does_not_list_the_backlog(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """D5: with jobs spread over an hour of slots a claim lists the slot it takes from, and the few above it."""
    store = opened()
    for minute in range(60):
        store.put([job(b"%d" % minute, delay=60.0 * minute + 0.001 * n) for n in range(20)])
    station = store._hub.made("q")
    assert len(store.claim(["q"], 1, 30, HOLDER)) == 1
    listed: list[int] = []
    real = station.disk.names

    def counting(fd: int) -> list[str]:
        found = real(fd)
        listed.append(len(found))
        return found

    monkeypatch.setattr(station.disk, "names", counting)
    for _ in range(10):
        assert len(store.claim(["q"], 1, 30, HOLDER)) == 1
    assert sum(listed) <= 10 * 20, f"of 1,200 waiting: {listed}"
