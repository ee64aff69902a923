"""Presence: a worker's note of itself, written when it starts, when something changes that others want to know, and now and then.

What that costs is what decides the times: a hundred idle workers must stay under five statements a second in all, so one that has nothing
to do writes each few minutes, one that works each twenty seconds. On one host a dead worker is struck off at once all the same, since the
death of its process is seen; the note's lifetime is for other hosts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from ... import living
from ...errors import RopewayError
from ...store import Feature
from ..journal import Counters
from ..run import Run, Shift
from . import meter, notice
from .members import count_one_more
from .notice import Current, Notice
from .switch import forget_orders, paused

BUSY = 20.0  # seconds between two notes of a worker that has run something since the last one
IDLE = 180.0  # and of one that has not
SETTLED = 2400.0  # likewise on a store that one host has to itself: there no note is needed to see who is dead, and each write wakes all
LIFETIME = 2.5  # times the pause until the next note, so that two may be lost
SLACK = 10.0
SOONEST = 5.0  # seconds between two notes that only tell of other jobs
LONG = 1.0  # seconds after which a job is worth a note
AGAIN = 10.0  # seconds until the next try when the store did not take it


class Seen(Protocol):
    """What a worker shows of itself."""

    counters: Counters

    @property
    def busy(self) -> float: ...  # seconds that its jobs had, in all
    @property
    def claimed(self) -> float: ...  # boot clock; 0: never
    @property
    def answered(self) -> float: ...
    def state(self) -> str: ...
    def slots(self) -> int: ...
    def runs(self) -> Sequence[Run]: ...
    def queues(self) -> Sequence[str]: ...
    def tasks(self) -> list[str] | None: ...
    @property
    def commands(self) -> bool: ...
    @property
    def others(self) -> bool: ...


class Presence:
    """`beat` is called each second or so, by one thread, and writes when it is time to. `tell_switch` is told with each note why the whole
    store is paused, or None."""

    def __init__(
        self,
        shift: Shift,
        worker: str,
        patterns: Sequence[str],
        pool: str,
        seen: Seen,
        tell_switch: Callable[[str | None], None],
        *,
        supervisor: int = 0,
    ) -> None:
        link, boot = shift.link, shift.boot()
        self.id = worker
        self._shift = shift
        self._seen = seen
        self._tell_switch = tell_switch
        self.pool = pool
        self._key = notice.PREFIX + worker
        self._born = boot
        self._notice = Notice(
            id=worker, host=link.holder().name.split(":")[0], pid=os.getpid(), who=living.identity(), started=link.clock.now(), at=0.0,
            name=link.holder().name.split(":", 2)[2], version=_version(), patterns=list(patterns), supervisor=supervisor,
        )  # fmt: skip
        self._written = self._next = -1.0
        self._changed = True
        self._left = False
        self._ran = 0
        self._told: frozenset[str] = frozenset()
        self._state = ""
        self._moved = boot  # when something last ran
        self._lock = threading.Lock()  # an order may want the note at once, from another thread
        self._restful = SETTLED if link.url.startswith("sqlite:") else IDLE

    def touch(self) -> None:
        """Something has changed that should be told at once. From any thread."""
        self._changed = True

    def beat(self) -> bool:
        """Write the note if it is time to; whether it was. Never raises: nothing in it is needed for a job."""
        with self._lock:
            return not self._left and self._beat()

    def _beat(self) -> bool:
        now = self._shift.boot()
        runs = [run for run in self._seen.runs() if run.started and not run.ended]
        if runs or self._seen.counters.ran != self._ran:
            self._moved = now
        state, jobs = self._seen.state(), self._worth_telling(runs, now)
        if not self._is_time(now, state, jobs):
            return False
        self._changed = False
        try:
            self._write(now, state, runs)
        except RopewayError:
            self._next = now + AGAIN
            return False
        self._state, self._told = state, jobs
        return True

    def leave(self) -> None:
        """The worker ends: it is no longer there, and takes no orders. No beat comes after: the thread that beats may be slow to end, and
        would say that the worker is there."""
        self._left = True
        try:
            store = self._shift.link.store
            if Feature.NOTES in store.features:
                with self._lock:
                    store.notes.forget(self._key)
                forget_orders(store, self.id)
        except RopewayError:
            pass  # the note ends by itself, and somebody will tidy

    def _worth_telling(self, runs: Sequence[Run], now: float) -> frozenset[str]:
        return frozenset([run.lent.job.id for run in runs if now - run.started > LONG])

    def _is_time(self, now: float, state: str, jobs: frozenset[str]) -> bool:
        if Feature.NOTES not in self._shift.link.store.features:
            return False
        if now >= self._next or self._changed:
            return True
        if now - self._written < SOONEST:
            return False
        steady = {"idle", "busy"}
        if state != self._state and not {state, self._state} <= steady:
            return True
        return jobs != self._told or (self._notice.every > BUSY and self._active(state))

    def _active(self, state: str) -> bool:
        return state == "busy" or self._seen.counters.ran != self._ran

    def _write(self, now: float, state: str, runs: Sequence[Run]) -> None:
        store, first = self._shift.link.store, self._written < 0
        every = BUSY if self._active(state) else self._restful
        self._fill(now, state, runs, every)
        store.notes.note(self._key, notice.pack(self._notice), LIFETIME * every + SLACK)
        self._written, self._next, self._ran = now, now + every, self._seen.counters.ran
        if first:
            count_one_more(store)
        self._tell_switch(paused(store))

    def _fill(self, now: float, state: str, runs: Sequence[Run], every: float) -> None:
        """The note as it stands now."""
        note, seen, wall = self._notice, self._seen, self._shift.link.clock.now()
        note.at, note.state, note.every, note.pool = wall, state, every, self.pool
        note.queues, note.slots = list(seen.queues())[: notice.MOST_QUEUES], seen.slots()
        note.running, note.held = len(runs), len(seen.runs())
        note.commands, note.others = seen.commands, seen.others
        names = seen.tasks()
        note.tasks = None if names is None or len(names) > notice.MOST_TASKS else names
        note.jobs = [
            Current(run.lent.job.id, run.lent.job.queue, run.lent.job.task, wall - (now - run.started))
            for run in sorted(runs, key=lambda run: run.started)[: notice.MOST_JOBS]
        ]
        note.totals = {name: getattr(seen.counters, name) for name in Counters.__struct_fields__}
        note.memory, note.cpu, note.priority = meter.memory(), meter.cpu(), meter.priority()
        note.idle = 0.0 if runs else now - self._moved
        busy = seen.busy + sum([now - run.started for run in runs])
        note.utilisation = round(min(1.0, busy / max(1e-9, note.slots * (now - self._born))), 4) if now > self._born else 0.0
        note.claimed = wall - (now - seen.claimed) if seen.claimed else None
        note.answered = wall - (now - seen.answered) if seen.answered else None


def _version() -> str:
    import sys

    return str(getattr(sys.modules.get("ropeway"), "__version__", ""))
