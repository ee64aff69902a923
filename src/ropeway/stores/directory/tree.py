"""Reading the waiting jobs in order, without ever listing the backlog: priorities, then stretches, then slots, then the names of the slots
whose time has come. What was listed is believed for as long as that is sound, and no longer.

A listing is believed while the folder's mtime stays the one read *before* it, if the listing began a good while after that mtime (a
change within one tick of the file system's clock leaves the mtime as it was). The names of a slot are used up before they are read
again; those whose due lies after the moment the listing began are not taken from it, since a put of that moment may have been missed.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .disk import GONE, Disk
from .layout import STRETCH, is_prio, is_slot, is_stretch, read_waiting, slot_end, stretch_of
from .place import open_again
from .room import YOUNG

if TYPE_CHECKING:
    from .room import Room

YOUNG_SHARED = 2_500_000_000
DOUBT = 100_000_000  # ns
AGED = 10_000_000  # us: an empty slot whose time is over by this much may be removed


class Level:
    """A folder whose names are folders, listed only when it has changed."""

    __slots__ = ("_again", "_keep", "disk", "fd", "mtime", "names")

    def __init__(self, disk: Disk, fd: int, keep: Callable[[str], bool]) -> None:
        self.disk, self.fd = disk, fd
        self.names: list[str] = []
        self.mtime = -1
        self._again = 0
        self._keep = keep

    def refresh(self, doubt: bool = False) -> bool:
        """List again if need be; True when that was done. `doubt`: also when all that speaks for it is a removal of our own."""
        if self.disk.shared:
            self.fd = _anew(self.fd)
        mtime = _mtime(self.fd)
        if mtime == self.mtime and not (self._again and (doubt or time.time_ns() > self._again)):
            return False
        began = time.time_ns() + self.disk.ahead
        self.names = sorted(filter(self._keep, self.disk.names(self.fd)), key=_by_start)
        self.mtime = mtime if mtime >= 0 and began - mtime > _young(self.disk) else -1
        self._again = 0
        return True

    def remove(self, name: str) -> bool:
        """Remove an empty folder; False when it is not empty. Then the new mtime is taken as known, so that a drain does not list the
        stretch again for every slot it empties; since another's change may hide behind it, the list is doubted soon after."""
        known = _mtime(self.fd) == self.mtime
        if not self.disk.rmdir(name, self.fd):
            return False
        if name in self.names:
            self.names.remove(name)
        if known:
            self.mtime = _mtime(self.fd)
            self._again = self._again or time.time_ns() + DOUBT
        return True

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _anew(fd: int) -> int:
    try:
        fresh = open_again(fd)
    except OSError as error:
        if error.errno not in GONE:
            raise
        return fd  # removed: it shows nothing any more, and is dropped when the folder above is listed
    os.close(fd)
    return fresh


def _mtime(fd: int) -> int:
    """When the folder was changed last, in ns; -2, which is never believed, when it was removed."""
    try:
        info = os.fstat(fd)
        return info.st_mtime_ns if info.st_nlink else -2
    except OSError as error:
        if error.errno not in GONE:
            raise
        return -2


def _removed(disk: Disk, fd: int) -> bool:
    """Whether the open folder was removed meanwhile; there may be a new one of the same name."""
    try:
        if disk.shared:
            os.close(open_again(fd))
        return os.fstat(fd).st_nlink == 0
    except OSError as error:
        if error.errno not in GONE:
            raise
        return True


def _young(disk: Disk) -> int:
    return YOUNG_SHARED if disk.shared else YOUNG


def _by_start(name: str) -> str:
    return name[1:] + name[0] if len(name) == 15 else name


