"""Bringing: jobs that come from another store with their past. They are new files here, under names that say what they went through.

Waiting ones of one priority, due and past share a part, as in a put; what has ended stands alone on its shelf, with serial 0. Attempts and
results are written beside the job before it is published, under names that come from what they say. So a carry that was killed leaves
nothing that the same carry, run again, would not find or write over.

Whether an id is here is asked of the names: a part of one record has it in its name. What a share of a part of many holds never changes,
so it is read once, and only the span of its ids is remembered.
"""

from __future__ import annotations

import errno
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ...codec import Damaged, FutureFormat
from ...demands import arrival
from ...errors import StoreError
from ...job import State
from ...store import Entry
from . import beside, parts
from .intake import Shelf, Written, alone
from .lanes import PARKED
from .layout import Part, is_lane, is_prio, is_slot, is_stretch, lane_tag, past_of, read_held, read_holder, read_waiting

if TYPE_CHECKING:
    from .hub import Hub
    from .station import Station

Finish = Callable[[Sequence[tuple["Station", list[Written]]]], None]
WAVE = 200  # parts that wait for their sync with open files
SPANS = 100_000  # remembered at most
ENDED = frozenset({State.DEAD, State.DONE})


class Brought:
    """One entry on its way in: the job as it will be stored, and where it will stand."""

    __slots__ = ("entry", "index", "job", "moment")

    def __init__(self, index: int, entry: Entry, now: float) -> None:
        self.index, self.entry = index, entry
        self.moment = round(arrival(entry, now) * 1e6)
        self.job = replace(entry.job, headers=dict(entry.job.headers), created=entry.job.created or now)
        self.job.due = (self.job.due or self.job.created) if entry.state in ENDED else self.moment / 1e6
        if self.job.source is None:
            self.job.size, self.job.digest = -1, ""

    @property
    def ended(self) -> bool:
        return self.entry.state in ENDED

    @property
    def past(self) -> str:
        return past_of(self.entry.attempts, self.entry.deaths, bool(self.entry.history))

    def place(self) -> tuple[str, bool, int, int, str]:
        return self.job.queue, self.ended, self.job.priority, self.moment, self.job.id

    def goes_with(self, other: Brought) -> bool:
        """Whether both may stand in one part."""
        return self.place()[:4] == other.place()[:4] and self.past == other.past and not (self.ended or alone(self.job) or alone(other.job))


def bring(hub: Hub, entries: Sequence[Entry], finish: Finish) -> list[bool]:
    """Take in what is not here yet; the answers as the contract says them."""
    now = hub.ready().now()
    new: dict[tuple[str, str], Brought] = {}
    for index, entry in enumerate(entries):
        new.setdefault((entry.job.queue, entry.job.id), Brought(index, entry, now))
    answers = [True] * len(entries)
    for queue in {queue for queue, _ in new}:
        hub.sound(queue)
    stations = {queue: hub.made(queue) for queue in {queue for queue, _ in new}}
    for queue, station in stations.items():
        here = station.bringing.here({job_id for where, job_id in new if where == queue})
        for job_id in here:
            del new[queue, job_id]
    waiting: list[tuple[Station, list[Written]]] = []
    finished = False
    wanted = [one for one in new.values() if one.entry.state is not State.DONE or one.moment > now * 1e6]
    try:
        for group in sorted(_groups(sorted(wanted, key=Brought.place)), key=lambda group: group[0].index):  # of two with one key the first
            station = stations[group[0].job.queue]
            done, written = station.bringing.take_in(group, int(now * 1e6))
            waiting.append((station, written))
            for one, answer in zip(group, done, strict=True):
                answers[one.index] = answer
            if len(waiting) >= WAVE:
                batch, waiting = waiting, []
                finish(batch)
                finished = True
        batch, waiting = waiting, []
        finish(batch)
    except BaseException as error:
        gone = sum(station.intake.take_back(written) for station, written in waiting)
        if isinstance(error, StoreError):
            error.definite = error.definite and not gone and not finished
        raise
    finally:
        for station in stations.values():
            station.bringing.done()
    first = {(e.job.queue, e.job.id): index for index, e in reversed([*enumerate(entries)])}
    return [answers[first[entry.job.queue, entry.job.id]] for entry in entries]


def _groups(brought: Sequence[Brought]) -> Iterator[list[Brought]]:
    """What can be written together, in order. What cannot ends a run, so that the parts of one moment stand in the order of their ids."""
    group: list[Brought] = list(brought[:1])
    for before, one in pairwise(brought):
        if one.goes_with(before):
            group.append(one)
            continue
        yield group
        group = [one]
    if group:
        yield group


