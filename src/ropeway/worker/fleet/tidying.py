"""Housekeeping: the private queues of workers and callers that died without a word are removed by whichever worker happens to look.

No leader: each worker looks now and then, by chance, and a note keeps the others from doing the same for a while. What is doubled does
no harm. A queue goes only when its owner was missing at two looks of the same worker: a note that is late, or not written yet, costs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from random import random

from ...errors import RopewayError
from ...link import Link
from ...store import Feature
from . import notice
from .switch import remove

OWNERS = {notice.ORDERS: notice.PREFIX, "_reply.": "reply/"}  # how such queues begin, and the presence note of their owner
GUARD = "fleet/tidied"
EACH = 600.0  # seconds between two looks of one worker, half as much more or less
SURE = 60.0  # seconds between the two looks at one queue


class Tidying:
    """`at_times` is called often and looks seldom."""

    def __init__(self, link: Link, chance: Callable[[], float] = random) -> None:
        self._link = link
        self._chance = chance
        self._missed: dict[str, float] = {}  # queues whose owner was not there, and since when
        self._next = link.clock.boot() + EACH * (0.5 + chance())

    def at_times(self) -> None:
        """Look, if it is time to. Never raises."""
        now = self._link.clock.boot()
        if now < self._next:
            return
        self._next = now + EACH * (0.5 + self._chance())
        try:
            if self._missed or self._may():
                self.look()
        except RopewayError:
            return
        if self._missed:
            self._next = now + SURE

    def look(self) -> list[str]:
        """Remove the queues whose owner was missing a while ago and is missing still; their names."""
        store, now = self._link.store, self._link.clock.boot()
        orphans = self._orphans()
        gone = [queue for queue, since in self._missed.items() if queue in orphans and now - since >= SURE]
        self._missed = {queue: self._missed.get(queue, now) for queue in orphans if queue not in gone}
        if gone:
            remove(store, gone)
        return gone

    def _orphans(self) -> set[str]:
        store = self._link.store
        private = {queue: begin for queue in store.queues() for begin in OWNERS if queue.startswith(begin)}
        there: set[str] = set()
        for begin in set(private.values()):
            there |= {begin + key.removeprefix(OWNERS[begin]) for key in store.notes.notes(OWNERS[begin])}
        return set(private) - there

    def _may(self) -> bool:
        """Whether nobody has looked lately; from now on, somebody has."""
        store = self._link.store
        if Feature.NOTES not in store.features or store.notes.notes(GUARD):
            return False
        store.notes.note(GUARD, b"1", EACH / 2)
        return True
