"""The board of a database: a table of who waits for which queue and where he can be rung, and the UDP bell on it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from ...bells.bell import UdpBell
from ...bells.choice import BellChoice
from ...bells.place import SleepingPlace
from ...clock import SYSTEM, Clock
from .desk import Desk
from .record import micros
from .session import Session
from .waiting import Bell

NOBODY = 0.03  # seconds for which it is believed that nobody waits: or each put would be two round trips
SEVERAL = "abcdefgh"  # the queues that can be announced by one statement
AGAIN = 0.05  # so long after announcing itself a waiter looks once more, for what was put in that belief


class SqlBoard:
    """The table `waiting`."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._believed = NOBODY if clock is SYSTEM else 0.0  # a clock that is set by hand may stand still for ever
        self._said: dict[str, list[str]] = {}  # what each address here was announced for
        self._empty: dict[str, float] = {}  # until when nobody waits for a queue

    def announce(self, address: str, queues: Sequence[str], lifetime: float) -> None:
        said = sorted(set(queues))
        again = self._said.get(address) == said

        def work(session: Session) -> None:
            if again and len(said) == 1:  # it stands there, or was taken off whole: one statement, since an idle fleet says this all day
                session.run_whole("announce", queue=said[0], address=address, lifetime=micros(lifetime))
                return
            if again and len(said) <= len(SEVERAL) and "announce_several" in session.statements:  # a worker waits for its orders too
                places = {f"queue_{letter}": said[min(n, len(said) - 1)] for n, letter in enumerate(SEVERAL)}
                session.run_whole("announce_several", **places, address=address, lifetime=micros(lifetime))
                return
            session.run("withdraw", address=address)
            session.run("sweep_waiting")
            for queue in said:
                session.run("announce", queue=queue, address=address, lifetime=micros(lifetime))

        self._desk.write(work, durable=False)
        self._said[address] = said

    def withdraw(self, address: str) -> bool:
        return self._desk.write(lambda session: bool(session.run("withdraw", address=address)), durable=False)

    def waiting(self, queues: Sequence[str], limit: int) -> list[str]:
        now = time.monotonic()
        asked = [queue for queue in queues if self._empty.get(queue, 0.0) <= now]
        if not asked:
            return []
        found = [address for (address,) in self._desk.read(lambda session: session.run("waiting", queues=asked, limit=limit))]
        if not found:
            self._empty.update(dict.fromkeys(asked, now + self._believed))
        return found


class UdpRinging(Bell):
    """The UDP bell, as `waiting.py` uses one."""

    again = AGAIN

    def __init__(self, choice: BellChoice, clock: Clock, toward: str, behind: float) -> None:
        self._choice, self._clock, self._toward = choice, clock, toward
        self.behind = behind
        self._bell: UdpBell | None = None

    def on(self, desk: Desk) -> None:
        self._bell = UdpBell(SqlBoard(desk, self._clock), self._choice, self._clock, toward=self._toward)

    @property
    def _it(self) -> UdpBell:
        assert self._bell is not None, "a bell hangs in its store first"
        return self._bell

    def place(self) -> SleepingPlace:
        return self._it.waiter().place

    def announce(self, _: SleepingPlace, queues: Sequence[str]) -> bool:
        waiter = self._it.waiter()
        self._it.announce(waiter, queues)
        return bool(waiter.address)

    def stale(self, _: SleepingPlace) -> float:
        return self._it.stale(self._it.waiter())

    def heard(self, _: SleepingPlace) -> bool:
        self._it.waiter().queues = ()
        return False

    def withdraw(self, _: SleepingPlace, queues: Sequence[str]) -> None:
        """The announcement stands between two waits; it is taken off by the claim that brings something."""

    def claimed(self, queues: Sequence[str], took: int, *, more: bool) -> None:
        self._it.claimed(queues, took, more=more)

    def ring(self, queues: Sequence[str]) -> None:
        for queue, jobs in Counter(queues).items():
            self._it.ring([queue], jobs)

    def close(self) -> None:
        self._it.close()
