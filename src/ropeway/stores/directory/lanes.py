"""The lanes of a queue: who has the place in each, and what is parked until there is one.

    places/<lane>.<n>                    a hard link to the file of the job that has place n of the lane
    parked/<lane>/<prio>.<waiting name>  ready, and out of the way

A claim links the job it is about to take to a place, and only then renames the job: the link can be made once, so one job has the place,
and since every later move keeps the file, it is that job's wherever it stands, through retries and the deaths of holders. A kill between
the two leaves a waiting job with a place, which is a sound state: it is the next of its lane. Whoever ends a job lets go of the place while
the file is still there under a name that says it has ended, so that a crash leaves neither behind; a place whose file has no other name is
nobody's, and the next claim takes it away.

Order. A place is handed on, not freed, while anything is parked: the first parked one is linked over it, in one rename, and then brought
back. If it was freed first, a claim that reads an older listing could take a later job. Whoever parks a job looks once more at the place,
which may have become free before the job was parked: then nobody else would bring it back. What a crash leaves half-way is put right by
`see_to`, which may be called for any lane at any time, by any number.

With more than one place a lane has no order to keep, and a job has its place only while it runs.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...codec import Damaged, FutureFormat
from ...store import Holder
from . import parts
from .layout import Part, is_lane, parked_name, read_parked

if TYPE_CHECKING:
    from .station import Station

PLACES, PARKED = "places", "parked"
TRIES = 100
NOBODY = Holder("lanes")  # who removes what has held a lane beyond its ttl


class Lanes:
    """The lanes of one queue. Called under the room's lock."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.room, self.disk = station.room, station.room.disk
        self.woke = False  # whether something was brought back since this was set to False
        self._looked_at: set[str] = set()  # lanes whose holder's ttl was looked at in this claim

    def begin(self) -> None:
        """A claim begins."""
        self.woke = False
        self._looked_at.clear()

    # -- taking a place

    def enter(self, from_fd: int, name: str, part: Part, prio: int, park: bool = True) -> int:
        """The number of the place that this waiting job has now. -1: its lane is full, and it was parked unless it is only to be asked
        for; or the job is not there any more."""
        places = self.room.folder(PLACES)
        for _ in range(TRIES):
            if not self._was_wide() and self.disk.link(name, from_fd, f"{part.lane}.0", places):  # the common case, in one call
                return 0
            mine = self._inode(name, from_fd)
            if not mine:
                return -1
            used = self._used(part.lane)
            known = [number for number, inode in used.items() if inode == mine]
            if known:
                return known[0]
            if len(used) >= self.width():
                if self._forget_gone(part.lane, used) or (part.lane not in self._looked_at and self._holder_expired(part.lane, used)):
                    continue
                if park:
                    self._park(from_fd, name, part, prio, mine)
                return -1
            free = next(number for number in range(self.width()) if number not in used)
            if self.disk.link(name, from_fd, f"{part.lane}.{free}", places):
                return free
        raise FileNotFoundError(f"no place could be made in lane {part.lane} of queue {self.room.queue}")

    def width(self) -> int:
        """How many places a lane of this queue has."""
        return self.room.bounds.limits.lane if self.room.bounds is not None else 1

    def _was_wide(self) -> bool:
        """Whether there may be places beyond the first, of a time when lanes were wider."""
        return self.room.bounds is not None and self.room.bounds.widest > 1

    def _used(self, lane: str) -> dict[int, int]:
        """The inodes of those who have a place in the lane, by its number."""
        places = self.room.folder(PLACES)
        if not self._was_wide():
            inode = self._inode(f"{lane}.0", places)
            return {0: inode} if inode else {}
        prefix = f"{lane}."
        names = [name for name in self.disk.names(places) if name.startswith(prefix) and name[21:].isdigit()]
        return {int(name[21:]): inode for name in sorted(names) if (inode := self._inode(name, places))}

    def _inode(self, name: str, fd: int) -> int:
        """The file behind a name, 0 when there is none."""
        try:
            return self.disk.stat(name, fd).st_ino
        except FileNotFoundError:
            return 0

    def _forget_gone(self, lane: str, used: dict[int, int]) -> bool:
        """Take away the places of jobs that have gone, by a name of our own first: one that is another's by then is put back."""
        run, places, found = self.room.run("p"), self.room.folder(PLACES), False
        for number in used:
            place, aside = f"{lane}.{number}", f"x{run.temporary()[1:]}"
            try:
                if self.disk.stat(place, places).st_nlink > 1 or not self.disk.rename(place, places, aside, run.fd):
                    continue
                if self.disk.stat(aside, run.fd).st_nlink > 1:
                    self.disk.link(aside, run.fd, place, places)
            except FileNotFoundError:
                continue
            self.disk.unlink(aside, run.fd)
            found = True
        return found

    def _holder_expired(self, lane: str, used: dict[int, int]) -> bool:
        """Remove a job that waits in its place and is past its ttl; True when one was: then there is a place."""
        self._looked_at.add(lane)
        now, places = self.room.place.now(), self.room.folder(PLACES)
        for number in used:
            try:
                job = parts.read(f"{lane}.{number}", places, 0, [0])[0]
            except (OSError, Damaged, FutureFormat):
                continue
            if not job.ttl or job.expires() > now:
                continue
            self.station.operating.pick([job.id], 30.0, NOBODY, free=True)
            if self._used(lane).get(number) != used[number]:
                return True
        return False

    # -- out of the way, and back

    def _park(self, from_fd: int, name: str, part: Part, prio: int, inode: int) -> None:
        part = part.but(prio=prio)
        for _ in range(TRIES):
            line = self._line(part.lane, make=True)
            if line is None:
                continue
            try:
                if self.disk.rename(name, from_fd, parked_name(part), line):
                    break
            finally:
                os.close(line)
            if not self.disk.exists(name, from_fd):
                return
        used = self._used(part.lane)
        if len(used) < self.width() or inode in used.values():
            self.see_to(part.lane)

    def _line(self, lane: str, make: bool = False) -> int | None:
        """A descriptor of the folder with what is parked of a lane."""
        above = self.room.folder(PARKED)
        line = self.disk.open_folder(lane, above)
        if line is None and make:
            self.disk.mkdir(lane, above, self.room.place.folder_mode)
            line = self.disk.open_folder(lane, above)
        return line

    def _parked(self, line: int) -> Iterator[str]:
        """What is parked in a lane, the first first. Most who ask take one or two, of thousands perhaps: so the rest is never sorted."""
        names = self.disk.names(line)
        heapq.heapify(names)
        while names:
            name = heapq.heappop(names)
            if read_parked(name) is not None:
                yield name

    def _bring_back(self, line: int, name: str) -> None:
        part = read_parked(name)
        if part is not None and self.station.into_slot(line, name, part):
            self.woke = True
            self.station.tree.forget()
            self.station.ring(1, due=True)

    def see_to(self, lane: str) -> None:
        """Bring back what has a place, and give the places that are free to the first that are parked."""
        for _ in range(TRIES):
            line = self._line(lane)
            if line is None:
                return
            try:
                if self._see_to(lane, line):
                    break
            finally:
                os.close(line)
        else:
            return
        self.disk.rmdir(lane, self.room.folder(PARKED))  # only when nothing is parked any more

    def _see_to(self, lane: str, line: int) -> bool:
        """False: another was faster, look again."""
        used = self._used(lane)
        holding = {*used.values()}
        for name in self._parked(line):
            if not holding and len(used) >= self.width():
                return True
            inode = self._inode(name, line)
            if inode in holding:
                holding.discard(inode)
                self._bring_back(line, name)
            elif inode and len(used) < self.width():
                free = next(number for number in range(self.width()) if number not in used)
                if not self.disk.link(name, line, f"{lane}.{free}", self.room.folder(PLACES)):
                    return False
                used[free] = inode
                self._bring_back(line, name)
        return True

    # -- letting go

    def leave(self, fd: int, name: str, part: Part) -> None:
        """The job behind this name has ended, or in a wide lane no longer runs: its place is the next one's."""
        inode = self._inode(name, fd)
        used = self._used(part.lane)
        freed = False
        for number in [number for number, other in used.items() if other == inode]:
            if len(used) <= self.width() and self._hand_on(part.lane, number, {*used.values()}):
                continue
            self.disk.unlink(f"{part.lane}.{number}", self.room.folder(PLACES))
            used.pop(number)
            freed = True
        if freed:
            self.see_to(part.lane)  # one may have been parked after we looked, by one who saw the place taken

    def _hand_on(self, lane: str, number: int, holding: set[int]) -> bool:
        """Give a place that is ours to the first that is parked; False when none is."""
        line = self._line(lane)
        if line is None:
            return False
        try:
            run = self.room.run("p")
            for name in self._parked(line):
                aside = f"h{run.temporary()[1:]}"
                if self._inode(name, line) in holding or not self.disk.link(name, line, aside, run.fd):
                    continue
                self.disk.rename(aside, run.fd, f"{lane}.{number}", self.room.folder(PLACES))
                self._bring_back(line, name)
                return True
            return False
        finally:
            os.close(line)

    # -- what crashes leave

    def mend(self) -> None:
        """See to every lane that has something parked."""
        parked = self.disk.open_folder(PARKED, self.room.fd)
        if parked is None:
            return
        try:
            lanes = [name for name in self.disk.names(parked) if is_lane(name)]
        finally:
            os.close(parked)
        self.begin()
        for lane in lanes:
            self._holder_expired(lane, self._used(lane))
            self.see_to(lane)

    # -- for who looks on

    def left_behind(self) -> tuple[int, int]:
        """How many places are those of jobs that have gone, and in how many lanes something is parked that nobody holds up: without a
        change, and as it stood at one moment, so that either may be under way."""
        places, parked = (self.disk.open_folder(name, self.room.fd) for name in (PLACES, PARKED))
        try:
            taken: dict[str, int] = {}
            gone = 0
            for name in self.disk.names(places) if places is not None else ():
                lane, _, number = name.rpartition(".")
                try:
                    lone = self.disk.stat(name, places).st_nlink < 2 if is_lane(lane) and number.isdigit() and places is not None else None
                except FileNotFoundError:
                    continue
                gone += lone is True
                taken[lane] = taken.get(lane, 0) + (lone is False)
            lanes = [name for name in self.disk.names(parked) if is_lane(name)] if parked is not None else []
            return gone, sum(1 for lane in lanes if not taken.get(lane) and self._any_parked(lane))
        finally:
            for fd in (places, parked):
                if fd is not None:
                    os.close(fd)

    def _any_parked(self, lane: str) -> bool:
        line = self._line(lane)
        if line is None:
            return False
        try:
            return next(self._parked(line), None) is not None
        finally:
            os.close(line)
