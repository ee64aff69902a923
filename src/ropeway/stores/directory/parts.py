"""What is inside a part file: written once, by one write, never opened for writing again.

    "rw1\\n"  u32 count  count x u32 CRC-32  count x u32 length  then the records (codec.pack_job), all little-endian

After a split many names share one file, so a record is found by its number, and a reader of a share reads the head and that range.
A file whose magic is of a later version is left alone (FutureFormat); one that is short or whose CRC is wrong is Damaged.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Collection, Sequence
from zlib import crc32

from ...codec import Damaged, FutureFormat, unpack_job
from ...job import Job
from .layout import RECORDS

MAGIC = b"rw1\n"
_FIRST_READ = 4096
_one = struct.Struct("<3I").pack
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def build(records: Sequence[bytes]) -> bytes:
    """The bytes of a part file of 1 to 256 records."""
    if len(records) == 1:
        record = records[0]
        return b"%s%s%s" % (MAGIC, _one(1, crc32(record), len(record)), record)
    count = len(records)
    head = struct.pack(f"<{1 + 2 * count}I", count, *map(crc32, records), *map(len, records))
    return b"".join((MAGIC, head, *records))


def read(name: str, dir_fd: int, first: int, wanted: Sequence[int] | range) -> list[Job]:
    """The jobs of these records (ascending). Raises Damaged, FutureFormat, OSError (FileNotFoundError: the name has changed)."""
    fd = os.open(name, READ_FLAGS, dir_fd=dir_fd)
    try:
        return read_open(fd, first, wanted)
    except OSError as error:
        if error.errno == errno.ESTALE:  # another client of the file server has removed it under our eyes
            raise FileNotFoundError(errno.ENOENT, "the part has gone", name) from error
        raise
    finally:
        os.close(fd)


def read_open(fd: int, first: int, wanted: Sequence[int] | range) -> list[Job]:
    """The same, of an open file whose position is its beginning."""
    data = os.read(fd, _FIRST_READ)
    if data[:4] != MAGIC or len(data) < 16:
        _refuse(fd, data)
    (count,) = struct.unpack_from("<I", data, 4)
    if not 1 <= count <= RECORDS:
        raise Damaged(f"a part that says it has {count} records")
    if count == 1:
        crc, length = struct.unpack_from("<2I", data, 8)
        if 16 + length > len(data):
            data += _rest(fd, len(data), 16 + length)
        record = memoryview(data)[16 : 16 + length]
        if len(record) != length or crc32(record) != crc:
            raise Damaged("a part that is short, or whose checksum is wrong")
        if first or wanted[-1] != 0:
            raise Damaged("a part that has fewer records than its name says")
        return [unpack_job(record)]
    head = 8 + 8 * count
    if len(data) < head:
        raise Damaged("a part that is short")
    if wanted[-1] >= count:
        raise Damaged("a part that has fewer records than its name says")
    numbers = struct.unpack_from(f"<{2 * count}I", data, 8)
    lengths = numbers[count:]
    low = wanted[0]
    start = head + sum(lengths[:low])
    stop = start + sum(lengths[low : wanted[-1] + 1])
    base = 0
    if stop > len(data):
        if start >= len(data):
            data, base = _rest(fd, start, stop), start
        else:
            data += _rest(fd, len(data), stop)
    view, at, number, out = memoryview(data), start - base, low, []
    for record_number in wanted:
        while number < record_number:
            at += lengths[number]
            number += 1
        record = view[at : at + lengths[number]]
        if len(record) != lengths[number] or crc32(record) != numbers[number]:
            raise Damaged(f"record {number} of a part is short, or its checksum is wrong")
        out.append(unpack_job(record))
    return out


def may_hold(name: str, dir_fd: int, ids: Collection[str]) -> bool:
    """Whether the part can hold a job of one of the ids: each stands in its record as text, and to look for that is a tenth of unpacking
    them all. True as well where that could not be seen: who reads the part then is told why."""
    try:
        fd = os.open(name, READ_FLAGS, dir_fd=dir_fd)
        try:
            size = os.fstat(fd).st_size
            data = os.read(fd, size)
        finally:
            os.close(fd)
    except OSError:
        return True
    return len(data) < size or any(one.encode() in data for one in ids)


def _rest(fd: int, start: int, stop: int) -> bytes:
    pieces = []
    while start < stop:
        piece = os.pread(fd, stop - start, start)
        if not piece:
            raise Damaged("a part that is short")
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces) if len(pieces) != 1 else pieces[0]


def _refuse(fd: int, data: bytes) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise Damaged("not a regular file")
    if len(data) >= 4 and data[:2] == b"rw" and data[3:4] == b"\n" and data[2:3].isdigit() and data[2:3] > MAGIC[2:3]:
        raise FutureFormat(f"a part in format {data[:3].decode()}, this ropeway reads up to rw1: update it; the part was left alone")
    raise Damaged("unfinished: an empty or foreign file" if not data.strip(b"\0") else "a file that is no part")
