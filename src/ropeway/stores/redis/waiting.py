"""Waiting: announce, look, and sleep until the bell rings, the next known moment comes, or it is time to look again.

Announcing and looking are one script, so nothing can be put between the two. Whoever puts a job tells as many of those announced as there
are jobs; whoever puts a delayed one, or takes a lease, makes sure that somebody is awake when that moment comes.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from ...clock import SYSTEM, Clock
from ...errors import StoreError
from ...url import StoreUrl
from .bell import Bell, Ears
from .hub import Hub
from .records import micro
from .rooms import Room, Rooms
from .scripts import Argument, Request, script

LONGEST = 30.0  # the look behind the bell: so late may a job be when a worker dies that had the next one to wake for
POLL = 5.0  # without a bell
SHORTEST = 0.02  # the first poll without a bell; doubled while nothing comes
MARGIN = 0.0005  # seconds behind a known moment, so that a look finds it over


class Waiting:
    """The waiting side of a store: one bell a thread, one pair of ears for all."""

    def __init__(self, hub: Hub, rooms: Rooms, clock: Clock, head: Callable[[], tuple[Argument, ...]], url: StoreUrl) -> None:
        self._hub = hub
        self._rooms = rooms
        self._clock = clock
        self._head = head
        self._poll = url.poll
        self._wanted = url.bell != "off"
        self._dead_keep = micro(url.dead_keep)
        self._closed = False
        self._woken = False
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._numbers = itertools.count(1)
        self._bells: WeakValueDictionary[int, Bell] = WeakValueDictionary()  # each lives as long as its thread
        self._announced: dict[str, tuple[Room, ...]] = {}  # who waits where, as the server knows it
        self._ears: Ears | None = None
        self._name = os.urandom(8).hex()
        self._quiet = SHORTEST

    # -- the verbs

    def wait(self, rooms: Sequence[Room], timeout: float) -> bool:
        self._hub.enter()
        if self._pid != os.getpid():
            self._start()
        bell = self._mine()
        end = self._clock.boot() + max(0.0, timeout)
        bell.woken, bell.waits = False, True
        try:
            while not self._closed:
                left = end - self._clock.boot()
                heard = left > 0 and self._wanted and bool(rooms) and self._hears()
                due, pause = self._look(rooms, bell.who if heard else "", max(0.0, min(left, self._longest(heard=heard))))
                if due:
                    return True
                if self._woken or bell.woken:
                    self._woken = False
                    return False
                if left <= 0:
                    return False
                if self._clock.sleep(bell, min(left, pause)):
                    self._quiet = SHORTEST
                elif not heard:
                    self._quiet = min(2 * self._quiet, POLL)
            return False
        finally:
            bell.waits = False

    def wake(self) -> None:
        self._woken = True  # first of all, for one who is about to wait
        for bell in list(self._bells.values()):
            if bell.waits:
                bell.woken = True
                bell.ring()

    def leaves(self) -> str:
        """Whom a claim of this thread takes off the list of those who wait; "" when it is on none."""
        bell: Bell | None = getattr(self._local, "bell", None)
        return bell.who if bell is not None and bell.who in self._announced else ""

    def left(self) -> None:
        """The claim has answered."""
        self._quiet = SHORTEST
        bell: Bell | None = getattr(self._local, "bell", None)
        if bell is not None:
            self._announced.pop(bell.who, None)

    @property
    def deaf(self) -> str:
        """Why there is no bell; "" when there is, or nobody has waited yet."""
        return self._ears.deaf if self._ears is not None else ""

    def close(self) -> None:
        """Whoever sleeps wakes; whoever was announced is not any more, and others keep its watch."""
        self._closed = True
        self.wake()
        if self._pid != os.getpid():
            return
        if self._announced and not self._hub.closed:
            requests = [
                Request(script("pass"), room.keys, (*self._head(), who), room.slot)
                for who, rooms in self._announced.items()
                for room in rooms
            ]
            self._announced = {}
            try:
                self._hub.ask(requests)
            except StoreError:
                pass  # it is forgotten by itself
        if self._ears is not None:
            self._ears.close()

    # -- looking

    def _look(self, rooms: Sequence[Room], who: str, nap: float) -> tuple[bool, float]:
        """Whether something is due; seconds until the next look is worth while."""
        if not rooms:
            return False, nap
        args = (*self._head(), who, micro(nap), self._dead_keep)
        if self._hub.cluster:
            requests = [Request(script("look"), room.keys, args, room.slot) for room in rooms]
        else:
            keys = rooms[0].keys if len(rooms) == 1 else tuple(key for room in rooms for key in room.keys)
            requests = [Request(script("look"), keys, args, rooms[0].slot)]
        micros = min(self._hub.ask(requests))
        if who and micros < 0:
            self._announced.pop(who, None)
        elif who:
            self._announced[who] = tuple(rooms)
        return micros < 0, micros / 1e6 + (MARGIN if self._clock is SYSTEM else 0.0)

    def _longest(self, *, heard: bool) -> float:
        if heard:
            return self._poll if self._poll is not None else LONGEST
        return min(self._quiet, self._poll if self._poll is not None else POLL)

    # -- hearing

    def _mine(self) -> Bell:
        bell: Bell | None = getattr(self._local, "bell", None)
        if bell is None:
            number = next(self._numbers)
            bell = self._local.bell = self._bells[number] = Bell(number, self._name)
        return bell

    def _hears(self) -> bool:
        with self._lock:
            if self._ears is None:
                ears = Ears(self._hub, self._rooms.channel + self._name.encode(), self._heard, self._ring_all)
                ears.open()
                self._ears = ears
            return self._ears.up

    def _heard(self, number: int, key: str) -> None:
        """A message for one of our threads. If that one does not wait any more, another here or elsewhere gets it."""
        bell = self._bells.get(number)
        if bell is not None:
            self._announced.pop(bell.who, None)
            if bell.waits:
                bell.ring()
                return
        room = self._rooms.room(self._rooms.of_bell(key))
        self._hub.ask([Request(script("pass"), room.keys, (*self._head(), ""), room.slot)])

    def _ring_all(self) -> None:
        for bell in list(self._bells.values()):
            bell.ring()
