"""Who holds what: each process has a folder of its own in a queue's `run/`, and its name says how to tell whether the process still lives.

Nothing is decided by a guess. The same boot and the same process namespace make a process visible; then its pid with its start time
says dead or alive, and "not permitted" means alive. A boot that is over, on a store that only this machine can reach, means dead. All
else is judged by the lease alone.
"""

from __future__ import annotations

import os
import re
from itertools import count
from typing import TYPE_CHECKING

from ... import living
from .disk import FULL_DISK
from .layout import HolderName, read_holder

if TYPE_CHECKING:
    from .disk import Disk
    from .place import Place

WHO, WHO_LIMIT = ".who", 256
ROOM, ROOM_FOR = "room", 64  # parts that a holder can hold at once on a disk that has since become full


_seen: tuple[int, str, str, int, str] | None = None


def identity(kind: str) -> HolderName:
    """A new holder name for this process; no two are ever equal."""
    global _seen
    if _seen is None or _seen[0] != os.getpid():
        host = re.sub(r"[^A-Za-z0-9._-]", "-", os.uname().nodename)[:64] or "host"
        _seen = (os.getpid(), living.boot(), living.namespace(), living.start_time(os.getpid()) or 0, host)
    pid, boot, space, start, host = _seen
    return HolderName(kind, boot, space, pid, max(start, 0), os.urandom(10).hex(), host)


def alive(holder: HolderName, shared: bool) -> bool | None:
    """True or False where it can be known; None where only the lease decides."""
    me = identity("p")
    if holder.boot == living.UNKNOWN_BOOT or me.boot == living.UNKNOWN_BOOT:
        return None
    if holder.boot != me.boot:
        return None if shared else False
    if holder.pidns != me.pidns:
        return None
    start = living.start_time(holder.pid)
    if start is None:
        return False
    return True if start < 0 or holder.start == 0 else start == holder.start


class RunFolder:
    """`run/<holder>` of this process, or a foreign one opened to settle a receipt in it. Serials never repeat in it."""

    __slots__ = ("_number", "_serial", "fd", "kind", "name", "synced")

    def __init__(self, name: str, fd: int, kind: str) -> None:
        self.name, self.fd, self.kind = name, fd, kind
        self._serial = 0
        self._number = count(1)
        self.synced = False

    def serial(self) -> int:
        self._serial += 1  # under the room's lock
        return self._serial

    def temporary(self) -> str:
        return f"t{next(self._number):x}"  # from any thread: a count is atomic

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def make_run_folder(place: Place, run_fd: int, kind: str, who: str) -> RunFolder:
    """A folder for a new holder; `who` says in it, for people, for whom it claims."""
    name = str(identity(kind))
    place.disk.mkdir(name, run_fd, place.folder_mode)  # a random name that "exists" is ours all the same: the first reply was lost
    fd = place.disk.open_folder(name, run_fd)
    if fd is None:
        raise FileNotFoundError(f"the holder's folder {name} vanished as it was made")
    if who:
        try:
            os.close(place.disk.write_new(WHO, fd, who.encode("utf-8", "replace")[:WHO_LIMIT], place.file_mode))
            if place.kind.kind.startswith("ext"):
                _make_room(place.disk, fd)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
    return RunFolder(name, fd, kind)


def _make_room(disk: Disk, fd: int) -> None:
    """Let the folder of a holder that claims grow now, while the disk has a block for it: on ext4 it never shrinks again, so that on a full
    disk jobs can still be claimed and settled in it, which is what frees the disk."""
    names = [f"{ROOM}{number:0200}" for number in range(ROOM_FOR)]
    try:
        for name in names:
            disk.calls.link(WHO, name, src_dir_fd=fd, dst_dir_fd=fd)
    finally:
        for name in names:
            disk.unlink(name, fd)


def holder_label(folder: str, fd: int = -1) -> str:
    """Who holds, for people: what the holder called itself, else host:pid."""
    if fd >= 0:
        try:
            file = os.open(WHO, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        except OSError:
            pass
        else:
            try:
                return os.read(file, WHO_LIMIT).decode("utf-8", "replace")
            finally:
                os.close(file)
    parsed = read_holder(folder)
    return f"{parsed.host}:{parsed.pid}" if parsed else ""
