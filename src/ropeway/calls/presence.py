"""Whose a reply queue is: a note with a lifetime, renewed while it is used; and removing the queues whose owners have gone."""

from __future__ import annotations

import os

import msgspec

from ..errors import RopewayError
from ..link import Link
from ..store import Feature, Query, Store
from .wire import PREFIX

NOTE = "reply/"  # + the hex digits of the queue's name
LIFETIME = 120.0


class Presence:
    """The note of one reply queue."""

    def __init__(self, link: Link, queue: str) -> None:
        self._link = link
        self._key = NOTE + queue.removeprefix(PREFIX)
        self._noted = -LIFETIME

    @property
    def fresh(self) -> bool:
        """Whether less than a third of its lifetime is over."""
        return self._link.clock.boot() - self._noted < LIFETIME / 3

    def renew(self) -> None:
        """Write the note, unless it is fresh. Raises StoreError."""
        if self.fresh:
            return
        now, store = self._link.clock.boot(), self._link.store
        if Feature.NOTES in store.features:
            store.notes.note(self._key, msgspec.json.encode({"holder": self._link.holder().name, "pid": os.getpid()}), LIFETIME)
        self._noted = now

    def end(self) -> None:
        store = self._link.store
        if Feature.NOTES in store.features:
            store.notes.forget(self._key)


def sweep(store: Store) -> int:
    """Remove the reply queues whose owners have left no note, with the answers that nobody will read; how many. An owner that was only
    stopped for longer than its note lives finds its queue made anew by the next answer."""
    if Feature.NOTES not in store.features:
        return 0
    queues = [name for name in store.queues() if name.startswith(PREFIX)]  # before the notes: a note is there before its queue
    if not queues:
        return 0
    present = store.notes.notes(NOTE)
    left = [name for name in queues if NOTE + name.removeprefix(PREFIX) not in present]
    return sum(remove(store, name) for name in left)


def remove(store: Store, queue: str) -> bool:
    """The queue with all that is in it; False when something of it is still claimed, or the store refuses."""
    try:
        if Feature.BROWSE in store.features:
            store.delete(Query(queues=(queue,), limit=None))
        return store.drop((queue,))[0]
    except RopewayError:
        return False
