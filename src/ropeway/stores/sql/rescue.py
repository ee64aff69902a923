"""Rescue: jobs whose lease has ended wait again, in their old place, with a death more.

Nobody has to be alive for it: whoever claims, waits or looks does it for all. So what is running in the table is really held by somebody,
and a claim need not look at two places.
"""

from __future__ import annotations

from ...clock import Clock
from ...job import Attempt
from . import lanes
from .crowd import Crowd
from .desk import Desk
from .record import MICRO, WIDTH, Row, remembered
from .session import DEAD, DONE, Session
from .settling import settled

PAUSE = 1.0  # seconds between two looks while claims come one after another
SWEEP = 10.0  # and between two sweeps of what has ended and is to be forgotten
IDLE_SWEEP = 600.0  # by one who only sleeps
HEAL = 60.0  # and between two looks for lanes that nobody opens any more
DROPPED = 86400.0  # for so long the row of a queue that was dropped stays: longer than any put is under way
SOME = 500  # rows a statement takes at most: a short transaction


class Rescue:
    """The rescuing side of a store."""

    def __init__(self, desk: Desk, clock: Clock, crowd: Crowd, dead_keep: int) -> None:
        self._desk = desk
        self._clock = clock
        self._crowd = crowd
        self._dead_keep = dead_keep
        self._next = self._sweep = 0.0
        self._heal = 0

    def now_and_then(self) -> None:
        """Look if nobody here has looked for a second."""
        if self._clock.boot() >= self._next:
            self.look()

    def in_passing(self, *, calm: bool) -> bool:
        """What one who is about to sleep looks at: leases that have ended he is told of by what is due next. A hundred do it.
        `calm`: nothing runs, so nobody who is gone can hold anything. True when somebody was: then what is due next is another thing."""
        if self._clock.boot() >= self._sweep + IDLE_SWEEP - SWEEP:
            return self.look()
        return self._crowd.look(calm=calm)

    def look(self) -> bool:
        """Bring back whatever is over; whether there was something."""
        now = self._clock.boot()
        self._next = now + PAUSE
        self._crowd.look()
        if now >= self._sweep and not self._desk.inside:
            self._sweep = now + SWEEP
            self._forget()
        if not self._desk.read(lambda session: bool(session.run("any_expired"))):
            return False
        while self._desk.write(_bring_back, durable=False):
            pass
        return True

    def _forget(self) -> None:
        """Delete what was done and is not to be kept any longer, and the dead if they have a time; a bounded number."""
        now, _ = self._desk.read(lambda session: session.time())
        self._tend(now)
        for state, before in ((DONE, now), (DEAD, now - self._dead_keep)):
            if state == DEAD and not self._dead_keep:
                continue
            values = {"state": state, "before": before}
            for _ in range(20):
                if not self._desk.read(lambda session, v=values: session.run("any_forgettable", **v)):  # type: ignore[misc]
                    break
                self._desk.write(lambda session, v=values: session.run("forget", **v), durable=False)  # type: ignore[misc]

    def _tend(self, now: int) -> None:
        """See to lanes that nobody opens any more, and to the rows of queues that were dropped."""
        if now < self._heal:
            return
        first, self._heal = not self._heal, now + round(HEAL * MICRO)
        if first:  # a process that claims once and goes has other things to do
            return
        self._desk.write(lambda session: session.run("sweep_queues", before=now - round(DROPPED * MICRO)), durable=False)
        if self._desk.read(lambda session: session.run("any_place")):
            self._desk.write(lanes.heal, durable=False)


def _bring_back(session: Session) -> bool:
    """Some of them; whether there may be more."""
    now, _ = session.time()
    rows = session.run("expired")
    values, stays = [], []
    for raw in rows:
        row = Row(*raw[:WIDTH])
        claimed = (row.claimed or now) / MICRO
        lost = Attempt(row.attempts, claimed, now / MICRO, row.holder_name(), "lost", "the lease ran out without a word")
        values.append(settled(row, raw[WIDTH], deaths=row.deaths + 1, past=remembered(row.past, lost)))
        stays.append((row, lanes.readable(row) if row.lane else None))
    if values:
        session.run_each("settle", values)
        lanes.stay(session, stays)
    return len(rows) >= SOME
