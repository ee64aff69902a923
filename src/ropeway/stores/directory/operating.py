"""The operator's verbs: pick, requeue, delete. Waiting jobs are claimed like any other, so an operator who dies is just a dead holder."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from ...ids import is_id, made_at
from ...job import WAITING, Job, State
from ...store import Ack, Handback, Holder, Lent, Limits, Query
from . import keys
from .disk import DIRECTORY
from .layout import Part, read_held, receipt_of, stretch_of
from .looking import NEAR, maybe, near

if TYPE_CHECKING:
    from .station import Station
    from .walks import Seen

OPERATOR = Holder("operator")
LEASE = 30.0
PAGE = 500


class Operating:
    """The operator's side of one queue."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.room = station.room

    def pick(self, ids: Sequence[str], lease: float, holder: Holder, free: bool = False) -> list[Lent | None]:
        """Take those of these jobs that wait, one walk past the queue for all of them; None for the others. `free`: not to run them, so
        whatever their lanes and the queue say.

        First where their ids say that they were put; then everywhere, in parts of that time, and then in all, which those need that were
        brought from another store. Again while that finds any: what a claim has split meanwhile has new names.
        """
        left = {job_id for job_id in ids if is_id(job_id)}
        made = sorted(int(made_at(job_id) * 1e6) for job_id in left)
        got: dict[str, Lent] = {}
        self.room.limits()
        with self.room.lock:
            for low, high in near(made):
                got |= self._pick_between(low, high, left - got.keys(), [], lease, holder, free)
            got |= self._pick_between(0, 1 << 62, left - got.keys(), made, lease, holder, free)
            before = -1
            while before < len(got) < len(left):
                before = len(got)
                got |= self._pick_between(0, 1 << 62, left - got.keys(), [], lease, holder, free)
        return [got.pop(job_id, None) for job_id in ids]

    def _pick_between(
        self, low: int, high: int, left: set[str], made: list[int], lease: float, holder: Holder, free: bool
    ) -> dict[str, Lent]:
        """Those that are due in that stretch. `made`: only in parts that were put around one of these moments."""
        got: dict[str, Lent] = {}
        if not left:
            return got
        with closing(self.station.looking.waiting(low, high)) as walk:
            for seen in walk:
                if maybe(seen.part, left) and (not made or _around(int(made_at(seen.part.x) * 1e6), made)):
                    records = self.station.looking.records(seen, left)
                    for lent in self._pick_of(seen, records, lease, holder, free) if records else ():
                        got[lent.job.id] = lent
                        left.discard(lent.job.id)
                    if not left:
                        break
        return got

    def _pick_of(self, seen: Seen, records: list[int], lease: float, holder: Holder, free: bool) -> list[Lent]:
        """These records of a part, together; one alone where each needs a place in a lane or in the queue."""
        bounds, found = self.room.bounds, (seen.prio, seen.fd, seen.name, seen.part)
        if len(records) > 1 and (free or not (seen.part.lane or (bounds is not None and bounds.limits.running))):
            return self.station.lending.pick_some(found, records, lease, holder)
        lent = self.station.lending.pick(found, records[0], lease, holder, free)
        return [] if lent is None else [lent]

    def _take_all(self, found: Sequence[tuple[Job, Part]]) -> Generator[list[Lent], None, None]:
        """Take all of these that still wait, those of a part together: one walk past them, and a rename a part. What else is in the part
        goes back with `_put_back`. What a claim has split or moved since it was found is looked for one by one."""
        left: dict[str, tuple[str, int, int]] = {job.id: place_of(part) for job, part in found}
        if len(left) > 1:
            dues = [part.due for _, part in found]
            asked: dict[tuple[str, int, int], set[str]] = {}
            for job_id, place in left.items():
                asked.setdefault(place, set()).add(job_id)
            with self.room.lock, closing(self.station.looking.waiting(min(dues), max(dues))) as walk:
                for seen in walk:
                    if (ids := asked.get(place_of(seen.part))) and (lents := self._take(seen, ids)):
                        for lent in lents:
                            del left[lent.job.id]
                            ids.discard(lent.job.id)
                        yield lents
        for one in self.pick([*left], LEASE, OPERATOR, free=True) if left else ():
            if one is not None:
                yield [one]

    def _take(self, seen: Seen, ids: set[str]) -> list[Lent]:
        """Those of a part; nothing when another was faster."""
        held = self.station.lending.take_whole(seen.prio, seen.fd, seen.name, seen.part, self.room.run("p", OPERATOR.name), LEASE)
        if held is None:
            return []
        base = receipt_of(self.room.queue, held.run.name, held.part)
        self.station.held[base] = held
        self.station.note_lease(held.part.until)
        part, jobs = held.part, (held.jobs or {}).items()
        lents = [Lent(job, f"{base}{record}", part.attempts, part.deaths, 0.0) for record, job in jobs if job.id in ids]
        if not lents:
            self._put_back(base)
        return lents

    def _put_back(self, base: str) -> None:
        """What is left of a part after some of it has been settled, as if nothing had happened to it. Who looked meanwhile saw none of it,
        so it is told."""
        held = self.station.held.pop(base, None)
        if held is not None and (left := held.part.live()) and self.station.give_back(held, restore=True):
            self.station.ring(left)

    def limit(self, limits: Limits) -> None:
        """From now on these hold: what they let run now comes back, and who waits is told."""
        with self.room.lock:
            self.room.limit(limits)
            self.station.lanes.mend()
        self.station.ring(64)

    def purge(self, states: frozenset[State]) -> int:
        """Remove all waiting jobs of these states, part by part. The end of one may bring another of its lane back, past which the walk may
        be by then."""
        gone, lanes = 0, self.station.lanes
        with self.room.lock:
            lanes.woke = True
            while lanes.woke:
                lanes.woke = False
                gone += self._purge(states)
            self.station.tree.forget()
        return gone

    def _purge(self, states: frozenset[State]) -> int:
        gone, run = 0, self.room.run("p")
        for seen in self.station.looking.waiting():
            if seen.state not in states:
                continue
            held = self.station.lending.take_whole(seen.prio, seen.fd, seen.name, seen.part, run, LEASE)
            if held is not None:
                gone += self.station.settling.remove(held)
        return gone

    def delete(self, query: Query) -> int:
        """Remove what fits, in any state but running."""
        states = (query.states if query.states is not None else frozenset(State)) - {State.RUNNING}
        whole = (
            query.ids is None
            and not (query.key or query.lane or query.task or query.error or query.text or query.after)
            and query.limit is None
        )
        gone = 0
        if whole and states & WAITING:
            gone += self.purge(states & WAITING)
            states -= WAITING
        matches = self._matches(query, states)
        with closing(self._take_all([(job, part) for job, state, part in matches if state in WAITING])) as taken:
            for base, records in map(_of_one_part, taken):
                with self.room.lock:
                    gone += sum(self.station.settling.ack(base, [(record, Ack(f"{base}{record}", keep=0.0)) for record in records]))
                    self._put_back(base)
        for _, state, part in matches:
            if state not in WAITING:
                gone += self._remove_ended(state, part)
        return gone

    def _matches(self, query: Query, states: frozenset[State]) -> list[tuple[Job, State, Part]]:
        """What fits, gathered before anything is changed."""
        out: list[tuple[Job, State, Part]] = []
        if not states:
            return out
        with closing(self.station.looking.pairs(msgspec.structs.replace(query, states=states))) as found:
            for entry, part in found:
                out.append((entry.job, entry.state, part))
                if query.limit is not None and len(out) >= query.limit:
                    break
        return out

    def _shelf_fd(self, state: State, part: Part) -> int | None:
        name = "dead" if state is State.DEAD else "done"
        return self.room.disk.open_folder(stretch_of(part.until), self.room.folder(name))

    def _remove_ended(self, state: State, part: Part) -> int:
        fd = self._shelf_fd(state, part)
        if fd is None:
            return 0
        try:
            with self.room.lock:
                return self.station.rescue.remove_ended(fd, part.held())
        finally:
            os.close(fd)

    def requeue(self, query: Query) -> int:
        """Dead and done ones back by one rename each, attempts and deaths at nothing; delayed ones become due now."""
        states = (query.states if query.states is not None else frozenset({State.DEAD})) - {State.RUNNING, State.READY}
        now = int(self.station.place.now() * 1e6)
        matches = self._matches(query, states)
        back = 0
        with closing(self._take_all([(job, part) for job, state, part in matches if state is State.DELAYED])) as taken:
            for base, records in map(_of_one_part, taken):
                with self.room.lock:
                    back += sum(self.station.settling.nack(base, [(one, Handback(f"{base}{one}", restore=True)) for one in records]))
                    self._put_back(base)
        for job, state, part in matches:
            if state is State.DELAYED:
                continue
            fd = self._shelf_fd(state, part)
            if fd is None:
                continue
            try:
                with self.room.lock:
                    again = part.but(due=now, attempts=0, deaths=0)
                    if job.key and state is State.DEAD and not keys.take(self.room, fd, part.held(), job, again=True):
                        continue  # another live job has the key by now
                    if self.station.into_slot(fd, part.held(), again):
                        back += part.live()
                        self.station.tree.forget()
            finally:
                os.close(fd)
        self.station.ring(back)
        return back


def place_of(part: Part) -> tuple[str, int, int]:
    """What stays the same of a part while it waits, whatever of it is settled."""
    return part.x, part.first, part.end


def _around(moment: int, made: list[int]) -> bool:
    """Whether one of these moments, in order, is near that one."""
    at = bisect_left(made, moment - NEAR)
    return at < len(made) and made[at] <= moment + NEAR


def _of_one_part(lents: list[Lent]) -> tuple[str, list[int]]:
    """What the receipts of one part begin with, and its records."""
    base = lents[0].receipt.rpartition(".")[0] + "."
    return base, [int(lent.receipt.removeprefix(base)) for lent in lents]


def quarantined(room_fd: int) -> Sequence[str]:
    """The names in `bad/`."""
    fd = os.open("bad", DIRECTORY, dir_fd=room_fd)
    try:
        return [n for n in os.listdir(fd) if n.isascii() and (read_held(n) or n)]
    finally:
        os.close(fd)
