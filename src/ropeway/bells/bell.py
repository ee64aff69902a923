"""The UDP bell of a store: who waits announces an address on the board, who has put jobs takes addresses off it and rings them.

What loses no wake-up, given that jobs are rung for after their commit:

- A waiter announces itself *and then looks once more*: a put between its last look and its announcement would ring nobody.
- Who rings takes the announcement away first, and of two who try only one succeeds: a second put rings another.
- Who was rung looks, and announces itself anew only when there is nothing; who finds jobs without having been rung withdraws *before*
  it claims: no ring goes to somebody at work while an idle one sleeps.
- A ring may still meet somebody who has just woken for another job. So who claims after a wait, and knows of more due jobs than it took,
  rings once more; and so does who goes to work and finds that its announcement was taken away meanwhile.

Whatever fails here (a full table, a board out of reach, a dead address) costs a poll, never a job and never a call.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence

from ..clock import SYSTEM, Clock
from ..errors import ConfigError, StoreError
from .board import Board
from .choice import BellChoice
from .datagram import world
from .place import SleepingPlace
from .udp import LOOKED_AT, MOST, UdpRinger, UdpSleeper

LIFETIME = 120.0  # seconds an announcement holds: so long may the address of a dead process of another host be rung in vain
RENEWED = 0.5  # share of it after which it is said again: 100 idle processes need 2 statements a second
REPEATED = 5.0  # seconds until what could not be said is tried again
SPARE = 32  # addresses asked for beyond those wanted, since some are of other hosts or were taken by others


class Waiter:
    """One thread that waits: its sleeping place, and what it has said on the board."""

    def __init__(self, place: SleepingPlace, address: str) -> None:
        self.place = place
        self.address = address  # as it stands on the board; empty: cannot be rung
        self.queues: tuple[str, ...] = ()  # announced for these; empty: not announced as far as it knows
        self.renew = 0.0
        self.waited = False  # since it was asked last


class UdpBell:
    """One bell for all queues of a store object, all threads included. With `bell=off` there is nothing but the poll, and `wake`.

    `toward` is the host of the store's server, if there is one: the way to it tells which of our addresses others reach.
    """

    def __init__(self, board: Board, choice: BellChoice, clock: Clock = SYSTEM, *, toward: str = "") -> None:
        self._board = board
        self._choice = choice
        self._clock = clock
        self._toward = toward
        self._ringer = UdpRinger(choice.secret, far=choice.far, clock=clock)
        self._host = f"@{world() or os.uname().nodename}"[:40]  # what a loopback address is worth elsewhere: nothing
        self._pid = 0
        self._mine()
        self._woken = False
        self._closed = False
        self._opened = False

    # -- waiting

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], float], poll: float) -> bool:
        """Sleep until something may be due (True), or until the timeout, `wake` or `close` (False).

        `look` answers in how many seconds something is due as far as the store knows, 0 for now. It is asked at once, after each
        ring, and at least each `poll` seconds. Raises what `look` raises, and ConfigError when the address cannot be listened on.
        """
        waiter = self.waiter()
        end = self._clock.boot() + timeout
        while True:
            self.announce(waiter, queues)
            soonest = look()
            if soonest <= 0:
                self.withdraw(waiter)
                return True
            left = end - self._clock.boot()
            if self._was_woken(waiter) or left <= 0:
                return False  # the announcement stands: the next wait goes on with it
            rung = self._clock.sleep(waiter.place, min(left, soonest, poll, self._until_renewal(waiter)))
            if self._closed or self._was_woken(waiter):  # asked once: asking forgets
                return False
            if rung:
                self.heard(waiter)
                if look() <= 0:
                    return True

    def claimed(self, queues: Sequence[str], took: int, *, more: bool) -> None:
        """Say this after each claim of the thread: how many jobs it took, and whether others were seen to be due and not taken."""
        self._mine()
        waiter: Waiter | None = getattr(self._local, "waiter", None)
        if waiter is None or not took:
            return
        waited, waiter.waited = waiter.waited, False
        if isinstance(waiter.place, UdpSleeper):
            waiter.place.found()
        taken = bool(waiter.queues) and not self.withdraw(waiter)
        if taken or (waited and more):
            self.ring(queues, 1)

    def wake(self) -> None:
        """From any thread or a signal handler: whoever waits returns now; if nobody does, the next wait does."""
        self._mine()
        self._woken = True
        for waiter in list(self._all):
            waiter.place.wake()

    # -- the single steps, for an engine with a waiting loop of its own

    def waiter(self) -> Waiter:
        """The one of the calling thread."""
        self._mine()
        waiter: Waiter | None = getattr(self._local, "waiter", None)
        if waiter is None:
            waiter = self._local.waiter = self._open()
            self._all.add(waiter)
        return waiter

    def announce(self, waiter: Waiter, queues: Sequence[str]) -> None:
        """Say that it waits for these; it must look once more before it sleeps. Asks the board only when that does not stand there."""
        waiter.waited = True
        if not waiter.address or not queues or (waiter.queues == tuple(queues) and self._until_renewal(waiter) > 0):
            return
        waiter.queues = tuple(queues)  # first: what may stand there is withdrawn at the end
        waiter.renew = self._clock.boot() + LIFETIME * RENEWED
        try:
            self._board.announce(waiter.address, queues, LIFETIME)
        except StoreError:
            waiter.renew = self._clock.boot() + REPEATED  # cannot be said now: the poll must do

    def stale(self, waiter: Waiter) -> float:
        """In how many seconds it must be announced anew, or others believe that it is gone."""
        return self._until_renewal(waiter)

    def heard(self, waiter: Waiter) -> None:
        """It was rung: who did has taken the announcement away, or it was a stranger, and it is made anew."""
        waiter.queues = ()

    def withdraw(self, waiter: Waiter) -> bool:
        """It does not wait any more. False when the board was told nothing, or by somebody else before: who rang it."""
        if not waiter.queues:
            return False
        waiter.queues = ()
        try:
            return self._board.withdraw(waiter.address)
        except StoreError:
            return True  # it may stand, and a ring too many is heard by nobody

    def ring(self, queues: Sequence[str], jobs: int) -> None:
        """Wake as many as there are jobs, 64 at most, of those who wait for any of these queues. After the commit. Never fails, never
        waits but for the board."""
        wanted = min(jobs, MOST)
        if self._choice.kind == "off" or wanted < 1 or not queues:
            return
        try:
            for limit in (wanted + SPARE, LOOKED_AT):
                names = self._board.waiting(queues, limit)
                for name in names:
                    address = self._reachable(name)
                    if address and self._board.withdraw(name):
                        wanted -= self._ringer.ring([address], 1)
                        if not wanted:
                            return
                if len(names) < limit:
                    return
        except StoreError:
            return

    def close(self) -> None:
        """Take all announcements off; whoever sleeps wakes. May be called twice."""
        self._mine()
        self._closed = True
        for waiter in list(self._all):
            self.withdraw(waiter)
        self.wake()

    def _mine(self) -> None:
        """After a fork all places are made anew: those of the parent are its to sleep in, to wake and to withdraw."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._local = threading.local()
            self._all: weakref.WeakSet[Waiter] = weakref.WeakSet()

    def _open(self) -> Waiter:
        choice = self._choice
        if choice.kind == "off":
            return Waiter(SleepingPlace(), "")
        try:
            place = UdpSleeper(choice.host, choice.first, choice.last, secret=choice.secret, clock=self._clock, toward=self._toward)
        except ConfigError:
            if not self._opened:
                raise  # the setting is wrong
            return Waiter(SleepingPlace(), "")  # as many threads wait as there are ports: this one does with the poll
        self._opened = True
        return Waiter(place, place.address + ("" if place.far else self._host))

    def _reachable(self, name: str) -> str:
        """The address to ring, if it can be reached from here and is allowed; else nothing, and it is left to those who can."""
        address, mark, host = name.partition("@")
        found = self._ringer.reads(address)
        return address if found is not None and found.loopback == bool(mark) and mark + host in ("", self._host) else ""

    def _until_renewal(self, waiter: Waiter) -> float:
        return max(0.0, waiter.renew - self._clock.boot()) if waiter.address else LIFETIME

    def _was_woken(self, waiter: Waiter) -> bool:
        woken = waiter.place.was_woken() or self._woken
        self._woken = False
        return woken
