"""Many jobs at once, by COPY in its binary form: twice as fast as an insert, but it has no word for a job that is here already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct

from ....codec import pack_head
from ....job import Job
from ..record import micros

BULK = 50  # jobs from which on it is worth its second round trip
PIECE = 256 * 1024  # bytes handed over at a time
COLUMNS = "id, queue, priority, due, created, lane, head, body"

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_BEFORE = b"\0\x08\0\0\0\x10"  # eight fields, the first of 16 bytes
_NUMBERS = Struct(">ihiqiqi").pack  # priority, due, created, and the length of what follows
_NO_LANE = Struct(">ihiqiqii").pack  # the same, with a null in between
_LENGTH = Struct(">i").pack


def copy_rows(jobs: Sequence[Job], now: int) -> Iterator[bytes]:
    """The jobs as pieces of a binary COPY of COLUMNS."""
    pieces: list[bytes] = [_HEADER]
    size = 0
    queues: dict[str, bytes] = {}
    for job in jobs:
        name = queues.get(job.queue)
        if name is None:
            name = queues[job.queue] = _LENGTH(len(job.queue)) + job.queue.encode()
        created = micros(job.created) if job.created else now
        due = micros(job.due) if job.due else created + micros(job.delay)
        head, body = pack_head(job), job.body
        if job.lane:
            lane = job.lane.encode()
            before = _NUMBERS(2, job.priority, 8, due, 8, created, len(lane)) + lane + _LENGTH(len(head))
        else:
            before = _NO_LANE(2, job.priority, 8, due, 8, created, -1, len(head))
        pieces += (_BEFORE, bytes.fromhex(job.id), name, before, head, _LENGTH(len(body)), body)
        size += len(head) + len(body) + 80
        if size >= PIECE:
            yield b"".join(pieces)
            pieces, size = [], 0
    pieces.append(_TRAILER)
    yield b"".join(pieces)
