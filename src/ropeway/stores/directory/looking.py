"""Looking without touching: counts from the names alone, and the jobs themselves, in order, page by page, or by id."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import msgspec

from ...codec import Damaged, FutureFormat
from ...ids import is_id, made_at
from ...job import Job, State
from ...store import Counts, Entry, Query
from . import beside, bodies, edits, keys, parts
from .disk import DIRECTORY
from .holders import holder_label
from .layout import Part, is_prio, is_slot, is_stretch, read_held, read_holder, read_waiting, slot_end

if TYPE_CHECKING:
    from .station import Station

ORDER = (State.READY, State.DELAYED, State.RUNNING, State.DEAD, State.DONE)
_WALKS = 64  # through a queue for a job that is not found, at most: where it is this restless, the answer may be wrong
NEAR = 10_000_000  # us around the time an id carries, in which its job is looked for first


class Seen:
    """A part as it was met on a walk: where it lies, under which name, and as what."""

    __slots__ = ("fd", "holder", "name", "part", "prio", "state")

    def __init__(self, fd: int, name: str, part: Part, state: State, prio: int, holder: str = "") -> None:
        self.fd, self.name, self.part, self.state, self.prio, self.holder = fd, name, part, state, prio, holder


class Looking:
    """The looking side of one queue. Uses descriptors of its own, so that it needs no lock and changes nothing."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.room, self.disk, self.place = station.room, station.room.disk, station.room.place
        self._slips = 0  # how often something was listed, and gone when it was to be read

    # -- walks: names only

    def _folders(self, above: int, names: list[str]) -> Iterator[tuple[str, int]]:
        for name in names:
            fd = self.disk.open_folder(name, above)
            if fd is not None:
                try:
                    yield name, fd
                finally:
                    os.close(fd)

    def waiting(self, low: int = 0, high: int = 1 << 62, now: int | None = None, prios: str = "", since: int = 0) -> Iterator[Seen]:
        """Waiting parts by (priority, due, id), of slots that reach into [low, high] microseconds. From the priority `prios` on, of
        which only those that reach beyond `since`: so a page begins where the one before it ended."""
        now = int(self.place.now() * 1e6) if now is None else now
        jobs = os.open("jobs", DIRECTORY, dir_fd=self.room.fd)
        try:
            for prio, prio_fd in self._folders(jobs, sorted(n for n in self.disk.names(jobs) if is_prio(n) and n >= prios)):
                least = max(low, since) if prio == prios else low
                stretches = [
                    n for n in self.disk.names(prio_fd) if is_stretch(n) and int(n, 16) + 1 << 28 > least and int(n, 16) << 28 <= high
                ]
                for _, stretch_fd in self._folders(prio_fd, sorted(stretches)):
                    yield from self._slots(stretch_fd, least, high, int(prio), now)
        finally:
            os.close(jobs)

    def _slots(self, stretch_fd: int, low: int, high: int, prio: int, now: int) -> Iterator[Seen]:
        """The slots of a stretch; those that overlap (a wide one and the narrow ones in it) are merged."""
        slots = sorted((n for n in self.disk.names(stretch_fd) if is_slot(n)), key=lambda n: (n[1:], n[0]))
        pending: list[tuple[str, int]] = []  # (name, descriptor) of open overlapping slots
        fds: list[int] = []
        try:
            for position, slot in enumerate(slots):
                if slot_end(slot) <= low or int(slot[1:], 16) > high:
                    continue
                fd = self.disk.open_folder(slot, stretch_fd)
                if fd is None:
                    continue
                fds.append(fd)
                pending += ((n, fd) for n in self.disk.names(fd))
                pending.sort()
                following = next((s[1:] for s in slots[position + 1 :]), "~")
                ready = [p for p in pending if p[0] < following]
                pending = pending[len(ready) :]
                for name, at in ready:
                    part = read_waiting(name)
                    if part:
                        yield Seen(at, name, part, State.READY if part.due <= now else State.DELAYED, prio)
                if not pending:
                    while fds:
                        os.close(fds.pop())
            for name, at in pending:
                part = read_waiting(name)
                if part:
                    yield Seen(at, name, part, State.READY if part.due <= now else State.DELAYED, prio)
        finally:
            for fd in fds:
                os.close(fd)

    def running(self) -> list[tuple[str, Part, str]]:
        """(name, part, holder's folder) of what is lent out."""
        out = []
        run = self.room.folder("run")
        for folder in self.disk.names(run):
            if read_holder(folder) is None:
                continue
            fd = self.disk.open_folder(folder, run)
            if fd is None:
                continue
            try:
                out += [(n, p, folder) for n in self.disk.names(fd) if (p := read_held(n)) is not None and not p.full()]
            finally:
                os.close(fd)
        out.sort(key=lambda t: (t[1].prio, t[0]))
        return out

    def _running_seen(self) -> Iterator[Seen]:
        for name, part, folder in self.running():
            fd = self.disk.open_folder(folder, self.room.folder("run"))
            if fd is not None:
                try:
                    yield Seen(fd, name, part, State.RUNNING, part.prio, folder)
                finally:
                    os.close(fd)

    def shelf(self, state: State, since: int = 0) -> Iterator[Seen]:
        """Dead or done parts by (priority, due, id)."""
        now = int(self.place.now() * 1e6)
        above = self.room.folder("dead" if state is State.DEAD else "done")
        found: list[tuple[int, str, str, Part]] = []
        for stretch in self.disk.names(above):
            if not is_stretch(stretch) or int(stretch, 16) + 1 << 28 <= since:
                continue
            fd = self.disk.open_folder(stretch, above)
            if fd is None:
                continue
            try:
                for name in self.disk.names(fd):
                    part = read_held(name)
                    if part and not part.full() and (state is State.DEAD or part.until > now):
                        found.append((part.prio, name, stretch, part))
            finally:
                os.close(fd)
        found.sort(key=lambda t: t[:3])
        for _, name, stretch, part in found:
            fd = self.disk.open_folder(stretch, above)
            if fd is not None:
                try:
                    yield Seen(fd, name, part, state, part.prio)
                finally:
                    os.close(fd)

    # -- counts

    def counts(self) -> Counts:
        out = Counts(put_stopped=self.room.stopped("put"), claim_stopped=self.room.stopped("claim"))
        for seen in self.waiting():
            if seen.state is State.READY:
                out.ready += seen.part.live()
                if out.oldest is None or seen.part.due / 1e6 < out.oldest:
                    out.oldest = seen.part.due / 1e6
            else:
                out.delayed += seen.part.live()
        out.running = sum(p.live() for _, p, _ in self.running())
        out.dead = sum(s.part.live() for s in self.shelf(State.DEAD))
        out.done = sum(s.part.live() for s in self.shelf(State.DONE))
        return out

    # -- jobs

    def entries(self, query: Query) -> Iterator[Entry]:
        """The jobs of this queue that fit, in order. Cursors compare as text in that order."""
        return (entry for entry, _ in self.pairs(query))

    def pairs(self, query: Query) -> Generator[tuple[Entry, Part], None, None]:
        """The same, each with the part it lies in."""
        states = query.states if query.states is not None else frozenset(ORDER)
        if query.key and query.ids is None and not states & {State.DEAD}:
            job = keys.holder_of(self.room, query.key)  # only a live job has its key; dead ones must be walked through
            if job is None:
                return
            query = msgspec.structs.replace(query, ids=(job.id,))
        if query.ids is not None:
            yield from sorted(self._by_id(query, states), key=lambda p: p[0].cursor)
            return
        now = int(self.place.now() * 1e6)  # one for all states, or what becomes due meanwhile would be passed over as both
        seen, prios, since = self._begins(query.after)
        for rank, state in enumerate(ORDER):
            if state in states and rank >= seen:
                yield from self._of_state(query, rank, state, now, (prios, since) if rank == seen else ("", 0))

    def _begins(self, after: str) -> tuple[int, str, int]:
        """The number of the state, the priority and the due of a cursor in this queue: where a page begins."""
        queue, _, rest = after.partition(" ")
        if queue != self.room.queue:
            return -1, "", 0
        rank, prio, name = rest.split(" ")[:3]
        return int(rank), prio, int(name[:14], 16)

    def _of_state(
        self, query: Query, rank: int, state: State, now: int, begin: tuple[str, int]
    ) -> Generator[tuple[Entry, Part], None, None]:
        walk: Iterator[Seen]
        if state in (State.READY, State.DELAYED):
            walk = (s for s in self.waiting(now=now, prios=begin[0], since=begin[1]) if s.state is state)
        elif state is State.RUNNING:
            walk = self._running_seen()
        else:
            walk = self.shelf(state)
        together: list[tuple[Entry, Part]] = []  # of parts with records of one put, due at one moment: these may interleave
        last = ""
        for seen in walk:
            prefix = self._cursor(rank, seen)
            if query.after and f"{prefix}~" < query.after:
                continue
            if prefix != last:
                yield from sorted(together, key=lambda p: p[0].cursor)
                together, last = [], prefix
            together += ((entry, seen.part) for entry in self._open(seen, rank, query) if not query.after or entry.cursor > query.after)
        yield from sorted(together, key=lambda p: p[0].cursor)

    def _cursor(self, rank: int, seen: Seen) -> str:
        return f"{self.room.queue} {rank} {seen.prio:02} {seen.part.due:014x}.{seen.part.x}"

    def _open(self, seen: Seen, rank: int, query: Query) -> Iterator[Entry]:
        records = [*seen.part.open_records()]
        try:
            jobs = edits.read(self.room, seen.part, seen.name, seen.fd, records)
        except OSError:
            self._slips += 1  # it moved on while we were looking
            return
        except (Damaged, FutureFormat):
            return  # for `check` to report
        for record, job in zip(records, jobs, strict=True):
            if query.ids is not None and job.id not in query.ids:
                continue
            entry = self._entry(seen, job, f"{self._cursor(rank, seen)} {record:03}")
            if fits(entry, query):
                yield entry

    def _entry(self, seen: Seen, job: Job, cursor: str) -> Entry:
        part, state = seen.part, seen.state
        job.queue, job.priority, job.due = self.room.queue, seen.prio, part.due / 1e6
        if job.size >= 0:
            job.source = bodies.StoredBody(self.room, job)
        due = part.due / 1e6
        if state is State.RUNNING:
            clock, _ = self.place.lease_clock()
            due = self.place.now() + (part.until - clock) / 1000
        elif state in (State.DEAD, State.DONE):
            due = part.until / 1e6
        entry = Entry(job, state, due, part.attempts, part.deaths, holder_label(seen.holder, seen.fd) if seen.holder else "", cursor=cursor)
        if part.has_past():
            entry.history = beside.history(self.room, job.id)
            entry.error = entry.history[-1].error if entry.history else ""
        if state is State.DONE and (kept := beside.result(self.room, job.id, part.serial, part.until)) is not None:
            entry.result_type, entry.result = kept
        return entry

    def _by_id(self, query: Query, states: frozenset[State]) -> Generator[tuple[Entry, Part], None, None]:
        """First where a job most likely is: running, done, dead, or waiting near the time that its id carries; then everywhere.

        Jobs move while we walk, and each ack out of a part renames what is left of it. So a job has left only when two walks in a row
        missed it and nothing that may hold it slipped away between its listing and its reading.
        """
        left = {i for i in query.ids or () if is_id(i)}
        missed = 0
        for _ in range(_WALKS):
            slips = self._slips
            for walk, state in self._places(left, states):
                for seen in walk:
                    if not (maybe(seen.part, left) and (seen.state in states or state is None)):
                        continue
                    for entry in self._open(seen, ORDER.index(seen.state), query):
                        if entry.job.id in left:
                            left.discard(entry.job.id)
                            if entry.state in states and (not query.after or entry.cursor > query.after):
                                yield entry, seen.part
                    if not left:
                        return
            missed = missed + 1 if slips == self._slips else 0
            if missed == 2:
                return

    def _places(self, ids: set[str], states: frozenset[State]) -> Iterator[tuple[Iterator[Seen], State | None]]:
        made = sorted(int(made_at(i) * 1e6) for i in ids)
        if not made:
            return
        waiting = bool(states & {State.READY, State.DELAYED})
        if waiting:
            for low, high in near(made):
                yield self.waiting(low, high), None
        if State.RUNNING in states:
            yield self._running_seen(), State.RUNNING
        if State.DONE in states:
            yield self.shelf(State.DONE), State.DONE
        if State.DEAD in states:
            yield self.shelf(State.DEAD, made[0] - NEAR), State.DEAD
        if waiting:
            yield self.waiting(), None
            if State.RUNNING in states:
                yield self._running_seen(), State.RUNNING  # it may have been claimed while we walked

    def find_waiting(self, job_id: str) -> Generator[tuple[Seen, int], None, None]:
        """Waiting parts that hold this id, with the record's number; the descriptor is open while the caller looks at it."""
        made = int(made_at(job_id) * 1e6)
        for low, high in ((made - NEAR, made + NEAR), (0, 1 << 62)):
            for seen in self.waiting(low, high):
                if not maybe(seen.part, {job_id}):
                    continue
                records = [*seen.part.open_records()]
                try:
                    jobs = parts.read(seen.name, seen.fd, seen.part.first, records)
                except (OSError, Damaged, FutureFormat):
                    continue
                for record, job in zip(records, jobs, strict=True):
                    if job.id == job_id:
                        yield seen, record


def maybe(part: Part, ids: set[str]) -> bool:
    """Whether the part can hold one of the ids: record 0 has the part's own, only others must be read."""
    return part.x in ids if (part.first, part.end) == (0, 1) else True


def near(made: list[int]) -> list[tuple[int, int]]:
    """The stretches of time around these moments, joined where they overlap."""
    out: list[tuple[int, int]] = []
    for moment in made:
        if out and moment - NEAR <= out[-1][1]:
            out[-1] = (out[-1][0], moment + NEAR)
        else:
            out.append((moment - NEAR, moment + NEAR))
    return out


def fits(entry: Entry, query: Query) -> bool:
    """Whether a job fits what a query asks of its content."""
    job = entry.job
    if query.key and job.key != query.key:
        return False
    if query.lane and job.lane != query.lane:
        return False
    if query.task and job.task != query.task:
        return False
    if query.error and query.error not in entry.error:
        return False
    if query.text:
        wanted = query.text
        in_headers = any(wanted in n or wanted in v for n, v in job.headers.items())
        return wanted in job.key or in_headers or wanted.encode("utf-8", "replace") in job.body
    return True