class Bringing:
    """The bringing side of one queue."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.room, self.disk = station.room, station.room.disk
        self._spans: dict[str, tuple[str, str]] = {}
        self._stale = False
        self._order: list[str] = []

    # -- taking in

    def take_in(self, group: Sequence[Brought], now: int) -> tuple[list[bool], list[Written]]:
        """Write what lies beside these jobs, then the jobs. When that fails, nothing is left beside them either."""
        intake, first = self.station.intake, group[0]
        kept = [one for one in group if one.entry.history or (one.ended and one.entry.result is not None)]
        try:
            for one in kept:
                self._keep(one)
            if first.ended:
                done, written = intake.put_ended(first.job, self._shelf(first), now)
            else:
                done, written = intake.put([one.job for one in group], first.moment, now, first.past)
        except BaseException as error:
            if not isinstance(error, StoreError) or error.definite:
                self._forget(kept)
            raise
        if not written and done == [True] and not self.here({first.job.id}):
            raise StoreError(
                f"job {first.job.id} is being stored by another process at this moment; it is unknown what comes of it, the same call may "
                "be repeated"
            )
        self._forget([one for one, answer in zip(group, done, strict=True) if not answer and one in kept])
        return done, written

    def _shelf(self, one: Brought) -> Shelf:
        entry = one.entry
        kept = bool(entry.history) or (entry.state is State.DONE and entry.result is not None)
        due = round(one.job.due * 1e6)
        past, tags = int(kept), lane_tag(one.job.lane)
        part = Part(due, one.job.id, 0, 1, entry.attempts, entry.deaths, 0, one.job.priority, one.moment, 0, past, tags)
        return Shelf("dead" if entry.state is State.DEAD else "done", part)

    def _keep(self, one: Brought) -> None:
        job_id, entry = one.job.id, one.entry
        stored = beside.keep_history(self.room, job_id, entry.history)
        if stored and entry.state is State.DONE and entry.result is not None:
            stored = bool(beside.put_result(self.room, job_id, 0, one.moment, entry.result_type, entry.result))
        if not stored:
            raise StoreError(
                f"queue {self.room.queue}: {os.strerror(errno.ENOSPC)}; the job was not stored: free some space, "
                "the jobs that are there can still be finished",
                definite=True,
            )

    def _forget(self, some: Sequence[Brought]) -> None:
        for one in some:
            beside.forget(self.room, one.job.id)

    def done(self) -> None:
        """What was brought may stand before what was listed."""
        if "tree" in self.station.__dict__:
            with self.room.lock:
                self.station.tree.forget()

    # -- what is here

    def here(self, ids: set[str]) -> set[str]:
        """Which of these are in this queue, in any state. Jobs that move while we look are looked for a second time; what is only a
        leftover that waits to be forgotten goes now, since it would take with it what a job of the same id has beside it."""
        missing, self._stale, self._order = set(ids), False, sorted(ids)
        for _ in range(2):
            moving = self._look(missing)
            if not moving or not missing:
                break
        if self._stale:
            self.station.rescue.forget_done()
        return ids - missing

    def _look(self, missing: set[str]) -> bool:
        """Take what is found out of `missing`, by one walk over the names; True when something was lent out meanwhile."""
        lent = self._look_in("run", 1, lambda name: read_holder(name) is not None, missing)
        self._look_in("jobs", 3, lambda name: is_prio(name) or is_stretch(name) or is_slot(name), missing)
        self._look_in(PARKED, 1, is_lane, missing)
        lent |= self._look_in("run", 1, lambda name: read_holder(name) is not None, missing)
        now, dead_keep = self.room.place.now(), self.room.place.dead_keep
        self._look_in("done", 1, is_stretch, missing, int(now * 1e6))
        self._look_in("dead", 1, is_stretch, missing, int((now - dead_keep) * 1e6) if dead_keep else -1)
        return lent

    def _look_in(self, folder: str, depth: int, wanted: Callable[[str], bool], missing: set[str], over: int = -1) -> bool:
        """`over`: what has ended and stands there until then or earlier is only a leftover."""
        if not missing:
            return False
        fd = self.disk.open_folder(folder, self.room.fd)
        return fd is not None and self._walk(fd, depth, wanted, missing, over)

    def _walk(self, fd: int, depth: int, wanted: Callable[[str], bool], missing: set[str], over: int) -> bool:
        """Look through a folder of folders; closes it. True when there was any part."""
        met = False
        try:
            for name in self.disk.names(fd):
                if depth and wanted(name):
                    below = self.disk.open_folder(name, fd)
                    met |= below is not None and self._walk(below, depth - 1, wanted, missing, over)
                elif not depth and len(name) > 57 and "." in name[14:18:3]:
                    met = True
                    self._meet(fd, name, missing, over)
        finally:
            os.close(fd)
        return met

    def _meet(self, fd: int, name: str, missing: set[str], over: int) -> None:
        at_due = 3 if name[2] == "." else 0  # behind the priority of what is parked
        x, share = name[at_due + 15 : at_due + 47], name[at_due + 15 : at_due + 55]
        alone = share.endswith(".000-001")  # one job, put alone: its id is the part's
        low, high = (x, x) if alone else self._spans.get(share, (x, "g"))
        at = bisect_left(self._order, low)
        part = (read_waiting(name[at_due:]) or read_held(name)) if at < len(self._order) and self._order[at] <= high else None
        if part is None or part.full():
            return
        found = missing & ({x} if alone else self._ids_of(fd, name, part))
        if found and part.until <= over:
            self._stale = True
        else:
            missing -= found

    def _ids_of(self, fd: int, name: str, part: Part) -> set[str]:
        """The ids of the jobs that the name stands for; none when it has changed meanwhile."""
        try:
            jobs = parts.read(name, fd, part.first, range(part.first, part.end))
        except (OSError, Damaged, FutureFormat):
            return set()
        if len(self._spans) < SPANS:
            self._spans[f"{part.x}.{part.first:03}-{part.end:03}"] = min(job.id for job in jobs), max(job.id for job in jobs)
        return {job.id for record, job in enumerate(jobs, part.first) if not part.settled(record)}