class Slot:
    """One slot and the names in it that are still to be tried, in order, from `at` on."""

    __slots__ = ("at", "end", "fd", "later", "mtime", "name", "names", "passed")

    def __init__(self, name: str, fd: int) -> None:
        self.name, self.fd = name, fd
        self.end = slot_end(name)
        self.names: list[str] = []
        self.at = 0
        self.mtime = -1  # of the listing, when it is believed
        self.later = ""  # the first name of it that was not due yet
        self.passed: set[str] = set()  # names that stay where they are: foreign ones, and parts of a later format

    def read(self, disk: Disk, until: int) -> None:
        """List the names that are due by `until` (microseconds)."""
        if disk.shared:
            self.fd = _anew(self.fd)
        mtime = _mtime(self.fd)
        limit = f"{until + 1:014x}"
        if mtime == self.mtime and not self.later < limit:
            self.names, self.at = [], 0
            return
        began = time.time_ns() + disk.ahead
        self.hold(disk.names(self.fd), limit)
        if not self.names and mtime >= 0 and began - mtime > _young(disk):
            self.mtime = mtime

    def hold(self, names: list[str], limit: str) -> None:
        """What was just listed, below the limit, is what is to be tried now. It is not believed for longer: it is about to be taken."""
        if self.passed:
            names = [n for n in names if n not in self.passed]
        names.sort()
        due = bisect_left(names, limit)
        self.later = names[due] if due < len(names) else "z"
        del names[due:]
        self.names, self.at, self.mtime = names, 0, -1

    def first(self, names: list[str]) -> int | None:
        """The earliest due of these names, None when there is none among them; foreign ones are passed over from now on."""
        while names := [n for n in names if n not in self.passed]:
            least = min(names)
            part = read_waiting(least)
            if part is not None:
                return part.due
            self.passed.add(least)
        return None

    def forget(self) -> None:
        """List again before the next name is given."""
        self.names, self.at, self.mtime = [], 0, -1

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Stretch:
    """268 seconds of slots, and those of them that are open."""

    __slots__ = ("level", "name", "open")

    def __init__(self, name: str, level: Level) -> None:
        self.name, self.level = name, level
        self.open: dict[str, Slot] = {}

    def drop_missing(self) -> None:
        there = set(self.level.names)
        for gone in [n for n, slot in self.open.items() if n not in there or _removed(self.level.disk, slot.fd)]:
            self.open.pop(gone).close()

    def close(self) -> None:
        for slot in self.open.values():
            slot.close()
        self.open.clear()
        self.level.close()


class Prio:
    """The waiting jobs of one priority."""

    def __init__(self, room: Room, name: str, fd: int) -> None:
        self.room, self.disk, self.name = room, room.disk, name
        self.number = int(name)
        self.level = Level(room.disk, fd, is_stretch)
        self.stretches: dict[str, Stretch] = {}

    def runs(self, now: int) -> Iterator[tuple[Slot, str]]:
        """(slot, bound): take the slot's names from `at` while they sort below the bound, then ask for the next. Ends when nothing is due.

        Every run starts from a look at the folders, so that a slot that came late is seen before the next run is given.
        """
        last = stretch_of(now)
        emptied: set[str] = set()
        doubt = False
        while True:
            if self.level.refresh(doubt):
                self._drop_missing()
            best: Slot | None = None
            bound = f"{now + 1:014x}"
            for stretch_name in list(self.level.names):
                if stretch_name > last:
                    break
                if best is not None and f"{stretch_name}0000000" > best.names[best.at]:
                    bound = min(bound, f"{int(stretch_name, 16) << STRETCH:014x}")
                    break
                stretch = self._stretch(stretch_name)
                if stretch is None:
                    continue
                if stretch.level.refresh(doubt):
                    stretch.drop_missing()
                best, bound = self._earliest(stretch, now, best, bound, emptied)
            if best is None:
                if doubt:
                    return
                doubt = True
                continue
            doubt = False
            yield best, bound

    def _earliest(self, stretch: Stretch, now: int, best: Slot | None, bound: str, emptied: set[str]) -> tuple[Slot | None, str]:
        """The slot of the stretch that has the earliest name, if that is earlier than `best`; and up to which name nothing else comes."""
        limit = f"{now + 1:014x}"
        for name in list(stretch.level.names):
            start = name[1:]
            if start > bound:
                break
            if name in emptied:
                continue
            if best is not None and start > best.names[best.at]:
                return best, min(bound, start)
            slot = self._slot(stretch, name)
            if slot is None:
                continue
            if slot.at < len(slot.names) and slot.names[slot.at] >= limit:  # the clock was set back since they were listed
                slot.forget()
            if slot.at >= len(slot.names):
                until = int(self.room.place.now() * 1e6)
                slot.read(self.disk, min(until, now))
                if not slot.names:
                    emptied.add(name)
                    self._retire(stretch, slot, now)
                    continue
            head = slot.names[slot.at]
            if best is None:
                best = slot
            elif head < best.names[best.at]:
                best, bound = slot, min(bound, best.names[best.at])
            else:
                bound = min(bound, head)
        return best, bound

    def _stretch(self, name: str) -> Stretch | None:
        stretch = self.stretches.get(name)
        if stretch is None:
            fd = self.disk.open_folder(name, self.level.fd)
            if fd is None:
                self.level.mtime = -1
                return None
            stretch = self.stretches[name] = Stretch(name, Level(self.disk, fd, is_slot))
        return stretch

    def _slot(self, stretch: Stretch, name: str) -> Slot | None:
        slot = stretch.open.get(name)
        if slot is None:
            fd = self.disk.open_folder(name, stretch.level.fd)
            if fd is None:
                stretch.level.mtime = -1
                return None
            slot = stretch.open[name] = Slot(name, fd)
        return slot

    def _retire(self, stretch: Stretch, slot: Slot, now: int) -> None:
        """Nothing due in it: close it, and remove it when its time is over (only an empty folder can be removed; a producer that comes
        late makes it again)."""
        if slot.end + AGED // 4 >= now:
            return
        stretch.open.pop(slot.name, None)
        slot.close()
        if not stretch.level.remove(slot.name):
            return
        if not stretch.level.names and (int(stretch.name, 16) + 1 << STRETCH) + AGED < now and self.level.remove(stretch.name):
            gone = self.stretches.pop(stretch.name, None)
            if gone:
                gone.close()

    def _drop_missing(self) -> None:
        there = set(self.level.names)
        for name in [n for n, stretch in self.stretches.items() if n not in there or _removed(self.disk, stretch.level.fd)]:
            self.stretches.pop(name).close()

    def next_due(self, now: int) -> int | None:
        """The earliest moment (microseconds) at which something of this priority is or becomes due; None when nothing waits."""
        if self.level.refresh():
            self._drop_missing()
        for stretch_name in list(self.level.names):
            stretch = self._stretch(stretch_name)
            if stretch is None:
                continue
            if stretch.level.refresh():
                stretch.drop_missing()
            found: int | None = None
            for name in list(stretch.level.names):
                start = int(name[1:], 16)
                if found is not None and start > found:
                    return found
                slot = self._slot(stretch, name)
                if slot is None:
                    continue
                names = self.disk.names(slot.fd)
                if names:
                    due = slot.first(names)
                    if due is None:
                        continue
                    found = due if found is None else min(found, due)
                    if due <= now:  # the claim that follows need not list them again
                        slot.hold(names, f"{now + 1:014x}")
                else:
                    self._retire(stretch, slot, now)
            if found is not None:
                return found
        return None

    def close(self) -> None:
        for stretch in self.stretches.values():
            stretch.close()
        self.stretches.clear()
        self.level.close()


