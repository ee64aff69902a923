"""Waiting: announce, look once more, then sleep until something is due, a lease ends, the bell rings or the poll is over."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence

from ...bells.place import SleepingPlace
from ...clock import Clock
from ...names import is_ended
from ...url import StoreUrl
from .crowd import GLANCE, Crowd
from .desk import Desk
from .record import MICRO
from .rescue import Rescue

FAR = 1e9
SHORTEST = 0.02  # the first poll without a bell; doubled while nothing comes
LONGEST = 5.0  # and the longest


class Bell:
    """How the processes that wait on one database are woken. A ring is a hint; a poll stands behind it. A subclass for each way."""

    behind: float = LONGEST
    """Seconds between two looks at the tables while the bell works, when the URL does not say."""
    glance: float | None = None
    """Seconds between two glances at `stirred`, None when there is nothing to glance at."""
    again: float | None = None
    """Seconds after an announcement until one more look, for what was put by somebody who could not know of it yet."""

    def on(self, desk: Desk) -> None:
        """The store that this is the bell of."""

    def place(self) -> SleepingPlace:
        """A new sleeping place, for one thread."""
        return SleepingPlace()

    def announce(self, _: SleepingPlace, queues: Sequence[str]) -> bool:  # noqa: ARG002
        """Say that this place is about to sleep for these queues: afterwards one must look once more. False when nobody can be told:
        then only the poll helps."""
        return False

    def stale(self, _: SleepingPlace) -> float:
        """In how many seconds it must be announced anew, or nobody rings it any more."""
        return FAR

    def heard(self, _: SleepingPlace) -> bool:
        """It was rung: who did has taken the announcement away. True when only he who has put a job can have done that: then the claim
        need not be preceded by a look."""
        return False

    def withdraw(self, _: SleepingPlace, queues: Sequence[str]) -> None:
        """It sleeps no more."""

    def claimed(self, queues: Sequence[str], took: int, *, more: bool) -> None:
        """The calling thread has claimed. `more`: it has waited before, and left others that are due. Whoever was woken for one job may
        have met the ring for another, so it rings on."""
        if took and more:
            self.ring([queues[0]])

    def ring(self, queues: Sequence[str]) -> None:
        """Something is due in these queues, a name for each job. Never fails, never waits."""

    def forget(self, queues: Sequence[str]) -> None:
        """These queues were dropped."""

    def stirred(self, _: SleepingPlace) -> bool:
        """Whether anything at all was committed by others since this place asked last: so cheap that one may ask often."""
        return False

    def close(self) -> None:
        """Nobody is rung any more."""


class Waiting:
    """The waiting side of a store."""

    def __init__(self, url: StoreUrl, clock: Clock, desk: Desk, rescue: Rescue, crowd: Crowd, bell: Bell) -> None:
        self._poll = url.poll
        self._clock = clock
        self._desk = desk
        self._rescue = rescue
        self._crowd = crowd
        self._bell = bell
        self._local = threading.local()
        self._all: weakref.WeakSet[SleepingPlace] = weakref.WeakSet()
        self._pid = os.getpid()
        self._woken = False
        self._closed = False
        bell.on(desk)

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None = None) -> bool:
        place = self._mine()
        end, quiet = self._clock.boot() + timeout, SHORTEST
        told, fresh, sure = False, False, False
        due = [name for name in queues if not is_ended(name)]
        of_ends = len(due) < len(queues)
        try:
            while True:
                if not told:
                    told = fresh = self._bell.announce(place, queues)
                elif self._bell.stale(place) <= 0:
                    self._bell.announce(place, queues)
                nap = self._look(due)
                if nap <= 0 or (look is not None and look()):
                    return True
                left = end - self._clock.boot()
                if self._was_woken(place) or left <= 0 or self._closed:
                    return False
                quiet = min(quiet * 2, self._poll or LONGEST)
                behind = min(self._poll or self._bell.behind, self._bell.stale(place)) if told else quiet
                if fresh and self._bell.again is not None:
                    behind, fresh = min(behind, self._bell.again), False
                rung = self._sleep(place, min(nap, left, behind))
                if rung:
                    sure = self._bell.heard(place)
                    told = False
                if self._was_woken(place) or self._closed:
                    return False
                if rung:
                    if sure or of_ends or self._look(due) <= 0:  # announced anew only when it is to sleep again
                        return True
                elif left < min(nap, behind) and self._clock.boot() >= end:
                    return False  # the time is up, and nothing was to come until then
        finally:
            self._bell.withdraw(place, queues)
            self._local.awake = True

    def _look(self, queues: Sequence[str]) -> float:
        """Seconds until something is due as far as anyone can know; 0 when it is now."""
        micros = self._desk.read(lambda session: session.next_due(queues)) if queues else None
        if self._rescue.in_passing(calm=micros is None):
            micros = self._desk.read(lambda session: session.next_due(queues)) if queues else None
        if micros is None:
            return FAR
        if micros <= 0 and self._rescue.look():
            micros = self._desk.read(lambda session: session.next_due(queues))  # it was a lease, perhaps of another queue
            return FAR if micros is None else micros / MICRO
        return micros / MICRO

    def _sleep(self, place: SleepingPlace, seconds: float) -> bool:
        """True when rung. Glances meanwhile at whether anything was committed, where that costs nothing."""
        glance = self._bell.glance or GLANCE
        end = self._clock.boot() + seconds
        while end - self._clock.boot() > glance:
            if self._clock.sleep(place, glance):
                return True
            if self._crowd.somebody_died():
                self._rescue.look()
                return False
            if self._bell.stirred(place):
                return False
        return self._clock.sleep(place, max(0.0, end - self._clock.boot()))

    def claimed(self, queues: Sequence[str], took: int, limit: int) -> None:
        awake, self._local.awake = getattr(self._local, "awake", False), False
        more = awake and took >= limit and self._desk.read(lambda session: session.next_due(queues)) == 0
        self._bell.claimed(queues, took, more=more)

    def ring(self, queues: Sequence[str]) -> None:
        self._bell.ring(queues)

    def forget(self, queues: Sequence[str]) -> None:
        self._bell.forget(queues)

    def wake(self) -> None:
        """Whoever sleeps wakes; if nobody does, the next one does not sleep."""
        self._woken = True
        for place in list(self._all):
            place.wake()

    def _mine(self) -> SleepingPlace:
        if self._pid != os.getpid():  # what we inherited is our parent's
            self._pid, self._local, self._all = os.getpid(), threading.local(), weakref.WeakSet()
        place: SleepingPlace | None = getattr(self._local, "place", None)
        if place is None:
            place = self._local.place = self._bell.place()
            self._all.add(place)
        return place

    def _was_woken(self, place: SleepingPlace) -> bool:
        woken = place.was_woken() or self._woken
        self._woken = False
        return woken

    def close(self) -> None:
        """Whoever sleeps wakes; each place is closed when its thread has left it."""
        self._closed = True
        self.wake()
        self._bell.close()
