"""What is kept beside a job: one small file for each attempt that did not end well, and the result of one that did.

    beside/<2 hex>/<id>.h.<moment>.<number>.<random>  an attempt (codec.pack_history of one); a requeued job counts from 1 again
    beside/<2 hex>/<id>.r.<serial>.<forgotten at>   a result: MessagePack [type, bytes]; believed when the done name has both

Written before the rename that they belong to; a left-over of a holder that lost its race is one more line of history, or a result that
nobody believes. Never synced: they are of class P. When the disk is full they are left out, and the job ends all the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from zlib import crc32

import msgspec

from ...codec import pack_history, unpack_history
from ...job import HISTORY, Attempt
from .disk import FULL_DISK
from .room import Room

_result = msgspec.msgpack.Decoder(tuple[str, bytes])
_encode = msgspec.msgpack.Encoder().encode
LONGEST = 16 << 20


def _write(room: Room, job_id: str, name: str, data: bytes) -> bool:
    run, shard = room.run("p"), room.shard("beside", job_id)
    temporary = run.temporary()
    try:
        os.close(room.disk.write_new(temporary, run.fd, data, room.place.file_mode))
    except OSError as error:
        if error.errno in FULL_DISK:
            return False
        raise
    return room.disk.rename(temporary, run.fd, name, shard)


def _names(room: Room, job_id: str, kind: str) -> list[str]:
    return sorted(n for n in _all_names(room, job_id) if n.startswith(f"{job_id}.{kind}."))


def _all_names(room: Room, job_id: str) -> list[str]:
    """What the folder for this job holds, other jobs' files too; nothing when nobody has made it yet."""
    shard = room.shard_if("beside", job_id)
    return [] if shard is None else room.disk.names(shard)


def _read(room: Room, job_id: str, name: str) -> bytes:
    shard = room.shard_if("beside", job_id)
    try:
        fd = -1 if shard is None else os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=shard)
    except OSError:
        fd = -1
    if fd < 0:
        return b""
    with open(fd, "rb") as file:
        return file.read(LONGEST)


def add_attempt(room: Room, job_id: str, attempt: Attempt) -> str:
    """Keep the attempt, and only the last ten; the name of its file, for `take_back`."""
    old = _names(room, job_id, "h")
    moment = int(room.place.now() * 1e6)
    written = f"{job_id}.h.{moment:014x}.{attempt.number % 10**6:06}.{os.urandom(4).hex()}"
    _write(room, job_id, written, pack_history([attempt]))
    for name in old[: max(0, len(old) - HISTORY + 1)]:
        room.disk.unlink(name, room.shard("beside", job_id))
    return written


def keep_history(room: Room, job_id: str, attempts: Sequence[Attempt]) -> bool:
    """Keep the attempts that a job brings along; False when the disk is full. Their names come from what they say, so that a carry that is
    run again writes the same files, and each is older than the one behind it."""
    moment = 0
    for attempt in attempts[-HISTORY:]:
        moment = max(moment + 1, int(attempt.ended * 1e6))
        data = pack_history([attempt])
        if not _write(room, job_id, f"{job_id}.h.{moment:014x}.{attempt.number % 10**6:06}.{crc32(data):08x}", data):
            return False
    return True


def take_back(room: Room, name: str) -> None:
    """The attempt or the result was of one who had lost the job: it says nothing."""
    room.disk.unlink(name, room.shard("beside", name[: name.index(".")]))


def history(room: Room, job_id: str) -> list[Attempt]:
    """The last ten attempts that did not end well, in order."""
    out: list[Attempt] = []
    for name in _names(room, job_id, "h"):
        out += unpack_history(_read(room, job_id, name))
    return out[-HISTORY:]


def put_result(room: Room, job_id: str, serial: int, forgotten: int, kind: str, data: bytes) -> str:
    """Keep the result; the name of its file, for `take_back`, empty when there is no room for it on the disk."""
    name = f"{job_id}.r.{serial:x}.{forgotten:x}"
    return name if _write(room, job_id, name, _encode((kind, data))) else ""


def result(room: Room, job_id: str, serial: int, forgotten: int) -> tuple[str, bytes] | None:
    """(content type, bytes) of the result of a done job whose name has this serial and this end; None when there is none."""
    try:
        return _result.decode(_read(room, job_id, f"{job_id}.r.{serial:x}.{forgotten:x}"))
    except msgspec.MsgspecError:
        return None


def forget(room: Room, job_id: str) -> None:
    """Drop all that is kept of a job that has gone."""
    for name in _all_names(room, job_id):
        if name.startswith(f"{job_id}."):
            room.disk.unlink(name, room.shard("beside", job_id))
