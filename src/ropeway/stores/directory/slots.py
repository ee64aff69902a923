"""The slots that a process puts into: which folder a due time goes to, and the descriptors of those that are open, each safe to put into.

A slot may be removed by others as soon as it is empty: whoever finds it gone says `forget`, and opens it anew.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque

from ...errors import StoreError
from .layout import NARROW, WIDE, slot_of, stretch_of
from .room import Room

SOON = 60_000_000  # us: jobs due later than this lie in wide slots
BUSY = 256  # parts this process puts into one wide slot before it goes on to narrow ones
OPEN = 64


class _Wide:
    """The wide slot of the present, and how often it was chosen."""

    __slots__ = ("cell", "chosen", "folder")

    def __init__(self, cell: int, folder: str) -> None:
        self.cell, self.folder, self.chosen = cell, folder, 0


class Slots:
    """The folders of one room that are put into: slots by their priority, and the stretches of a shelf by its name."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.place, self.disk = room.place, room.disk
        self._fds: OrderedDict[tuple[int | str, str], int] = OrderedDict()
        self._retired: list[int] = []  # no longer given out, and perhaps in use
        self._users: deque[None] = deque()  # one for each call at work: no lock, since each step is one atomic call
        self._safe: set[str] = set()
        self._wide: dict[int, _Wide] = {}
        self._lock = threading.Lock()

    def choose(self, prio: int, due: int, now: int) -> str:
        """The slot's folder for a due time: wide for what comes later and while puts are few, narrow once they are many, so that
        neither a crowd of names in one folder nor a crowd of folders ever stands in a claim's way."""
        if due - now > SOON:
            return slot_of(due, WIDE)
        cell = due >> WIDE
        wide = self._wide.get(prio)
        if wide is None or wide.cell != cell:
            wide = self._wide[prio] = _Wide(cell, slot_of(due, WIDE))
        wide.chosen += 1
        return wide.folder if wide.chosen <= BUSY else slot_of(due, NARROW)

    def open(self, where: int | str, folder: str, fleeting: bool = False) -> int:
        """The descriptor of a slot's folder (of this priority), or of a stretch of a shelf (of this name), made when missing, with
        everything above it safe; `fleeting`: it need not be safe. Good until `leave`."""
        if fleeting:
            return self._open_fleeting(where, folder)
        fd = self._fds.get((where, folder))
        if fd is None:
            with self._lock:
                fd = self._fds.get((where, folder))
                if fd is None:
                    fd = self._fds[where, folder] = self._open(where, folder)
        return fd

    def _open_fleeting(self, where: int | str, folder: str) -> int:
        """As `open`, of a shelf of its own: what is not known to be safe must not be found there by a put that has to be."""
        fd = self._fds.get((where, folder)) or self._fds.get((where, f"~{folder}"))
        if fd is None:
            with self._lock:
                fd = self._fds[where, f"~{folder}"] = self._open(where, folder, safe=False)
        return fd

    def enter(self) -> None:
        """From here until `leave` no slot is closed: its descriptor is in use."""
        self._users.append(None)

    def leave(self) -> None:
        """Old ones are first no longer given out. What was so before nobody was at work is in nobody's hands, whoever has come since."""
        self._users.pop()
        if len(self._fds) + len(self._retired) > OPEN:
            with self._lock:
                while len(self._fds) > OPEN // 2:
                    self._retired.append(self._fds.popitem(last=False)[1])
                if not self._users:
                    self._close_retired()

    def _close_retired(self) -> None:
        for fd in self._retired:
            os.close(fd)
        self._retired.clear()

    def forget(self, where: int | str, folder: str) -> None:
        """It is not there any more: the next `open` makes it again."""
        with self._lock:
            for known in (folder, f"~{folder}"):
                fd = self._fds.pop((where, known), None)
                if fd is not None:
                    self._retired.append(fd)
            path = [str(where), *_path(where, folder)]  # one name stands on both shelves
            self._safe -= {"/".join(path[:depth]) for depth in range(2, len(path) + 1)}

    def _open(self, where: int | str, folder: str, safe: bool = True) -> int:
        mode = self.place.folder_mode
        path = _path(where, folder)
        for _ in range(100):
            above, opened = self.room.folder(where if isinstance(where, str) else "jobs"), []
            try:
                for depth, name in enumerate(path):
                    fd = self.disk.open_folder(name, above)
                    if fd is None:
                        try:
                            self.disk.mkdir(name, above, mode)
                        except FileNotFoundError:
                            if not depth:
                                raise  # the folder of the queue itself was removed: it is being dropped
                            break
                        fd = self.disk.open_folder(name, above)
                        if fd is None:
                            break
                    opened.append(fd)
                    place = "/".join((str(where), *path[: depth + 1]))
                    if safe and place not in self._safe:
                        self.place.sync(above)
                        if len(self._safe) > 10_000:
                            self._safe.clear()
                        self._safe.add(place)
                    above = fd
                else:
                    return opened.pop()
            finally:
                for fd in opened:
                    os.close(fd)
        raise StoreError(f"queue {self.room.queue}: a folder vanished as often as it was made; the job was not stored", definite=True)

    def close(self) -> None:
        with self._lock:
            self._retired += self._fds.values()
            self._fds.clear()
            self._close_retired()


def _path(where: int | str, folder: str) -> list[str]:
    """The folders down to a slot below jobs/, or to a stretch of a shelf below the shelf."""
    return [folder] if isinstance(where, str) else [f"{where:02}", stretch_of(int(folder[1:], 16)), folder]
