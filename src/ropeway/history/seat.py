"""The name under which a process writes its counts, lent from one process to the next: so there are as many notes as there were ever
processes at once, and not one for each start.

    history/held/NAME/PROCESS   this one writes under the name; the value says who it is
    history/free/NAME           nobody does, and none will write of its own accord again

Of several that `forget` the same note one is told True: whoever that is has the name. So no name has two holders, and what a crash in
between costs is the name, never a count. Who has a name that others had before goes on in their notes, and has to read each once before
he writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import random

from ..link import Link
from ..living import identity, is_dead
from ..names import is_name
from ..notes import Notes
from .sums import DAY, KEEP_HOURS

FREE, HELD = "history/free/", "history/held/"
LIFETIME = KEEP_HOURS + DAY  # seconds: by then nothing is left of what was written under the name
RENEWED = DAY / 2
LONGEST = 100  # characters of a name


class Seat:
    """`name` is empty until `take`. `own` is a name that no other process ever has. For one thread at a time."""

    def __init__(self, link: Link, own: str, chance: Callable[[], float] = random) -> None:
        self.name = ""
        self.lent = False  # others had the name before
        self._link = link
        self._own = own
        self._chance = chance
        self._told = 0.0  # when that it is held was last written; boot clock
        self._got = ""  # a name that is ours, and of which that could not be written
        self._left = 0  # how often it was left: the own name is somebody else's by then

    def take(self) -> None:
        """A free name, that of a dead process of this host, or the own one. Raises StoreError."""
        notes = self._link.store.notes
        if not self._got:
            free = [(key, key.removeprefix(FREE)) for key in notes.notes(FREE)]
            name = self._first(notes, free) or self._first(notes, self._of_the_dead(notes))
            self._got, self.lent = name or self._own + (f"-{self._left}" if self._left else ""), bool(name)
        self._tell(notes, self._got)
        self.name, self._got = self._got, ""

    def renew(self) -> None:
        """Now and then: it is still held. Raises StoreError."""
        if self._link.clock.boot() - self._told >= RENEWED:
            self._tell(self._link.store.notes, self.name)

    def leave(self) -> None:
        """Nothing more is written under it, by nobody's call: the next may have it. Raises StoreError; it is not held any more even so."""
        name, self.name, self._left = self.name, "", self._left + 1
        notes = self._link.store.notes
        if name and notes.forget(self._key(name)):
            notes.note(FREE + name, b"", LIFETIME)

    def _tell(self, notes: Notes, name: str) -> None:
        notes.note(self._key(name), identity().encode(), LIFETIME)
        self._told = self._link.clock.boot()

    def _key(self, name: str) -> str:
        return f"{HELD}{name}/{self._own}"

    def _first(self, notes: Notes, names: Sequence[tuple[str, str]]) -> str:
        """The first one whose note we drop; by chance, since others may look for one at the same moment."""
        for key, name in sorted(names, key=lambda _: self._chance()):
            if is_name(name) and len(name) <= LONGEST and notes.forget(key):
                return name
        return ""

    def _of_the_dead(self, notes: Notes) -> list[tuple[str, str]]:
        """Held by a process that is certainly gone. One of another host keeps its name until the note is over."""
        held = notes.notes(HELD).items()
        return [(key, key.split("/")[2]) for key, who in held if who.isascii() and is_dead(who.decode())]
