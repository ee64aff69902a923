"""Waiting: announce, look, and sleep until the bell rings, the next known moment comes, or it is one's turn to look again.

Announcing and looking are one script, so nothing can be put between the two. Whoever puts a job tells as many of those announced as there
are jobs; whoever puts a delayed one, or takes a lease, makes sure that somebody is awake when that moment comes. All who wait take turns in
looking (lua/look.lua). Whoever waits for ends announces itself apart, and every end that stays rings all of those.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from ...clock import SYSTEM
from ...errors import StoreError
from ...names import check_name, is_ended
from ...url import StoreUrl
from .bell import Bell, Ears
from .records import micro
from .rooms import Room
from .scripts import Request
from .way import Way

Ends = Sequence[tuple[bytes, int]]  # keys of those who wait for ends, and their slots

ALONE = 30.0  # the look behind the bell, of one who waits alone
EACH = 5.0  # between two looks of all who wait together: so late may a job be when one dies that was to wake for it
LONGEST = 600.0  # for one of them: beyond 120 they look more often together, and not more seldom each
POLL = 5.0  # without a bell
SHORTEST = 0.02  # the first poll without a bell; doubled while nothing comes
MARGIN = 0.0005  # seconds behind a known moment, so that a look finds it over


class Waiting:
    """The waiting side of a store: one bell a thread, one pair of ears for all."""

    def __init__(self, way: Way, url: StoreUrl) -> None:
        self._way = way
        self._hub = way.hub
        self._rooms = way.rooms
        self._clock = way.clock
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

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None) -> bool:
        for name in queues:
            check_name(name)
        rooms = [self._rooms.room(name) for name in queues if not is_ended(name)]
        ends = [self._rooms.ends(name) for name in queues if is_ended(name)]
        self._hub.enter()
        if self._pid != os.getpid():
            self._start()
        bell = self._mine()
        end = self._clock.boot() + max(0.0, timeout)
        bell.woken, bell.due, bell.waits = False, False, True
        try:
            while not self._closed:
                left = end - self._clock.boot()
                heard = left > 0 and self._wanted and bool(queues) and self._hears()
                due, pause = self._look(rooms, ends, bell.who if heard else "", max(0.0, min(left, self._longest(heard=heard))))
                if due or (look is not None and look()):
                    return True
                if self._woken or bell.woken:
                    self._woken = False
                    return False
                if left <= 0:
                    return False
                if heard and rooms and bell.who not in self._announced and not bell.due:
                    continue  # a claim of `look` took it off the list, or it was rung already
                if self._clock.sleep(bell, min(left, pause)):
                    self._quiet = SHORTEST
                    if bell.due and not bell.woken and not self._closed:
                        return True  # what it was rung for may be gone by now: the claim will tell
                    if ends and not bell.woken and not self._woken and not self._closed:
                        return True
                elif heard and pause >= left:
                    return False  # nobody has rung, and nothing was to come before the end: another look would tell nothing
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
            requests = [self._way.request("pass", room, who) for who, rooms in self._announced.items() for room in rooms]
            self._announced = {}
            try:
                self._hub.ask(requests)
            except StoreError:
                pass  # it is forgotten by itself
        if self._ears is not None:
            self._ears.close()

    # -- looking

    def _look(self, rooms: Sequence[Room], ends: Ends, who: str, nap: float) -> tuple[bool, float]:
        """Whether something is due; seconds until the next look is worth while."""
        requests: list[Request] = []
        if rooms:
            each = micro(EACH) if self._poll is None and nap > ALONE else 0  # else it looks soon enough anyway
            args = (who, micro(nap), self._dead_keep, each, micro(min(nap, ALONE)))
            if self._hub.cluster:
                requests = [self._way.of_many("look", (room,), *args) for room in rooms]
            else:
                requests = [self._way.of_many("look", rooms, *args)]
        asked = len(requests)
        if who:
            requests += [self._way.on("hark", (key,), slot, who, micro(nap)) for key, slot in ends]
        if not requests:
            return False, nap
        looks = self._hub.ask(requests)[:asked]
        micros = min(looks, default=micro(nap))
        if who and rooms:
            if micros < 0:
                self._announced.pop(who, None)
            else:
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

    def _heard(self, number: int, key: str, due: bool) -> None:
        """A message for one of our threads, `due` if a job waits. If that one does not wait any more, another here or elsewhere gets it."""
        bell = self._bells.get(number)
        ends = key.endswith(":f")
        if bell is not None:
            if not ends and len(self._announced.get(bell.who, ())) == 1:
                del self._announced[bell.who]  # of several queues it leaves the others with its next claim or look
            if bell.waits:
                bell.due = bell.due or (due and not ends)
                bell.ring()
                return
        if not ends:
            self._hub.ask([self._way.request("pass", self._rooms.room(self._rooms.of_bell(key)), "")])

    def _ring_all(self) -> None:
        for bell in list(self._bells.values()):
            bell.ring()
