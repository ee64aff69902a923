"""Dropping a queue that is empty: its folders are removed from below, each only when it is empty, the queue's own at last.

There is no moment at which it is decided, and none is needed: a put that comes meanwhile makes again what it finds gone, and then the
folder above cannot be removed any more. So a queue either goes whole, or something is found in it and it stays. Whoever has one of its
folders open sees that it was removed (its link count is nothing) and opens the queue anew. `jobs/` goes first, so that nothing can be put
where nobody looks, then the holders' folders, then what may only be left over.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ...job import State
from ...names import ended
from .holders import WHO
from .layout import queue_folder, read_holder
from .rescue import SWEPT
from .room import FOLDERS, LIMITS, SWITCHES

if TYPE_CHECKING:
    from .hub import Hub
    from .station import Station

TRIES = 5
LEFT_FOR = 5.0  # seconds after which a file that belongs to no job is left over, and not just being written
SHARDED = ("beside", "key", "big")


def drop(hub: Hub, queue: str) -> bool:
    """Whether the queue is not there any more."""
    for _ in range(TRIES):
        station = hub.sound(queue)
        if station is None:
            return True
        with station.room.lock:
            station.rescue.look()
            station.rescue.forget_done()
            if not empty(station):
                return False
            gone = _remove(station)
        station.lost()  # what we have open of it ourselves
        if gone:
            hub.retire(queue, station)
            hub.ends.remove(ended(queue))
            hub.place.sync(hub.place.fd)
            return True
    return False


def empty(station: Station) -> bool:
    """Whether the queue holds no job in any state, and nothing that was set aside."""
    looking, room = station.looking, station.room
    if any(True for _ in looking.waiting()) or looking.running():
        return False
    if any(True for state in (State.DEAD, State.DONE) for _ in looking.shelf(state)):
        return False
    return not room.disk.names(room.folder("bad"))


def _remove(station: Station) -> bool:
    """Remove all of it, from below; False when something was in the way."""
    room, disk = station.room, station.room.disk
    if not (_fell(station, "jobs", 3) and _holders(station)):
        return False
    if not all(_fell(station, shelf, 1) for shelf in ("dead", "done")):
        return False
    if not (all(_sharded(station, folder) for folder in SHARDED) and _flat(station, "parked") and _flat(station, "bad")):
        return False
    if not (_flat(station, "places") and _flat(station, "seats")):
        return False
    if station.bell is not None:
        station.bell.ring_all()  # who sleeps is to look again: the next job will ring elsewhere
    bell = disk.open_folder("bell", room.fd)
    if bell is not None:
        for name in disk.names(bell):
            disk.unlink(name, bell)
        os.close(bell)
    for name in FOLDERS:
        if not disk.rmdir(name, room.fd):
            return False
    for name in (*(f"stop.{switch}" for switch in SWITCHES), LIMITS):
        disk.unlink(name, room.fd)
    return disk.rmdir(queue_folder(room.queue), station.place.fd)


def _fell(station: Station, name: str, depth: int) -> bool:
    """Remove a folder of empty folders."""
    disk = station.room.disk
    top = disk.open_folder(name, station.room.fd)
    if top is None:
        return True
    try:
        if not _prune(station, top, depth):
            return False
    finally:
        os.close(top)
    return disk.rmdir(name, station.room.fd)


def _prune(station: Station, fd: int, depth: int) -> bool:
    disk = station.room.disk
    for name in disk.names(fd):
        below = disk.open_folder(name, fd) if depth > 1 else None
        if below is not None:
            try:
                if not _prune(station, below, depth - 1):
                    return False
            finally:
                os.close(below)
        if not disk.rmdir(name, fd):
            return False
    return True


def _holders(station: Station) -> bool:
    """Remove the folders of holders that hold nothing; False when one has anything in hand, or in work."""
    room, disk = station.room, station.room.disk
    run = disk.open_folder("run", room.fd)
    if run is None:
        return True
    try:
        for name in disk.names(run):
            if name.startswith(SWEPT):
                disk.unlink(name, run)
            elif read_holder(name) is not None and not _holder(station, run, name):
                return False
    finally:
        os.close(run)
    return disk.rmdir("run", room.fd)


def _holder(station: Station, run: int, name: str) -> bool:
    disk = station.room.disk
    fd = disk.open_folder(name, run)
    if fd is None:
        return True
    try:
        if set(disk.names(fd)) - {WHO}:
            return False
        disk.unlink(WHO, fd)
    finally:
        os.close(fd)
    return disk.rmdir(name, run)


def _sharded(station: Station, folder: str) -> bool:
    """Remove what is left over in one of the folders that have 256."""
    disk = station.room.disk
    above = disk.open_folder(folder, station.room.fd)
    if above is None:
        return True
    try:
        for shard in disk.names(above):
            fd = disk.open_folder(shard, above)
            if fd is not None:
                try:
                    _sweep(station, fd, fresh=folder != "key")
                finally:
                    os.close(fd)
            if not disk.rmdir(shard, above):
                return False
    finally:
        os.close(above)
    return True


def _flat(station: Station, folder: str) -> bool:
    disk = station.room.disk
    fd = disk.open_folder(folder, station.room.fd)
    if fd is None:
        return True
    try:
        if folder != "bad":
            _sweep(station, fd)
        for name in disk.names(fd):
            if not disk.rmdir(name, fd):
                return False
    finally:
        os.close(fd)
    return disk.rmdir(folder, station.room.fd)


def _sweep(station: Station, fd: int, fresh: bool = False) -> None:
    """Remove the files that nobody is writing any more: no job is left that they could belong to. `fresh`: a young one is no such file;
    else one is when it has no other name, where each is a link to the file of its job."""
    disk, now = station.room.disk, station.place.stamps()
    for name in disk.names(fd):
        try:
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            continue
        old = now - info.st_ctime > LEFT_FOR
        if not stat.S_ISDIR(info.st_mode) and (old or (info.st_nlink == 1 and not fresh)):
            disk.unlink(name, fd)
