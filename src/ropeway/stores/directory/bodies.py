"""Bodies over 64 KiB: raw files in `big/`, streamed in and out in constant memory, named by the id of their (single) job.

put     b<t>.<id> (streamed) - t written - link b -> big/ - rename t into its slot - unlink b
crash   b beside its t: never published, both go, and big/ with them; b alone: published (or never linked), only b goes
ack     rename the part to g<name> (that is the ack) - unlink big/ - unlink g; whoever finds g of a dead holder goes on from there
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator

import msgspec

from ...errors import BadBody, StoreError
from ...job import Job
from .holders import RunFolder
from .layout import queue_folder
from .room import Room

CHUNK = 256 * 1024


def take_in(room: Room, run: RunFolder, job: Job, temporary: str) -> tuple[Job, str]:
    """Stream the body into the holder's folder. The job as it is stored (no body, but its size and digest), and the file's name.

    A source that fails half-way leaves nothing behind; its exception passes.
    """
    name = f"b{temporary[1:]}.{job.id}"
    fd = room.disk.create(name, run.fd, room.place.file_mode)
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in job.source if job.source is not None else _chunks(job.body):
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise BadBody(f"a streamed body is chunks of bytes, not {type(chunk).__name__}; nothing was stored")
            view = memoryview(chunk).cast("B")
            digest.update(view)
            size += len(view)
            while view:
                view = view[room.disk.calls.write(fd, view) :]
        if job.digest not in ("", digest.hexdigest()):
            raise BadBody(f"the body of job {job.id} is not what was put where it comes from; nothing was stored")
        if room.place.full:
            room.disk.sync(fd)
    except BaseException:
        os.close(fd)
        room.disk.unlink(name, run.fd)
        raise
    os.close(fd)
    stored = msgspec.structs.replace(job, body=b"", source=None, size=size, digest=digest.hexdigest())
    return stored, name


def _chunks(body: bytes) -> Iterator[memoryview]:
    view = memoryview(body)
    for at in range(0, len(view), CHUNK):
        yield view[at : at + CHUNK]


def publish(room: Room, run: RunFolder, name: str, job_id: str, clear_dead: Callable[[], object]) -> None:
    """Link the streamed file to its place, before the job itself is published. One that is there may be the body of the same put by a
    process that has died: what the dead have left is cleared away first, or clearing it away later would take this one."""
    shard = room.shard("big", job_id)
    if not room.disk.link(name, run.fd, job_id, shard):
        clear_dead()
        shard = room.shard("big", job_id)
        if room.disk.link(name, run.fd, job_id, shard):
            room.place.sync(shard)
            return
        raise StoreError(f"queue {room.queue}: the body of job {job_id} could not be linked into place; nothing was stored", definite=True)
    room.place.sync(shard)


def withdraw(room: Room, job_id: str) -> None:
    room.disk.unlink(job_id, room.shard("big", job_id))


class StoredBody:
    """A body in `big/`, as claims and entries carry it. Reading is checked against the size; `verify` against the digest."""

    __slots__ = ("_room", "digest", "job_id", "size")

    def __init__(self, room: Room, job: Job) -> None:
        self._room, self.job_id, self.size, self.digest = room, job.id, job.size, job.digest

    def path(self) -> str:
        """The file itself, to be read only."""
        return "/".join((self._room.place.path, queue_folder(self._room.queue), "big", self.job_id[-2:], self.job_id))

    def __iter__(self) -> Iterator[bytes]:
        fd = self._open()
        try:
            while chunk := os.read(fd, CHUNK):
                yield chunk
        finally:
            os.close(fd)

    def read(self) -> bytes:
        data = b"".join(self)
        if len(data) != self.size or hashlib.sha256(data).hexdigest() != self.digest:
            raise StoreError(f"the body of job {self.job_id} is not what was put: damaged on the disk; look with `ropeway check`")
        return data

    def _open(self) -> int:
        try:
            fd = os.open(
                self.job_id, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._room.shard("big", self.job_id)
            )
        except OSError as error:
            raise StoreError(f"the body of job {self.job_id} cannot be read: {error.strerror}; look with `ropeway check`") from error
        if os.fstat(fd).st_size != self.size:
            os.close(fd)
            raise StoreError(f"the body of job {self.job_id} has another size than was put: damaged on the disk; look with `ropeway check`")
        return fd
