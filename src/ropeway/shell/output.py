"""What a command prints, kept while it runs: in a file of the user's own, or in the store's notes, where any host can read it.

In notes it stands in numbered pieces of 32 KiB, `output/ID/00000000` and on; the last one grows. At most the last 32 of them are kept,
1 MiB, and no more is written in half a second; what falls out is told to the reader as so many bytes. A file keeps all.
Standard error stands among it, or, where the command asks for that, by itself under the id and `.e`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from ..errors import RopewayError
from ..notes import Notes

PREFIX = "output/"
PIECE = 32 << 10
PIECES = 32
KEPT = 7 * 86400.0  # seconds
EACH = 0.5  # seconds between two writes into a store
TAIL = 4096

ERRORS = ".e"  # behind the id: what was said on standard error, where that is kept apart

Part = bytes | int  # what was printed, or how many bytes are missing here


class FileSink:
    """Into the file of that path, which the command writes by itself; what a later run prints comes behind."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    @property
    def tail(self) -> bytes:
        """The end of it."""
        size = os.fstat(self.fd).st_size
        return os.pread(self.fd, TAIL, max(0, size - TAIL))

    def write(self, data: bytes) -> None:
        os.write(self.fd, data)

    def tick(self) -> None:
        """All is there already."""

    def close(self) -> None:
        os.close(self.fd)


class NoteSink:
    """Into notes of the store. Used by one thread. What the store does not take is tried again with the next write, while it is kept."""

    fd = -1

    def __init__(self, notes: Notes, job_id: str, boot: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self.tail = b""
        self._notes = notes
        self._key = f"{PREFIX}{job_id}/"
        self._boot = boot
        self._sleep = sleep
        self._pieces: dict[int, bytearray] = {}  # those that are kept, the last one growing
        self._dirty: set[int] = set()
        self._written: set[int] = set()
        self._next = 0.0
        there = sorted(notes.notes(self._key).items())  # of an earlier run
        self._number = 0
        for key, value in there:
            number = _number(key)
            if number is not None:
                self._written.add(number)
                self._number = max(self._number, number)
                self._pieces = {number: bytearray(value)}

    def write(self, data: bytes) -> None:
        """More was printed."""
        self.tail = (self.tail + data)[-TAIL:]
        left = memoryview(data)
        while left:
            piece = self._pieces.setdefault(self._number, bytearray())
            room = PIECE - len(piece)
            if room <= 0:
                self._number += 1
                continue
            piece += left[:room]
            self._dirty.add(self._number)
            left = left[room:]
        for number in [number for number in self._pieces if number <= self._number - PIECES]:
            del self._pieces[number]
            self._dirty.discard(number)

    def tick(self) -> None:
        """Hand on what was printed, if it is time to."""
        if self._dirty and self._boot() >= self._next:
            try:
                self._flush()
            except RopewayError:
                pass
            self._next = self._boot() + EACH

    def close(self) -> None:
        """Hand on the rest: whoever hears of the job's end can read all. A store that is away is waited for a little."""
        for pause in (0.1, 0.5, 2.0, 0.0):
            try:
                self._flush()
                break
            except RopewayError:
                self._sleep(pause)

    def _flush(self) -> None:
        for number in sorted(self._dirty):
            self._notes.note(f"{self._key}{number:08d}", bytes(self._pieces[number]), KEPT)
            self._written.add(number)
            self._dirty.discard(number)
            if number < self._number:
                del self._pieces[number]
        for number in sorted(number for number in self._written if number <= self._number - PIECES):
            self._notes.forget(f"{self._key}{number:08d}")
            self._written.discard(number)


class NoteReader:
    """Reads what is there, from the beginning or from where it stopped; asks only for the piece that grows."""

    def __init__(self, notes: Notes, job_id: str) -> None:
        self._notes = notes
        self._key = f"{PREFIX}{job_id}/"
        self._number = -1  # the piece that is read next; -1: not begun
        self._place = 0  # in it

    def read(self) -> Iterator[Part]:
        """What has come since the last call."""
        if self._number < 0:
            yield from self._take(self._all())
            return
        while True:
            key = f"{self._key}{self._number:08d}"
            piece = self._notes.notes(key).get(key)
            if piece is None and self._place == 0:
                there = self._all()  # not begun yet, or fallen out already
                if there and max(there) > self._number:
                    yield from self._take(there)
                return
            if piece is not None and len(piece) > self._place:
                yield piece[self._place :]
                self._place = len(piece)
            if piece is not None and len(piece) < PIECE:
                return
            if piece is None and not (there := self._all()):
                return
            if piece is None:
                yield from self._take(there)
                return
            self._number, self._place = self._number + 1, 0

    def _all(self) -> dict[int, bytes]:
        found = {_number(key): value for key, value in self._notes.notes(self._key).items()}
        return {number: value for number, value in found.items() if number is not None}

    def _take(self, there: dict[int, bytes]) -> Iterator[Part]:
        for number in sorted(there):
            at, now = max(self._number, 0) * PIECE + self._place, number * PIECE
            if number < self._number:
                continue
            if now > at:
                yield now - at
                self._place = 0
            piece = there[number][self._place if number == self._number else 0 :]
            if piece:
                yield piece
            self._number, self._place = number, len(there[number])
            if self._place >= PIECE:
                self._number, self._place = number + 1, 0


class FileReader:
    """The same from a file, which may not be there yet."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def read(self) -> Iterator[Part]:
        """What has come since the last call."""
        if self._fd < 0:
            try:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                return
        while data := os.read(self._fd, 1 << 16):
            yield data


def forget(notes: Notes, job_id: str) -> None:
    """Drop what is kept of that job."""
    for key in notes.notes(f"{PREFIX}{job_id}/"):
        notes.forget(key)


def _number(key: str) -> int | None:
    text = key.rpartition("/")[2]
    return int(text) if len(text) == 8 and text.isascii() and text.isdigit() else None