class Tree:
    """All that waits in one room, as this process sees it. Use it under the room's lock."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.level = Level(room.disk, os.dup(room.folder("jobs")), is_prio)
        self._prios: dict[str, Prio] = {}

    def prios(self) -> list[Prio]:
        """The priorities that exist, the first to be served first."""
        if self.level.refresh():
            if not self.level.names and _removed(self.room.disk, self.level.fd):  # by one who then did not drop the queue
                self.level.fd = self.room.anew(self.level.fd)
                self.level.refresh()
            there = set(self.level.names)
            for gone in [n for n, prio in self._prios.items() if n not in there or _removed(self.room.disk, prio.level.fd)]:
                self._prios.pop(gone).close()
        out = []
        for name in list(self.level.names):
            prio = self._prios.get(name)
            if prio is None:
                fd = self.room.disk.open_folder(name, self.level.fd)
                if fd is None:
                    self.level.mtime = -1
                    continue
                prio = self._prios[name] = Prio(self.room, name, fd)
            out.append(prio)
        return out

    def forget(self) -> None:
        """Something was given back into the past by ourselves: list again before the next claim."""
        for prio in self._prios.values():
            for stretch in prio.stretches.values():
                for slot in stretch.open.values():
                    slot.forget()

    def tidy(self) -> None:
        """Remove priorities that have no stretch left, so that a claim need not look into them."""
        for prio in self.prios():
            if not prio.level.names and self.level.remove(prio.name):
                self._prios.pop(prio.name).close()

    def next_due(self, now: int) -> int | None:
        dues = [due for prio in self.prios() if (due := prio.next_due(now)) is not None]
        return min(dues, default=None)

    def close(self) -> None:
        for prio in self._prios.values():
            prio.close()
        self._prios.clear()
        self.level.close()
