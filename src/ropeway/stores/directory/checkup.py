"""`check` on a directory store: what it lies on, what it promises there, what is damaged or left over, and what to do about each."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...codec import Damaged, FutureFormat
from ...store import Durability, Finding
from . import keys, parts
from .holders import alive, holder_label
from .layout import HEX, read_held, read_holder, read_staged
from .operating import quarantined
from .rescue import SWEPT

if TYPE_CHECKING:
    from .place import Place
    from .station import Station


def check_place(place: Place) -> Iterator[Finding]:
    """What concerns the store as a whole."""
    kind, have = place.kind, place.durability()
    yield Finding("ok", f"{place.path} on {kind.kind}{', shared with other hosts' if place.disk.shared else ''}; format 1")
    if have is Durability.KERNEL:
        yield Finding("ok", "an answered put survives a power cut (class K)")
    elif not place.full:
        yield Finding("note", "durability=os: an answered put survives any process, not a power cut (class P)")
    elif kind.kind in ("tmpfs", "ramfs"):
        yield Finding("warning", f"{kind.kind} is memory: everything is gone with the machine. Choose a folder on a disk")
    else:
        yield Finding(
            "warning",
            f"{kind.kind} here has no journal: after a power cut the newest folders may be missing, so answered puts are of class P. "
            "Choose ext4 with a journal, XFS, btrfs or ZFS",
        )
    free = os.statvfs(place.path)
    if free.f_files and free.f_favail < 10_000:
        yield Finding("warning", f"only {free.f_favail} files can still be made on this disk; each single job needs one")
    if free.f_bavail * free.f_frsize < 64 << 20:
        yield Finding(
            "warning", f"only {free.f_bavail * free.f_frsize >> 20} MiB are free on this disk; puts will be refused when it is full"
        )
    if os.fstat(place.fd).st_mode & stat.S_IWOTH:
        yield Finding("fault", f"{place.path} may be written by everybody: chmod o-w it")


def check_station(station: Station) -> Iterator[Finding]:
    """What concerns one queue. Reads every waiting job once."""
    room = station.room
    bad = quarantined(room.fd)
    if bad:
        yield Finding(
            "fault",
            f"queue {room.queue}: {len(bad)} damaged in {room.queue}/bad, such as {bad[0]}: save what can be saved, then remove them",
        )
    yield from _damage(station)
    yield from _holders(station)
    yield from _lanes_and_seats(station)
    left = sum(keys.stale(room, name, fd) for fd, name in _key_files(station))
    if left:
        yield Finding("note", f"queue {room.queue}: {left} keys of jobs that have ended; the next put of each clears it away")


def _damage(station: Station) -> Iterator[Finding]:
    damaged = future = 0
    first = ""
    for seen in station.looking.waiting():
        try:
            parts.read(seen.name, seen.fd, seen.part.first, [*seen.part.open_records()])
        except FutureFormat:
            future += 1
        except (Damaged, OSError) as error:
            if not isinstance(error, FileNotFoundError):
                damaged += 1
                first = first or f"{seen.name}: {error}"
    if damaged:
        yield Finding(
            "fault", f"queue {station.room.queue}: {damaged} waiting parts cannot be read ({first}); a claim will set them aside in bad/"
        )
    if future:
        yield Finding(
            "warning", f"queue {station.room.queue}: {future} parts were written by a newer ropeway and are left alone: update this one"
        )


def _holders(station: Station) -> Iterator[Finding]:
    room = station.room
    run = room.folder("run")
    clock, _ = room.place.lease_clock()
    for folder in room.disk.names(run):
        holder = read_holder(folder)
        if holder is None:
            if not folder.startswith(SWEPT):
                yield Finding("note", f"queue {room.queue}: {folder!a} in run/ is not ropeway's; it is left alone")
            continue
        fd = room.disk.open_folder(folder, run)
        if fd is None:
            continue
        try:
            names = room.disk.names(fd)
        finally:
            os.close(fd)
        held = [p for n in names if (p := read_held(n)) is not None]
        if alive(holder, room.disk.shared) is False and (held or any(read_staged(n) or n[:1] in "tbg" for n in names)):
            jobs = sum(p.live() for p in held)
            yield Finding(
                "note", f"queue {room.queue}: {holder_label(folder)} is dead and held {jobs} jobs; the next worker gives them back"
            )
        late = sum(p.live() for p in held if p.until < clock)
        if late and alive(holder, room.disk.shared) is not False:
            yield Finding(
                "note", f"queue {room.queue}: {late} leases of {holder_label(folder)} have run out; the next worker gives them back"
            )


def _lanes_and_seats(station: Station) -> Iterator[Finding]:
    """What those who died between two steps have left in the lanes and under the limit: it mends itself, and is told for who wonders."""
    queue = station.room.queue
    gone, stuck = station.lanes.left_behind()
    if gone:
        yield Finding("note", f"queue {queue}: {gone} places in lanes are those of jobs that have gone; the next claim takes them away")
    if stuck:
        yield Finding(
            "note",
            f"queue {queue}: in {stuck} lanes jobs are parked that nothing holds up; the next look for what was left brings them back",
        )
    if lone := station.seats.left_behind():
        yield Finding("note", f"queue {queue}: {lone} places under its limit are nobody's; the next look for what was left frees them")


def _key_files(station: Station) -> Iterator[tuple[int, str]]:
    room = station.room
    there = set(room.disk.names(room.folder("key")))
    for shard in sorted(there):
        if len(shard) == 2 and shard[0] in HEX and shard[1] in HEX:
            fd = room.shard("key", shard)
            for name in room.disk.names(fd):
                yield fd, name
