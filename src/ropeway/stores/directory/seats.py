"""The places of a queue that may run only so many at once: `seats/<n>`, an empty file made exclusively before a job is claimed.

The running name says which seat it has (`.q<n>`), so whoever ends the run frees it, and a seat that no running name tells of is nobody's:
its claimer died between the two steps. Such a one is removed when it is some seconds old. Jobs that were running when the limit was set
have no seat; they are counted until they are done. A queue without a limit has nothing of this.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .disk import NEW_FILE
from .layout import Part, read_held, read_holder

if TYPE_CHECKING:
    from .room import Bounds
    from .station import Station

SEATS = "seats"
LONE_FOR = 5.0  # seconds that a seat may be without a job
SURE_AFTER = 3.0  # seconds after a limit was set by which every claim that did not know of it is done


class Seats:
    """The seats of one queue."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.room, self.disk = station.room, station.room.disk
        self._all_seated = 0.0  # of the limit that was set then it is known that all who run have a seat

    def take(self) -> int:
        """A seat of our own; -1 when as many run as may. None in a queue without a limit is never asked for."""
        bounds = self.room.bounds
        if bounds is None:
            return -1
        most, used, others = bounds.limits.running, self._used(), self._others(bounds)
        seats = self.room.folder(SEATS)
        for number in range(most):
            if len(used) + others >= most:
                return -1
            if number in used:
                continue
            try:
                os.close(self.disk.calls.open(str(number), NEW_FILE, self.room.place.file_mode, dir_fd=seats))
            except FileExistsError:
                used.add(number)
                continue
            if (others or max(used, default=0) >= most) and len(self._used()) + self._others(bounds) > most:
                self.give(number)  # of two who came at once while more than one limit is about, neither
                return -1
            return number
        return -1

    def give(self, number: int) -> None:
        """The seat is free."""
        self.disk.unlink(str(number), self.room.folder(SEATS))

    def free(self, part: Part) -> None:
        """The part runs no more."""
        if part.seat >= 0:
            self.give(part.seat)
        bounds = self.room.bounds
        if bounds is not None and bounds.limits.running:
            self.station.ring(1, due=True)

    def full(self) -> bool:
        """Whether as many run as may."""
        bounds = self.room.bounds
        if bounds is None or not bounds.limits.running:
            return False
        return len(self._used()) + self._others(bounds) >= bounds.limits.running

    def _used(self) -> set[int]:
        return {int(name) for name in self.disk.names(self.room.folder(SEATS)) if name.isdigit()}

    def _others(self, bounds: Bounds) -> int:
        """How many run without a seat: they were claimed before the limit was set."""
        if self._all_seated == bounds.since:
            return 0
        others = sum(part.live() for _, part, _ in self.station.looking.running() if part.seat < 0)
        if not others and not 0 <= self._now() - bounds.since < SURE_AFTER:
            self._all_seated = bounds.since
        return others

    def _now(self) -> float:
        """By the clock that stamps files."""
        return self.room.place.stamps()

    def mend(self) -> None:
        """Remove the seats that nobody has."""
        seats = self.disk.open_folder(SEATS, self.room.fd)
        if seats is None:
            return
        try:
            for name in self._lone(seats):
                self.disk.unlink(name, seats)
        finally:
            os.close(seats)

    def left_behind(self) -> int:
        """How many seats nobody has, without a change."""
        seats = self.disk.open_folder(SEATS, self.room.fd)
        if seats is None:
            return 0
        try:
            return len(self._lone(seats))
        finally:
            os.close(seats)

    def _lone(self, seats: int) -> list[str]:
        old = [name for name in self.disk.names(seats) if name.isdigit() and self._old(name, seats)]
        taken = self._told() if old else set()
        return [name for name in old if int(name) not in taken]

    def _old(self, name: str, seats: int) -> bool:
        try:
            return self._now() - self.disk.stat(name, seats).st_mtime > LONE_FOR
        except FileNotFoundError:
            return False

    def _told(self) -> set[int]:
        """The seats that any running name tells of, those that are being settled among them."""
        told: set[int] = set()
        run = self.room.folder("run")
        for folder in self.disk.names(run):
            fd = self.disk.open_folder(folder, run) if read_holder(folder) is not None else None
            if fd is None:
                continue
            try:
                for name in self.disk.names(fd):
                    part = read_held(name.removeprefix("g"))
                    if part is not None and part.seat >= 0:
                        told.add(part.seat)
            finally:
                os.close(fd)
        return told
