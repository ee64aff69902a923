"""Looking without touching: counts from the names alone, and the jobs themselves, in order, page by page, or by id."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from typing import TYPE_CHECKING

import msgspec

from ...codec import Damaged, FutureFormat
from ...ids import is_id, made_at
from ...job import Job, State
from ...store import Counts, Entry, Query
from . import beside, bodies, edits, keys, parts
from .holders import holder_label
from .layout import Part
from .walks import Seen, Walks

if TYPE_CHECKING:
    from .station import Station

ORDER = (State.READY, State.DELAYED, State.RUNNING, State.DEAD, State.DONE)
_WALKS = 64  # through a queue for a job that is not found, at most: where it is this restless, the answer may be wrong
_FEW = 16  # ids that are quicker looked for one by one than by unpacking the jobs
NEAR = 10_000_000  # us around the time an id carries, in which its job is looked for first


class Looking(Walks):
    """The looking side of one queue. Uses descriptors of its own, so that it needs no lock and changes nothing."""

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._slips = 0  # how often something was listed, and gone when it was to be read

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
        out.limits = self.room.limits()
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

    def _open(self, seen: Seen, rank: int, query: Query, ids: set[str] | None = None) -> Iterator[Entry]:
        records = [*seen.part.open_records()]
        try:
            jobs = edits.read(self.room, seen.part, seen.name, seen.fd, records)
        except OSError:
            self._slips += 1  # it moved on while we were looking
            return
        except (Damaged, FutureFormat):
            return  # for `check` to report
        for record, job in zip(records, jobs, strict=True):
            if ids is not None and job.id not in ids:
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
                    if len(left) < _FEW and not parts.may_hold(seen.name, seen.fd, left):
                        continue
                    for entry in self._open(seen, ORDER.index(seen.state), query, left):
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
        least = 0 if State.READY in states else int(self.place.now() * 1e6)  # delayed ones need no walk past what is due
        if waiting:
            for low, high in near(made):
                yield self.waiting(max(low, least), high), None
        if State.RUNNING in states:
            yield self._running_seen(), State.RUNNING
        if State.DONE in states:
            yield self.shelf(State.DONE), State.DONE
        if State.DEAD in states:
            yield self.shelf(State.DEAD, made[0] - NEAR), State.DEAD
        yield self.in_transit(), None
        if waiting:
            yield self.waiting(least), None
            if State.RUNNING in states:
                yield self._running_seen(), State.RUNNING  # it may have been claimed while we walked

    @staticmethod
    def records(seen: Seen, ids: Collection[str]) -> list[int]:
        """The numbers of the open records of a waiting part that hold one of the ids; none when it cannot be read."""
        if (seen.part.first, seen.part.end) == (0, 1):
            return [0] if seen.part.x in ids else []
        if len(ids) < _FEW and not parts.may_hold(seen.name, seen.fd, ids):
            return []
        records = [*seen.part.open_records()]
        try:
            jobs = parts.read(seen.name, seen.fd, seen.part.first, records)
        except (OSError, Damaged, FutureFormat):
            return []
        return [record for record, job in zip(records, jobs, strict=True) if job.id in ids]


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
