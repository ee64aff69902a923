"""Unique keys: a hard link in `key/` to the job's own file, made before the job is published.

Every later move keeps the file, so the link count of the key is 1 when the job is gone, whoever died at whatever step: no key is held by
nobody. Whoever ends a job lets go of its key while the job's file is still there, under a name that says it has ended (g...), so that a
crash leaves neither behind; a link that is stale all the same is tidied away by the next put that wants the key.

The id of a job put with `once` is guarded in the same way; when a job has both, its key guards it, and what is found behind a taken key
says whether it is the same job. When such a job is buried its key is free, and the link guards its id instead.
"""

from __future__ import annotations

import hashlib
import os
import time

from ...codec import Damaged, FutureFormat
from ...job import Job
from . import parts
from .holders import RunFolder
from .layout import stretch_of
from .room import Room

TIDY_AFTER = 5.0  # seconds since the file was last changed: a putter leaves the tidying to the acker for that long


def key_name(job_key: str, job_id: str = "") -> str:
    """The file of a key, or of a guarded id where there is no key."""
    text = f"k{job_key}" if job_key else f"i{job_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def take(room: Room, from_fd: int, temporary: str, job: Job, again: bool = False) -> bool:
    """Link the job's file (unpublished, or `again`: a dead one about to be requeued) to its key; False when a live job holds it, or one
    that ended this very moment, or when the job itself lies there dead."""
    if job.key and job.once and not again and _behind(room, key_name("", job.id)) is not None:
        return False
    if not _take(room, from_fd, temporary, job):
        return False
    if again:
        _unguard_id(room, job)
    return True


def _take(room: Room, from_fd: int, temporary: str, job: Job) -> bool:
    name = key_name(job.key, job.id)
    shard = room.shard("key", name)
    for _ in range(100):
        try:
            if room.disk.link(temporary, from_fd, name, shard):
                room.place.sync(shard)
                return True
        except FileExistsError:
            pass
        if room.disk.exists(name, shard) and not (stale(room, name, shard) or (job.key and _left_by_dead(room, name, shard))):
            return False
        _tidy(room, room.run("p"), name, shard, bool(job.key))
    return False


def let_go(room: Room, run: RunFolder, job: Job, inode: int = 0, buried: bool = False) -> None:
    """The job has ended, was `buried`, or was never published: its key is free again. One that is another's (by `inode` where the id cannot
    tell, else by the id in it) is left alone. The link is renamed to a name of our own first; should it be another's by then, it is
    linked back."""
    name = key_name(job.key, job.id)
    shard = room.shard("key", name)
    aside = f"x{run.temporary()[1:]}"
    mine = inode or _inode(name, shard, job.id)
    if inode and _inode_of(name, shard) != inode:
        mine = 0  # another's: it is not even touched
    if mine and room.disk.rename(name, shard, aside, run.fd):
        if os.stat(aside, dir_fd=run.fd, follow_symlinks=False).st_ino != mine:
            try:
                room.disk.link(aside, run.fd, name, shard)
            except FileExistsError:
                pass
        elif buried and job.once:
            guard = key_name("", job.id)
            room.disk.rename(aside, run.fd, guard, room.shard("key", guard))
            return
        room.disk.unlink(aside, run.fd)
    if not buried:
        _unguard_id(room, job)


def _unguard_id(room: Room, job: Job) -> None:
    """A job that was dead with its id guarded has another guard, or has gone."""
    if job.key and job.once:
        guard = key_name("", job.id)
        room.disk.unlink(guard, room.shard("key", guard))


def _inode_of(name: str, shard: int) -> int:
    try:
        return os.stat(name, dir_fd=shard, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return 0


def _inode(name: str, shard: int, job_id: str) -> int:
    """The inode of the link when this job's file is behind it, else 0."""
    try:
        fd = os.open(name, parts.READ_FLAGS, dir_fd=shard)
    except OSError:
        return 0
    try:
        return os.fstat(fd).st_ino if parts.read_open(fd, 0, [0])[0].id == job_id else 0
    except (OSError, Damaged, FutureFormat):
        return 0
    finally:
        os.close(fd)


def _left_by_dead(room: Room, name: str, shard: int) -> bool:
    """Whether the key was left behind by a process that died between burying its job and freeing the key. The burial was the file's last
    change, so the stretch of that moment is the only place to look."""
    try:
        info = room.disk.stat(name, shard)
    except FileNotFoundError:
        return False
    if info.st_nlink != 2:
        return False
    fd = room.disk.open_folder(stretch_of(int(info.st_ctime * 1e6)), room.folder("dead"))
    if fd is None:
        return False
    try:
        return any(entry.inode() == info.st_ino for entry in os.scandir(fd)) and time.time() - info.st_ctime > TIDY_AFTER
    finally:
        os.close(fd)


def same_job(room: Room, job: Job) -> bool:
    """Whether the live job behind the taken key is this very one: then the put is a repeated one, and has been done."""
    names = [key_name(job.key, job.id)] + ([key_name("", job.id)] if job.key and job.once else [])
    return any((holder := _behind(room, name)) is not None and holder.id == job.id for name in names)


def _live(room: Room, name: str, shard: int) -> bool:
    try:
        return room.disk.stat(name, shard).st_nlink > 1
    except FileNotFoundError:
        return False


def _tidy(room: Room, run: RunFolder, name: str, shard: int, of_key: bool) -> None:
    """Take a stale link away, by renaming it to a name of our own first: if it was a newer one after all, it is linked back."""
    aside = f"x{run.temporary()[1:]}"
    if not room.disk.rename(name, shard, aside, run.fd):
        return
    if room.disk.stat(aside, run.fd).st_nlink > 1 and not (of_key and _left_by_dead(room, aside, run.fd)):
        try:
            room.disk.link(aside, run.fd, name, shard)
        except FileExistsError:
            pass
    room.disk.unlink(aside, run.fd)


def holder_of(room: Room, key: str) -> Job | None:
    """The live job behind a key, None when there is none."""
    return _behind(room, key_name(key))


def _behind(room: Room, name: str) -> Job | None:
    shard = room.shard_if("key", name)
    if shard is None or not _live(room, name, shard):
        return None
    try:
        return parts.read(name, shard, 0, [0])[0]
    except (OSError, Damaged, FutureFormat):
        return None


def stale(room: Room, name: str, shard: int) -> bool:
    """Whether a key's file is left over from a job that ended some time ago. A young one counts as held: its acker is about to tidy
    it, and two who tidy at once could let a second live job in."""
    try:
        info = room.disk.stat(name, shard)
    except FileNotFoundError:
        return False
    now = room.place.now() if room.disk.shared else time.time()
    return info.st_nlink == 1 and now - info.st_ctime > TIDY_AFTER
