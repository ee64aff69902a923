"""The bell of PostgreSQL: LISTEN on one connection of the process, NOTIFY inside the transaction that puts, and only when somebody waits.

Who waits stands in a table. A put that finds nobody there sends nothing, since NOTIFY makes commits queue up one behind the other. Each
process has a channel of its own, so that a put for one job wakes one process. In a transaction that goes on, the ringing waits
for the commit, by a trigger: who will be waiting then, nobody knows before. The connection is read by whichever thread sleeps: no thread
more, and no hop between threads on the way to the job.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count

from ....bells.place import SleepingPlace, milliseconds
from ....clock import Clock
from ....errors import ConfigError, StoreError
from ..desk import Desk
from ..record import micros
from ..session import Again, Broken
from ..waiting import Bell
from .faults import Lost, Refused
from .session import PostgresSession
from .wire import Call

LIFETIME = 600.0  # seconds that an announcement stands; one whose process has died takes one ring, and is gone
RENEWED = 0.5  # after this part of it, it is made anew
AGAIN = 0.05  # seconds after an announcement until one more look: a put that had begun before could not see it
RETRY = 30.0  # seconds between two tries to listen
PROOF = 2.0  # seconds for a ring of our own to come back


class ListenPlace(SleepingPlace):
    """A sleeping place beside the listening connection."""

    def __init__(self, bell: ListenBell, number: int) -> None:
        super().__init__()
        self._bell = bell
        self.number = number
        self.serial = 0
        self.queues: tuple[str, ...] = ()  # announced for
        self.renew = self.fresh = 0.0
        self._rung = False
        self.taken = False  # who rang has taken the announcement away

    def watch(self, fd: int) -> None:
        if fd != self._listening:
            self._watch(fd)

    def unwatch(self) -> None:
        """The connection is gone, and its number may be another's soon."""
        self._listening = -1
        self._poll = self._quiet

    def ring(self, serial: bytes = b"") -> None:
        """From any thread. `serial`: of the announcement by which it was found."""
        self.taken = self.taken or serial == b"%d" % self.serial
        self._rung = True
        super().wake()

    def wake(self) -> None:
        self._woken = True
        super().wake()

    def _wakened(self) -> None:
        woken = self._woken
        super()._wakened()
        self._woken = woken

    def wait(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while True:
            for fd, _ in self._poll.poll(milliseconds(end - time.monotonic())):
                if fd == self._event:
                    self._wakened()
                else:
                    self._bell.read()
            if self._rung or self._woken:
                self._rung = False
                return True
            if time.monotonic() >= end:
                return False

    @property
    def address(self) -> str:
        return f"{self._bell.channel}.{self.number}x{self.serial}"


class ListenBell(Bell):
    """`connect` opens the connection to listen on."""

    behind = 60.0  # so a hundred idle workers cost under five statements a second

    def __init__(self, connect: Callable[[], PostgresSession], clock: Clock) -> None:
        self._connect = connect
        self._clock = clock
        self._local = threading.local()
        self._lock = threading.RLock()
        self._desk: Desk | None = None
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self.channel = f"ropeway_{os.urandom(12).hex()}"
        self._ear: PostgresSession | None = None
        self._next_try = 0.0
        self._numbers = count(1)
        self._places: weakref.WeakValueDictionary[int, ListenPlace] = weakref.WeakValueDictionary()
        self.trouble = ""

    def on(self, desk: Desk) -> None:
        self._desk = desk

    # -- sleeping

    @property
    def again(self) -> float | None:  # type: ignore[override]
        """Once for each announcement, and not for each wait: it stands between them."""
        place: ListenPlace | None = getattr(self._local, "place", None)
        return AGAIN if place is not None and time.monotonic() - place.fresh < AGAIN else None

    def place(self) -> SleepingPlace:
        if self._pid != os.getpid():
            _inherited.append(self._ear)
            self._lock = threading.RLock()
            self._begin()
        place = self._local.place = ListenPlace(self, next(self._numbers))
        self._places[place.number] = place
        return place

    def announce(self, place: SleepingPlace, queues: Sequence[str]) -> bool:
        if not isinstance(place, ListenPlace) or not queues:
            return False
        with self._lock:
            ear = self._listening()
            if ear is None:
                place.queues = ()
                return False
            place.watch(ear.wire.pg.socket)
            if place.queues == tuple(queues) and time.monotonic() < place.renew:
                return True
            try:
                if place.queues:
                    self._send_withdrawal(ear, place)
                place.taken = False
                place.serial += 1  # an address is used once: its row may be locked by who has rung it, and nobody waits for that
                ear.run("announce", queues=list(queues), address=place.address, lifetime=micros(LIFETIME))
            except (Again, Broken, StoreError) as error:
                self._deafen(str(error))
                return False
            place.queues = tuple(queues)
            place.fresh = time.monotonic()
            place.renew = place.fresh + LIFETIME * RENEWED
            return True

    def heard(self, place: SleepingPlace) -> bool:
        """Who rang took the announcement for that queue away; the others go, too."""
        if not isinstance(place, ListenPlace) or not place.taken:
            return False
        place.taken = False
        if len(place.queues) > 1:
            self._withdraw(place)
        place.queues = ()
        return True

    def claimed(self, queues: Sequence[str], took: int, *, more: bool) -> None:
        place: ListenPlace | None = getattr(self._local, "place", None)
        if took and place is not None and place.queues:
            self._withdraw(place)
        super().claimed(queues, took, more=more)

    def _withdraw(self, place: ListenPlace) -> None:
        with self._lock:
            place_queues, place.queues = place.queues, ()
            if self._ear is not None and place_queues and self._pid == os.getpid():
                try:
                    self._send_withdrawal(self._ear, place)
                except (Again, Broken, StoreError, Lost, Refused) as error:
                    self._deafen(str(error))

    @staticmethod
    def _send_withdrawal(ear: PostgresSession, place: ListenPlace) -> None:
        """Without waiting for the answer."""
        ear.send("withdrawn", address=place.address)

    # -- listening

    def _listening(self) -> PostgresSession | None:
        """The connection that listens, if one can be had."""
        if self._ear is not None:
            return self._ear
        if time.monotonic() < self._next_try:
            return None
        self._next_try = time.monotonic() + RETRY
        try:
            ear = self._connect()
        except (Again, Broken, StoreError, ConfigError) as error:
            self.trouble = str(error)
            self._next_try = time.monotonic() + 1.0  # the server is away: it may come back any moment
            return None
        try:
            ear.wire.ask(Call(f'listen "{self.channel}"'.encode()))
            self._ear = ear
            if self._proven(ear):
                self.trouble = ""
                return ear
            self.trouble = "no NOTIFY comes back: a pooler in transaction mode stands between. Without it jobs are found by the poll"
        except (Again, Broken, StoreError, Lost, Refused) as error:
            self.trouble = str(error)
        self._ear = None
        ear.close()
        return None

    def _proven(self, ear: PostgresSession) -> bool:
        """Whether a ring by another connection comes in. Through a pooler LISTEN succeeds, and is of no use."""
        assert self._desk is not None
        self._heard_proof = False
        notify = f"select pg_notify('{self.channel}', 'proof')".encode()
        self._desk.read(lambda session: session.wire.ask(Call(notify)) if isinstance(session, PostgresSession) else None)
        end = time.monotonic() + PROOF
        while not self._heard_proof and time.monotonic() < end:
            if ear.wire.wait(end - time.monotonic()):
                self.read()
        return self._heard_proof

    _heard_proof = False

    def read(self) -> None:
        """Take in what has come, and wake whom it is for."""
        with self._lock:
            ear = self._ear
            if ear is None or self._pid != os.getpid():
                return
            try:
                for payload in ear.wire.notices():
                    if payload == b"proof":
                        self._heard_proof = True
                        continue
                    number, _, serial = payload.partition(b"x")
                    place = self._places.get(int(number)) if number.isdigit() else None
                    if place is not None:
                        place.ring(serial)
            except (Lost, Refused) as error:
                self._deafen(str(error))

    def _deafen(self, why: str) -> None:
        """The connection is of no use any more: everybody looks for himself, and the next who waits opens another."""
        with self._lock:
            ear, self._ear = self._ear, None
            self.trouble, self._next_try = why, 0.0
            for place in list(self._places.values()):
                place.queues = ()
                place.unwatch()
                place.ring()
            if ear is not None:
                ear.close()

    # -- ringing

    def ring(self, queues: Sequence[str]) -> None:
        """For verbs other than put, which rings by itself."""
        counts = Counter(queues)
        if self._desk is not None and counts:
            with suppress(StoreError):
                self._desk.read(lambda session: session.run("ring", queues=list(counts), jobs=list(counts.values())))

    def try_out(self) -> str:
        """What is the matter with it, empty when it works."""
        with self._lock:
            self._next_try = 0.0
            return "" if self._listening() is not None else self.trouble

    def close(self) -> None:
        if self._pid != os.getpid():
            return
        with self._lock:
            for place in list(self._places.values()):
                if place.queues:
                    self._withdraw(place)
                place.unwatch()
            ear, self._ear = self._ear, None
            self._next_try = float("inf")
            if ear is not None:
                with suppress(Lost, Refused, Again):
                    ear.wire.notices()
                ear.close()


_inherited: list[PostgresSession | None] = []  # our parent's connections: left open, never used and never closed properly
