"""The content that a job was given anew (Handback.edit): a file beside the job, which counts when the job's name says so.

    beside/<2 hex>/<id>.e.<12 hex>      a part of one record: the job as it is now (codec.pack_job)

The job's own file stays what it is, with its key, its place in a lane and its links. The new file is safe before the rename that gives the
job back, and that rename, under a name with the tag `.e<12 hex>`, is the edit: whoever dies before it has edited nothing, and leaves a
file that nobody reads and that goes with the job.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...codec import Damaged, pack_job
from ...demands import edited
from ...errors import StoreError
from ...job import Job
from . import parts
from .disk import FULL_DISK
from .layout import Part

if TYPE_CHECKING:
    from .room import Room


def read(room: Room, part: Part, name: str, dir_fd: int, wanted: Sequence[int] | range) -> list[Job]:
    """The jobs of these records of a part, with the content that they have now. Raises as parts.read."""
    jobs = parts.read(name, dir_fd, part.first, wanted)
    return [edited(jobs[0], _content(room, jobs[0].id, part.edit))] if part.edit else jobs


def _content(room: Room, job_id: str, edit: str) -> Job:
    name, shard = f"{job_id}.e.{edit}", room.shard("beside", job_id)
    try:
        fd = os.open(name, parts.READ_FLAGS, dir_fd=shard)
    except FileNotFoundError:
        listed = room.disk.open_listed(name, shard, parts.READ_FLAGS)
        if listed is None:
            raise Damaged(f"the content of job {job_id} was edited, and is not there") from None
        fd = listed
    try:
        return parts.read_open(fd, 0, [0])[0]
    finally:
        os.close(fd)


def write(room: Room, job: Job, edit: Job) -> str:
    """Keep the new content beside the job, safe; the tag's hex digits. StoreError when there is no room for it."""
    tag = os.urandom(6).hex()
    run, shard = room.run("p"), room.shard("beside", job.id)
    temporary = run.temporary()
    try:
        fd = room.disk.write_new(temporary, run.fd, parts.build((pack_job(edited(job, edit)),)), room.place.file_mode)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise StoreError(
            f"queue {room.queue}: {error.strerror}; job {job.id} was not edited and not given back: free some space", definite=True
        ) from error
    try:
        room.place.sync(fd)
    finally:
        os.close(fd)
    room.disk.rename(temporary, run.fd, f"{job.id}.e.{tag}", shard)
    room.place.sync(shard)
    return tag


def drop(room: Room, job_id: str, edit: str) -> None:
    """The content is not the job's, or not any more."""
    if edit:
        room.disk.unlink(f"{job_id}.e.{edit}", room.shard("beside", job_id))
