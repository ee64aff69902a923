"""One queue's folder: its descriptors, its switches and limits, and how it comes into being (whole, by one rename, or not at all)."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from msgspec import Struct

from ...store import ANY, Limits
from .disk import DIRECTORY, Disk
from .holders import WHO, RunFolder, alive, identity, make_run_folder
from .layout import queue_folder, read_holder

if TYPE_CHECKING:
    from .place import Place

FOLDERS = ("jobs", "run", "dead", "done", "beside", "key", "big", "bad", "bell")
OPEN_SHARDS = 16
YOUNG = 20_000_000  # ns: a folder changed this lately may change again without a new mtime (kernels before 6.13 tick by 1-10 ms)
SWITCHES = ("put", "claim")
SWITCHES_EACH = 1_000_000_000  # ns between two looks at them on a shared store
LIMITS = "limits"


class Bounds(Struct, frozen=True):
    """The limits of a queue. `widest`: how wide its lanes have ever been; `since` when they were set, by the clock that stamps files."""

    limits: Limits
    widest: int
    since: float


class Room:
    """A queue that exists. `lock` guards what this process holds and reads of it; puts have a lock of their own."""

    def __init__(self, place: Place, queue: str, fd: int) -> None:
        self.place = place
        self.disk: Disk = place.disk
        self.queue = queue
        self.fd = fd
        self.lock = threading.RLock()
        self._fds: dict[str, int] = {}
        self._runs: dict[tuple[str, str], RunFolder] = {}
        self._switched: tuple[int, dict[str, str]] = (-SWITCHES_EACH, {})  # of what moment they are, by which clock depends
        self.bounds: Bounds | None = None  # as of the last look at the switches; None for no limits
        self.gone = False  # whether the queue was dropped, as of then: whoever has this room needs a new one
        self._opening = threading.RLock()
        self._local = threading.local()
        self._shards: set[int] = set()
        self._old: list[int] = []
        self._safe: set[str] = {*FOLDERS}

    def folder(self, name: str) -> int:
        """The descriptor of a folder of the layout, such as "jobs"; made when it is missing."""
        fd = self._fds.get(name)
        if fd is None:
            with self._opening:
                fd = self._fds.get(name)
                if fd is None:
                    fd = self._open(name)
                    self._fds[name] = fd
        return fd

    def _open(self, name: str) -> int:
        above, slash, last = name.rpartition("/")
        above_fd = self.folder(above) if slash else self.fd
        fd = self.disk.open_folder(last, above_fd)
        if fd is None:
            self.disk.mkdir(last, above_fd, self.place.folder_mode)
            fd = self.disk.open_folder(last, above_fd)
            if fd is None:
                raise FileNotFoundError(f"{name} of queue {self.queue} vanished as it was made")
            self._safe.discard(name)
        if above != "beside" and name not in self._safe:  # also when another made it, who may not have synced it yet
            try:
                self.place.sync(above_fd)
            except BaseException:
                os.close(fd)
                raise
            self._safe.add(name)
        return fd

    def shard_if(self, folder: str, key: str) -> int | None:
        """The same as `shard`, but None when nobody has made it yet: for looking."""
        mine = getattr(self._local, "shards", None)
        name = f"{folder}/{key[-2:]}"
        if (mine is None or name not in mine) and not self.disk.exists(key[-2:], self.folder(folder)):
            return None
        return self.shard(folder, key)

    def shard(self, folder: str, key: str) -> int:
        """The descriptor of one of the 256 folders of `folder`, by the last two hex digits of the key; made when it is missing. Only to be
        used at once: each thread keeps a few open, so that none is ever closed under another's call."""
        mine: OrderedDict[str, int] | None = getattr(self._local, "shards", None)
        if mine is None:
            mine = self._local.shards = OrderedDict()
        name = f"{folder}/{key[-2:]}"
        fd = mine.get(name)
        if fd is not None:
            return fd
        fd = mine[name] = self._open(name)
        self._shards.add(fd)
        if len(mine) > OPEN_SHARDS:
            old = mine.popitem(last=False)[1]
            self._shards.discard(old)
            os.close(old)
        return fd

    def run(self, kind: str, who: str = "") -> RunFolder:
        """This process's own folder in `run/`, one for each holder in it."""
        mine = self._runs.get((kind, who))
        if mine is None:
            with self._opening:
                mine = self._runs.get((kind, who))
                if mine is None:
                    mine = make_run_folder(self.place, self.folder("run"), kind, who)
                    self._runs[kind, who] = mine
        return mine

    def own_run(self, name: str) -> RunFolder | None:
        return next((r for r in self._runs.values() if r.name == name), None)

    def stopped(self, what: str) -> str | None:
        """The operator's reason when the switch `what` (put, claim) is off, else None. One fstat when nothing has changed."""
        if self.disk.shared:
            return self._stopped_shared().get(what)
        info = os.fstat(self.fd)
        mtime = info.st_mtime_ns
        if mtime != self._switched[0] or not info.st_nlink:
            self.gone = self.gone or not info.st_nlink
            believed = mtime if time.time_ns() - mtime > YOUNG else -1
            self.bounds = self._read_bounds()
            self._switched = (believed, {s: text for s in SWITCHES if (text := self._switch_text(s)) is not None})
        return self._switched[1].get(what)

    def _stopped_shared(self) -> dict[str, str]:
        """Over a network neither an old time of change nor a name that was not there is to be believed: list, once a second."""
        now = int(self.place.clock.boot() * 1e9)
        if not 0 <= now - self._switched[0] < SWITCHES_EACH:
            there = set(self.disk.names(self.fd))
            self.gone = self.gone or not there
            self.bounds = self._read_bounds() if LIMITS in there else None
            self._switched = (now, {s: self._switch_text(s) or "" for s in SWITCHES if f"stop.{s}" in there})
        return self._switched[1]

    def _switch_text(self, switch: str) -> str | None:
        try:
            fd = os.open(f"stop.{switch}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        except FileNotFoundError:
            return None
        except OSError:
            return ""
        try:
            return os.read(fd, 4096).decode("utf-8", "replace")
        finally:
            os.close(fd)

    def switch(self, what: str, off: bool, reason: str) -> None:
        self._note(f"stop.{what}", reason.encode("utf-8", "replace")[:4000] if off else None)

    def _note(self, name: str, data: bytes | None) -> None:
        """A small file in the queue's folder, whole, or gone."""
        if data is None:
            self.disk.unlink(name, self.fd)
        else:
            run = self.run("p")
            temporary = run.temporary()
            os.close(self.disk.write_new(temporary, run.fd, data, self.place.file_mode))
            self.disk.rename(temporary, run.fd, name, self.fd)
        self.place.sync(self.fd)
        self._switched = (-SWITCHES_EACH, {})

    def _read_bounds(self) -> Bounds | None:
        """The limits that are set. What cannot be read is no limit: `check` reports it."""
        try:
            fd = os.open(LIMITS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        except OSError:
            return None
        try:
            words = os.read(fd, 256).decode("ascii", "replace").split()
            running, lane, widest = (int(word) for word in words[1:6:2])
            return Bounds(Limits(running, lane), max(lane, widest), os.fstat(fd).st_mtime)
        except ValueError:
            return None
        finally:
            os.close(fd)

    def limit(self, limits: Limits) -> None:
        """From now on these hold."""
        known = self._read_bounds()
        widest = max(limits.lane, known.widest if known is not None else 1)
        unlimited = limits == ANY and widest == 1
        self._note(LIMITS, None if unlimited else f"running {limits.running}\nlane {limits.lane}\nwidest {widest}\n".encode())
        self.stopped("claim")

    def limits(self) -> Limits:
        """Those that hold now."""
        self.stopped("claim")
        return self.bounds.limits if self.bounds is not None else ANY

    def has_lost_folders(self) -> bool:
        """Whether any that we have open was removed."""
        self.gone = self.gone or not os.fstat(self.fd).st_nlink
        return self.gone or any(_lost(fd) for fd in self._fds.values()) or any(_lost(run.fd) for run in self._runs.values())

    def mend(self) -> None:
        """Forget the folders that were removed, so that they are made and opened anew. The descriptors may be in use: they are closed in
        the end."""
        with self._opening:
            for name in [name for name, fd in self._fds.items() if _lost(fd)]:
                self._old.append(self._fds.pop(name))
            for key in [key for key, run in self._runs.items() if _lost(run.fd)]:
                self._old.append(self._runs.pop(key).fd)
            self._local = threading.local()  # the shards stay open for whoever is using one

    def check_run(self, run: RunFolder) -> None:
        """FileNotFoundError when a folder of our own was removed, by one who drops the queue."""
        if _lost(run.fd):
            raise FileNotFoundError(f"the folder of this process in queue {self.queue} was removed")

    def anew(self, jobs: int) -> int:
        """In place of a descriptor of `jobs` that was removed, one of that folder, made anew; the same when the whole queue has gone. The
        one that others may be using is closed in the end."""
        try:
            with self._opening:
                old = self._fds.pop("jobs", None)
                if old is not None:
                    self._old.append(old)
                fresh = os.dup(self.folder("jobs"))
        except FileNotFoundError:
            self.gone = True
            return jobs
        os.close(jobs)
        return fresh

    def leave(self) -> None:
        """Take away what only a holder that works here needs."""
        for run in self._runs.values():
            try:
                if not set(self.disk.names(run.fd)) - {WHO}:
                    self.disk.unlink(WHO, run.fd)
                    self.disk.rmdir(run.name, self.folder("run"))
            except OSError:
                pass  # the next worker sweeps it

    def shut(self) -> None:
        """Close all descriptors."""
        for run in list(self._runs.values()):  # a verb of another thread may be on its way out
            run.close()
        for fd in (*self._fds.values(), *self._shards, *self._old):
            os.close(fd)
        self._old.clear()
        self._fds.clear()
        self._shards.clear()
        self._local = threading.local()
        self._runs.clear()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _lost(fd: int) -> bool:
    try:
        return not os.fstat(fd).st_nlink
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return True


def open_room(place: Place, queue: str) -> Room | None:
    """The queue's room, None when there is no such queue."""
    fd = place.disk.open_folder(queue_folder(queue), place.fd)
    return None if fd is None else Room(place, queue, fd)


def make_room(place: Place, queue: str) -> Room:
    """The queue's room, made if need be: built under a name of its own and renamed into place, so that nobody ever sees half of one."""
    room = open_room(place, queue)
    if room is not None:
        return room
    disk, mode = place.disk, place.folder_mode
    _sweep_unfinished(place)
    temporary = f".new.{identity('p')}"
    disk.mkdir(temporary, place.fd, mode)
    fd = os.open(temporary, DIRECTORY, dir_fd=place.fd)
    try:
        for name in FOLDERS:
            disk.mkdir(name, fd, mode)
        place.sync(fd)
    finally:
        os.close(fd)
    try:
        disk.rename(temporary, place.fd, queue_folder(queue), place.fd)
    except OSError:  # not empty: another process has made it meanwhile
        _remove_unfinished(place, temporary)
    place.sync(place.fd)
    room = open_room(place, queue)
    if room is None:
        raise FileNotFoundError(f"the folder of queue {queue} vanished as it was made")
    return room


def _sweep_unfinished(place: Place) -> None:
    for name in place.disk.names(place.fd):
        if name.startswith(".new."):
            holder = read_holder(name[5:])
            if holder is None or alive(holder, place.disk.shared) is False:
                _remove_unfinished(place, name)
        elif name.startswith(".format."):  # whoever made the format is done with it, or died: there is a format
            place.disk.unlink(name, place.fd)


def _remove_unfinished(place: Place, name: str) -> None:
    fd = place.disk.open_folder(name, place.fd)
    if fd is None:
        return
    try:
        for folder in FOLDERS:
            place.disk.rmdir(folder, fd)
    finally:
        os.close(fd)
    place.disk.rmdir(name, place.fd)
