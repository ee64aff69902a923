"""One queue as this process works on it: the room, what is read of it, what is put, lent and settled there, and its bell."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from ...bells.datagram import Bell
from ...errors import StoreError
from ...events import Event
from .guard import stopped
from .intake import Intake
from .layout import Part, stretch_of
from .place import Place
from .room import Room

if TYPE_CHECKING:
    from .bringing import Bringing
    from .lanes import Lanes
    from .lending import HeldPart, Lending
    from .looking import Looking
    from .operating import Operating
    from .rescue import Rescue
    from .seats import Seats
    from .settling import Settling
    from .tree import Tree


class Station:
    """The sides of one queue, over one room. `held` has what this process holds, by the common part of its receipts.

    All sides but the intake are loaded when they are first asked for: a process that only puts starts in half the time.
    """

    def __init__(self, room: Room, bell: Bell | None, tell: Callable[[Event], None]) -> None:
        self.room = room
        self.place: Place = room.place
        self.disk = room.disk
        self.clock = room.place.clock
        self.tell = tell
        self.bell = bell
        self.held: dict[str, HeldPart] = {}
        self.retired = False  # the queue was dropped
        self.ended = False  # whether, since this was asked last, a job has ended and stays
        self.intake = Intake(room, lambda: self.rescue.forget_done(), lambda: self.rescue.look_now())

    @cached_property
    def tree(self) -> Tree:
        from .tree import Tree

        return Tree(self.room)

    @cached_property
    def lending(self) -> Lending:
        from .lending import Lending

        return Lending(self)

    @cached_property
    def settling(self) -> Settling:
        from .settling import Settling

        return Settling(self)

    @cached_property
    def lanes(self) -> Lanes:
        from .lanes import Lanes

        return Lanes(self)

    @cached_property
    def seats(self) -> Seats:
        from .seats import Seats

        return Seats(self)

    @cached_property
    def rescue(self) -> Rescue:
        from .rescue import Rescue

        return Rescue(self)

    @cached_property
    def looking(self) -> Looking:
        from .looking import Looking

        return Looking(self)

    @cached_property
    def bringing(self) -> Bringing:
        from .bringing import Bringing

        return Bringing(self)

    @cached_property
    def operating(self) -> Operating:
        from .operating import Operating

        return Operating(self)

    def into_slot(self, from_fd: int, name: str, part: Part, slot_fd: int | None = None) -> bool:
        """Rename a part (running or staged) into the waiting tree at its due; False when it is not there any more: somebody else did it.

        `slot_fd` is the slot it came from, tried first. "No such file" is ambiguous: the slot may be what is gone.
        """
        if slot_fd is not None and self.disk.rename(name, from_fd, part.waiting(), slot_fd):
            return True
        self.intake.slots.enter()
        try:
            return self._into_slot(from_fd, name, part)
        finally:
            self.intake.slots.leave()

    def _into_slot(self, from_fd: int, name: str, part: Part) -> bool:
        target = part.waiting()
        now = int(self.place.now() * 1e6)
        folder = self.intake.slots.choose(part.prio, part.due, now)
        for _ in range(100):
            slot = self.intake.slots.open(part.prio, folder)
            if self.disk.rename(name, from_fd, target, slot):
                return True
            if not self.disk.exists(name, from_fd):
                return False
            self.intake.slots.forget(part.prio, folder)
        raise StoreError(f"queue {self.room.queue}: a slot vanished as often as it was made; the job stays where it was")

    def into_shelf(self, shelf: str, from_fd: int, name: str, part: Part) -> bool:
        """Rename into dead/ or done/, into the stretch of its moment; False when it is not there any more."""
        target, stretch = part.held(), stretch_of(part.until)
        for _ in range(100):
            above = self.room.folder(shelf)
            fd = self.disk.open_folder(stretch, above)
            if fd is None:
                self.disk.mkdir(stretch, above, self.place.folder_mode)
                continue
            try:
                if self.disk.rename(name, from_fd, target, fd):
                    if self.place.acks_full:
                        self.disk.sync(above)
                        self.disk.sync(fd)
                    return True
            finally:
                os.close(fd)
            if not self.disk.exists(name, from_fd):
                return False
        raise StoreError(f"queue {self.room.queue}: a folder of {shelf} vanished as often as it was made; the job stays where it was")

    def give_back(self, held: HeldPart, restore: bool) -> bool:
        """The whole part back to its old place."""
        part = held.part.trimmed()
        done = self.into_slot(held.run.fd, held.name, part.but(attempts=part.attempts - 1) if restore else part)
        if done and held.part.stay:
            self.seats.free(held.part)
        return done

    def accepts(self) -> None:
        """Raises Stopped when the operator has switched this queue off for new jobs."""
        reason = self.room.stopped("put")
        if self.room.gone:
            raise StoreError(f"queue {self.room.queue} was dropped at this moment; the job was not stored, put it again", definite=True)
        if reason is not None:
            raise stopped(self.room.queue, "new jobs", reason)

    def note_lease(self, until: int) -> None:
        self.rescue.expect(until)

    def ring(self, jobs: int, due: bool = False) -> None:
        if self.bell is not None and jobs > 0:
            self.bell.ring(jobs, due)

    def lost(self) -> bool:
        """Whether folders of the queue that we have open were removed, by whoever drops it. If that is not all of it, they are
        forgotten."""
        if not self.room.has_lost_folders():
            return False
        if not self.room.gone:
            with self.room.lock:
                self.room.mend()
                try:
                    if self.bell is not None and self.bell.lost():
                        old, self.bell = self.bell, Bell(self.room.folder("bell"), self.place.file_mode)
                        old.shut()  # who rings with it just now rings in a folder that is gone
                except FileNotFoundError:
                    self.room.gone = True  # all of it has gone by now
        return True

    def __del__(self) -> None:
        if self.retired:
            self._shut()

    def _shut(self) -> None:
        """Close the descriptors, and do nothing else."""
        if "tree" in self.__dict__:
            self.tree.close()
        self.intake.slots.close()
        if self.bell is not None:
            self.bell.shut()
        self.room.shut()

    def close(self) -> None:
        if self.bell is not None:
            self.bell.close()
        self.room.leave()
        self._shut()
        self.retired = False
