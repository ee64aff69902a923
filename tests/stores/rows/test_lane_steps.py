"""A process dies before each single step that it takes with jobs in lanes: whoever comes next finds every lane in order, and none stuck."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.ids import IdMaker
from ropeway.job import Job, State
from ropeway.store import Ack, Handback, Holder, Limits, Query, Store
from ropeway.stores.directory.disk import Disk
from ropeway.stores.directory.layout import read_holder
from ropeway.stores.directory.store import DirectoryStore
from ropeway.testing.clock import FakeClock
from ropeway.url import parse_url

HOLDER = Holder("host:1:steps")
CHANGES = ("rename", "link", "unlink", "mkdir", "rmdir", "open", "write")


class Killed(BaseException):
    """The process is no more."""


class Dying:
    """The os module until the call with that number, which is not done any more, like all that come after."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.armed = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CHANGES:
            return real

        def call(*given: Any, **more: Any) -> Any:
            if self.armed:
                if self.left <= 0:
                    raise Killed
                self.left -= 1
            return real(*given, **more)

        return call


class Ground:
    """A fresh store, and who works on it."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.folder, self.clock = folder, FakeClock()
        self.url = parse_url(f"dir:{folder}/spool?durability=os&bell=off", {"dir": frozenset({"mode"})})
        new_id = IdMaker(lambda: int(self.clock.now() * 1e9), os.urandom)
        self.jobs = [Job(new_id(), "q", bytes([65 + number]), lane="x", keep=5.0 * (number == 3)) for number in range(6)]
        store = self.opened()
        if limits is not None:
            store.limit(["q"], limits)
        for job in self.jobs:
            store.put([job])
        store.close()

    def opened(self, calls: Any = os) -> DirectoryStore:
        return DirectoryStore(self.url, self.clock, disk=Disk(shared=False, calls=calls))

    def bury_the_dead(self) -> None:
        """Who held anything has a pid that somebody else has by now."""
        for folder in (self.folder / "spool/q/run").iterdir():
            parsed = read_holder(folder.name)
            if parsed is not None:
                parsed.start += 1
                folder.rename(folder.with_name(str(parsed)))


def a_life(store: Store, jobs: list[Job]) -> Iterator[str]:
    """All that can happen to the jobs of a lane: given back, done, buried, kept, removed; what has ended so far."""
    (one,) = store.claim(["q"], 10, 30.0, HOLDER)
    store.nack([Handback(one.receipt)])
    (one,) = store.claim(["q"], 10, 30.0, HOLDER)
    yield "A?"
    store.ack([Ack(one.receipt)])
    yield "A"
    (one,) = store.claim(["q"], 10, 30.0, HOLDER)
    yield "B?"
    store.bury([Handback(one.receipt)])
    yield "B"
    yield "C?"
    store.delete(Query(ids=(jobs[2].id,)))  # it waits, and has the place
    yield "C"
    (one,) = store.claim(["q"], 10, 30.0, HOLDER)
    yield "D?"
    store.ack([Ack(one.receipt, b"kept")])
    yield "D"
    (one,) = store.claim(["q"], 10, 30.0, HOLDER)
    yield "E?"
    store.nack([Handback(one.receipt, edit=Job(one.job.id, "q", b"e"))])
    yield "E??"


def live_and_die(ground: Ground, number: int) -> tuple[bool, str]:
    """Whether the life came to its end before that step, and what had surely ended by then; with ? what may have."""
    dying = Dying(number)
    store = ground.opened(dying)
    ended = ""
    try:
        dying.armed = True
        for ended in a_life(store, ground.jobs):  # noqa: B007 - the last one is what counts
            pass
    except Killed:
        return False, ended
    dying.armed = False
    store.close()
    return True, ended


@pytest.mark.parametrize("limits", [None, Limits(running=1)], ids=["a lane", "and a limit"])
def test_killed_before_each_step(tmp_path: Path, limits: Limits | None) -> None:
    steps = 0
    while True:
        ground = Ground(tmp_path / str(steps), limits)
        finished, ended = live_and_die(ground, steps)
        if finished:
            break
        ground.bury_the_dead()
        check(ground, ended, steps)
        shutil.rmtree(ground.folder)
        steps += 1
    assert steps > 60, "so few steps cannot be all of it"


def check(ground: Ground, ended: str, step: int) -> None:
    """Whoever comes next gets what is left, in order, one at a time."""
    seats = ground.folder / "spool/q/seats"
    for seat in seats.iterdir() if seats.exists() else ():
        os.utime(seat, (1, 1))  # it is old by the time that anybody looks
    store = ground.opened()
    got: list[str] = []
    for _ in range(12):
        ground.clock.advance(11.0)
        while lent := store.claim(["q"], 10, 30.0, HOLDER):
            assert len(lent) == 1, f"step {step}: {[one.job.body for one in lent]} at once"
            assert store.claim(["q"], 10, 30.0, HOLDER) == [], f"step {step}: another while {lent[0].job.body!r} runs"
            got.append(lent[0].job.body.decode().upper())
            assert store.ack([Ack(lent[0].receipt, keep=0.0)]) == [True]
    order = "ABCDEF"
    sure, maybe = ended.rstrip("?"), ended.endswith("?")
    first = order.index(sure) + (not maybe) if sure else 0
    wanted = [order[first:], order[first + 1 :]] if maybe else [order[first:]]
    assert "".join(got) in wanted, f"step {step}, after {ended!r}: {got}"
    assert not list((ground.folder / "spool/q/places").glob("*")), f"step {step}: a place is left"
    store.delete(Query(states=frozenset({State.DEAD, State.DONE}), limit=None))
    assert store.drop(["q"]) == [True], f"step {step}: something is left behind"
    store.close()
