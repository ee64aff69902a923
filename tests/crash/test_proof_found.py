"""What the proof has found, each as the smallest test that shows it."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ropeway.clock import SYSTEM
from ropeway.errors import StoreError
from ropeway.ids import IdMaker
from ropeway.job import Job, State
from ropeway.store import Ack, Handback, Holder, Query
from ropeway.stores.directory.disk import Disk
from ropeway.stores.directory.store import DirectoryStore
from ropeway.testing.clock import FakeClock
from ropeway.url import parse_url

HOLDER = Holder("tester")
new_id = IdMaker(time.time_ns, os.urandom)


class Failing:
    """The os module, but calls of one name fail while `armed` has an error number."""

    def __init__(self, name: str) -> None:
        self.name, self.armed = name, 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(os, name)
        if name != self.name:
            return call

        def failing(*args: Any, **kwargs: Any) -> Any:
            if self.armed and str(args[0])[:1] in "sndk":  # of the staged names only
                raise OSError(self.armed, os.strerror(self.armed))
            return call(*args, **kwargs)

        return failing


def store(path: Path, clock: Any = SYSTEM, calls: Any = os) -> DirectoryStore:
    url = parse_url(f"dir:{path}?durability=os&bell=off", {"dir": frozenset({"mode"})})
    return DirectoryStore(url, clock, disk=Disk(shared=False, calls=calls))


def jobs(count: int, **fields: Any) -> list[Job]:
    return [Job(new_id(), "q", b"x%d" % n, **fields) for n in range(count)]


def test_a_wall_clock_set_back_does_not_hang_a_claim(tmp_path: Path) -> None:
    """Names that were listed when it was later are not due any more: the claim went round and round over them."""
    clock = FakeClock()
    here = store(tmp_path / "s", clock)
    for delay in (0.0, 100.0, 101.0):
        here.put(jobs(1, delay=delay))
    clock.step(200)
    assert len(here.claim(["q"], 2, 30.0, HOLDER)) == 2
    clock.step(-200)
    assert here.claim(["q"], 5, 30.0, HOLDER) == []
    early = jobs(1)
    here.put(early)
    assert [one.job.id for one in here.claim(["q"], 5, 30.0, HOLDER)] == [early[0].id]
    clock.step(200)
    assert len(here.claim(["q"], 5, 30.0, HOLDER)) == 1


class Hasty(FakeClock):
    """Time goes on by a second whenever somebody asks."""

    def now(self) -> float:
        self.step(1.0)
        return super().now()


def test_what_becomes_due_while_one_looks_is_seen(tmp_path: Path) -> None:
    """A browse that asked the time once for the ready and once for the delayed passed over what turned in between."""
    clock = Hasty()
    here = store(tmp_path / "s", clock)
    for delay in range(1, 30):
        here.put(jobs(1, delay=float(delay)))
    assert len(here.browse(Query(limit=None))) == 29


@pytest.mark.parametrize("verb", ["nack", "bury", "keep"])
def test_a_record_that_could_not_be_published_does_not_go_with_its_part(tmp_path: Path, verb: str) -> None:
    """The bit was set, the last rename failed, and the part was then acked away with the record in its folder."""
    calls = Failing("rename")
    here = store(tmp_path / "s", calls=calls)
    part = jobs(3)
    here.put(part)
    lent = here.claim(["q"], 3, 30.0, HOLDER)
    calls.armed = errno.ENOSPC
    with pytest.raises(StoreError):
        if verb == "keep":
            here.ack([Ack(lent[1].receipt, b"r", "text/plain", 60.0)])
        else:
            getattr(here, verb)([Handback(lent[1].receipt)])
    calls.armed = 0
    assert here.ack([Ack(lent[0].receipt), Ack(lent[2].receipt)]) == [True, True]
    here.close()
    states = {"nack": State.READY, "bury": State.DEAD, "keep": State.DONE}
    assert [(e.job.id, e.state) for e in store(tmp_path / "s").browse(Query())] == [(part[1].id, states[verb])]


def test_a_split_that_could_not_be_published_loses_nothing(tmp_path: Path) -> None:
    clock, calls = FakeClock(), Failing("rename")
    here = store(tmp_path / "s", clock, calls)
    part = jobs(5)
    here.put(part)
    calls.armed = errno.ENOSPC
    with pytest.raises(StoreError):
        here.claim(["q"], 2, 30.0, HOLDER)
    calls.armed = 0
    clock.advance(31)
    found = []
    while lent := here.claim(["q"], 10, 30.0, HOLDER):
        found += [one.job.id for one in lent]
    assert sorted(found) == sorted(one.id for one in part)


def test_a_put_whose_key_was_taken_back_may_be_repeated_at_once(tmp_path: Path) -> None:
    """A refused put left its key behind, which held off the same put for five seconds."""

    class NoSync(Failing):
        def __getattr__(self, name: str) -> Any:
            if name == "fsync" and self.armed:
                return self._fail
            return getattr(os, name)

        def _fail(self, fd: int) -> None:
            if "/jobs/" in os.readlink(f"/proc/self/fd/{fd}"):
                raise OSError(errno.EIO, "the disk is ill")

    calls = NoSync("fsync")
    url = parse_url(f"dir:{tmp_path}/s?durability=full&bell=off", {"dir": frozenset({"mode"})})
    here = DirectoryStore(url, SYSTEM, disk=Disk(shared=False, calls=calls))
    calls.armed = 1
    with pytest.raises(StoreError) as caught:
        here.put(jobs(1, key="k"))
    assert caught.value.definite
    calls.armed = 0
    assert here.put(jobs(1, key="k")) == [True]
    assert here.put(jobs(1, key="k")) == [False]
