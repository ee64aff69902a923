"""Giving back what dead or late holders hold, and clearing away what they left. Anyone may do it, any number at once, killed at any step.

    for each holder:  1. publish every staged file that its parent's name commits
                      2. rename the parent back to its old due: bits and attempts kept, one death more
    dead, and empty:  3. finish what was settled (g...), drop unfinished puts and void staged files, remove the folder

A listing is not atomic: a staged file can be seen and its parent, just being renamed, be missed. So only committed ones are published, and
void ones are removed only from a dead holder's folder in which no parent is left; a living holder removes its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...codec import Damaged, FutureFormat
from ...events import Event
from . import beside, bodies, keys, parts
from .holders import alive, identity
from .layout import Part, read_held, read_holder, receipt_of

if TYPE_CHECKING:
    from .station import Station

EACH = 1.0  # seconds between two looks at the holders: by this process, and by all of this host together
SHELVES_EACH = 10.0
SWEPT = ".swept."  # and the boot it is about: another host cannot see who is dead here


class Rescue:
    """The rescuing side of one queue. Called under the room's lock."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.room, self.disk, self.place = station.room, station.room.disk, station.room.place
        self._looked = -1e9
        self._shelves = -1e9
        self._next = 1 << 62  # the earliest lease end that is known of, by the lease clock
        self.others = False  # whether anyone but this process held something at the last look

    def expect(self, until: int) -> None:
        self._next = min(self._next, until)

    def next_end(self) -> float | None:
        """Seconds until the earliest lease end known of; None when none is."""
        if self._next == 1 << 62:
            return None
        clock, error = self.place.lease_clock()
        return max(0.0, (self._next + error - clock) / 1000)

    def if_due(self) -> int:
        """Look at the holders if it is time to: once a second and host, and whenever a lease that is known of has run out."""
        boot = self.place.clock.boot()
        clock, error = self.place.lease_clock()
        over = self._next + error < clock
        if not over and boot - self._looked < EACH:
            return 0
        if not over and self._others_looked():
            self._looked, self.others = boot, True  # what they saw we do not know
            return 0
        return self.look()

    def _others_looked(self) -> bool:
        """Whether another process of this host did it within the last second: one stat of a file that each touches."""
        fd, mark = self.room.folder("run"), SWEPT + identity("p").boot
        try:
            mtime = os.stat(mark, dir_fd=fd, follow_symlinks=False).st_mtime
            if 0 <= self.place.clock.now() - mtime < EACH:
                return True
        except FileNotFoundError:
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, self.place.file_mode, dir_fd=fd))
        now = self.place.clock.now()
        os.utime(mark, (now, now), dir_fd=fd, follow_symlinks=False)
        return False

    def look(self) -> int:
        """One pass over all holders now. How many jobs were given back."""
        self._looked = self.place.clock.boot()
        self._next, self.others = 1 << 62, False
        returned = 0
        for name in self.disk.names(self.room.folder("run")):
            if read_holder(name) is not None:
                returned += self._holder(name)
        if returned:
            self.station.tree.forget()
            self.station.tell(Event("rescued", self.room.queue, count=returned))
            self.station.ring(returned)
        if self._looked - self._shelves > SHELVES_EACH:
            self.forget_done()
            self.station.lanes.mend()
            self.station.seats.mend()
            if self.station.bell is not None:
                self.station.bell.tidy(self.disk.shared)
        self.station.tree.tidy()
        return returned

    def look_now(self) -> int:
        """The same for who has no lock yet."""
        with self.room.lock:
            return self.look()

    def _holder(self, folder: str) -> int:
        holder = read_holder(folder)
        mine = self.room.own_run(folder)
        dead = holder is not None and mine is None and alive(holder, self.disk.shared) is False
        fd = mine.fd if mine else self.disk.open_folder(folder, self.room.folder("run"))
        if fd is None or holder is None:
            return 0
        try:
            return self._parts_of(folder, fd, dead, holder.kind == "p", mine is not None)
        finally:
            if mine is None:
                os.close(fd)

    def _parts_of(self, folder: str, fd: int, dead: bool, bound: bool, mine: bool) -> int:
        names = self.disk.names(fd)
        held = [(n, p) for n in names if (p := read_held(n)) is not None]
        clock, error = self.place.lease_clock()
        returned, left = 0, 0
        for name, part in held:
            if not (dead and bound) and part.until + error >= clock:
                left += 1
                self._next = min(self._next, part.until)
                self.others = self.others or not mine
                continue
            self.station.settling.publish_committed(fd, part)  # by a listing of its own: that of above may have missed a staged one
            if part.full():
                self.station.settling.left(fd, name, part)
                self.disk.unlink(name, fd)
            elif self._return(fd, name, part):
                returned += part.live()
                if mine:
                    self.station.held.pop(receipt_of(self.room.queue, folder, part), None)
        if dead and not left:
            self._clear(folder, fd)
        elif not mine:
            self._finish_late(fd, names, clock - error)
        return returned

    def _finish_late(self, fd: int, names: list[str], clock: int) -> None:
        """What was settled long ago, and not cleared away: nobody else can tell whether the holder, on another host, is dead."""
        for name in names:
            part = read_held(name[1:]) if name.startswith("g") else None
            if part is not None and part.until < clock:
                self._finish(fd, name, part)

    def _return(self, fd: int, name: str, part: Part) -> bool:
        back = part.trimmed().but(deaths=part.deaths + 1)
        if not self.station.into_slot(fd, name, back):
            return False
        if part.stay:
            self.station.seats.free(part)
        return True

    def _clear(self, folder: str, fd: int) -> None:
        """A dead holder without parts: what is settled is finished, what was never published goes, and the folder with it."""
        names = self.disk.names(fd)
        if any(read_held(n) for n in names):
            return  # one that the first listing missed: next time
        there = set(names)
        for name in sorted(names, key=lambda n: n[:1] == "t"):  # t last: beside it a body is known to be unpublished
            if name.startswith("g"):
                part = read_held(name[1:])
                if part:
                    self._finish(fd, name, part)
            elif name.startswith("b") and f"t{name[1:].partition('.')[0]}" in there:
                bodies.withdraw(self.room, name.partition(".")[2])
            elif name.startswith("t"):
                self._let_go(fd, name)
            self.disk.unlink(name, fd)
        self.disk.rmdir(folder, self.room.folder("run"))

    def _finish(self, fd: int, name: str, part: Part) -> None:
        """Clear up behind a settled part: places, bodies, what lies beside, keys."""
        self.station.settling.left(fd, name, part)
        try:
            jobs = parts.read(name, fd, part.first, [*part.open_records()]) if not part.full() else []
        except (OSError, Damaged, FutureFormat):
            jobs = []
        for job in jobs:
            if job.size >= 0 or part.edit:
                bodies.withdraw(self.room, job.id)
            beside.forget(self.room, job.id)
            if job.key or job.once:
                keys.let_go(self.room, self.room.run("p"), job)
        self.disk.unlink(name, fd)

    def _let_go(self, fd: int, name: str) -> None:
        """An unfinished put may have taken its key already."""
        try:
            inode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_ino
            job = parts.read(name, fd, 0, [0])[0]
        except (OSError, Damaged, FutureFormat):
            return
        if job.key or job.once:
            keys.let_go(self.room, self.room.run("p"), job, inode)

    def remove_ended(self, fd: int, name: str) -> int:
        """Remove a dead or done part by its exact name; how many jobs went."""
        run = self.room.run("p")
        gone = f"g{name}"
        part = read_held(name)
        if part is None or not self.disk.rename(name, fd, gone, run.fd):
            return 0
        self._finish(run.fd, gone, part)
        return part.live()

    def forget_done(self) -> int:
        """Remove done jobs whose time to be forgotten has come, and dead ones that are older than `dead_keep`. How many."""
        with self.room.lock:
            return self._forget_done()

    def _forget_done(self) -> int:
        self._shelves = self.place.clock.boot()
        now = int(self.place.now() * 1e6)
        gone = self._sweep("done", now)
        if self.place.dead_keep:
            gone += self._sweep("dead", now - int(self.place.dead_keep * 1e6))
        return gone

    def _sweep(self, shelf: str, until: int) -> int:
        above, gone = self.room.folder(shelf), 0
        for stretch in sorted(self.disk.names(above)):
            fd = self.disk.open_folder(stretch, above) if len(stretch) == 7 and int(stretch, 16) << 28 <= until else None
            if fd is None:
                continue
            try:
                for name in self.disk.names(fd):
                    part = read_held(name)
                    if part and part.until <= until:
                        gone += self.remove_ended(fd, name)
            finally:
                os.close(fd)
            self.disk.rmdir(stretch, above)
        return gone
