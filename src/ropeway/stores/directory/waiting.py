"""Waiting: announce, look once more, then sleep until something is due, a lease ends, the bell rings or the poll is over.

One sleeping place a thread, for all queues of a store. The sleep is never longer than what is known: the next due job, the next lease
that ends, one second while somebody else holds jobs (a dead holder of this host is noticed within that), the poll.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...bells.datagram import Sleeper

if TYPE_CHECKING:
    from .station import Station

LONGEST = 5.0  # the poll behind the bell
SHORTEST = 0.02  # the first poll without a bell; doubled while nothing comes
HOLDERS = 1.0


class Waiting:
    """The waiting side of a store."""

    def __init__(self, poll: float | None, bell: bool) -> None:
        self._poll = poll
        self._bell = bell
        self._quiet = SHORTEST
        self._local = threading.local()
        self._all: weakref.WeakSet[Sleeper] = weakref.WeakSet()
        self._woken = False

    def mine(self) -> Sleeper:
        """The sleeping place of the calling thread."""
        sleeper: Sleeper | None = getattr(self._local, "sleeper", None)
        if sleeper is None:
            sleeper = self._local.sleeper = Sleeper()
            self._all.add(sleeper)
        return sleeper

    def wake(self) -> None:
        """Whoever sleeps wakes; if nobody does, the next one does not sleep."""
        self._woken = True
        for sleeper in list(self._all):
            sleeper.wake()

    def awake(self) -> None:
        """The calling thread has stopped waiting."""
        self._local.awake = True

    def just_woken(self) -> bool:
        """Whether the calling thread has waited since this was asked last."""
        awake, self._local.awake = getattr(self._local, "awake", False), False
        return awake

    def woken(self, sleeper: Sleeper) -> bool:
        """Whether this sleeper was woken by `wake` since it was asked last."""
        woken = sleeper.was_woken() or self._woken
        self._woken = False
        return woken

    def look(self, stations: Sequence[Station]) -> float:
        """Seconds until something is due in one of these queues as far as anyone can know; 0 when it is now."""
        soonest = 1e9
        for station in stations:
            with station.room.lock:
                stopped = station.room.stopped("claim") is not None
                if station.room.gone:
                    continue
                station.rescue.if_due()  # of a queue switched off too: what its dead held is to be seen as waiting, and picked or removed
                if stopped:
                    continue
                if station.room.bounds is not None and station.seats.full():
                    soonest = min(soonest, HOLDERS if (end := station.rescue.next_end()) is None else min(HOLDERS, end + 0.002))
                    continue
                now = int(station.place.now() * 1e6)
                due = station.tree.next_due(now)
                if due is not None and due <= now:
                    return 0.0
                if due is not None:
                    soonest = min(soonest, (due - now) / 1e6)
                end = station.rescue.next_end()
                if end is not None:
                    soonest = min(soonest, end + 0.002)
                if station.rescue.others:
                    soonest = min(soonest, HOLDERS)
        return soonest

    def all_open(self, stations: Sequence[Station]) -> bool:
        """Whether all of these queues hand out jobs: then a ring that speaks of a due one may be believed unseen. True is a hint."""
        return all(station.room.stopped("claim") is None for station in stations)

    def pause(self, missing: bool, shared: bool) -> float:
        """The longest sleep before the next look, whatever is known."""
        if self._bell and not missing and not shared:
            return self._poll if self._poll is not None else LONGEST
        self._quiet = min(self._quiet * 2, self._poll if self._poll is not None else LONGEST)
        return min(self._quiet, self._poll if self._poll is not None else LONGEST)

    def found(self) -> None:
        self._quiet = SHORTEST

    def close(self) -> None:
        """Whoever sleeps wakes; each sleeping place is closed when its thread has left it."""
        self.wake()
        self._local = threading.local()
