"""The store's notes: one small file a fact in `+notes/`, named by its key, which begins with the moment it is over; a write is a rename."""

from __future__ import annotations

import os
import threading

from ...demands import check_note, check_note_key
from ...notes import NOTE_LIMIT
from .holders import identity
from .layout import queue_folder, read_queue_folder
from .place import NOTES, Place


def file_of(key: str) -> str:
    """A key as a file's name: slashes as commas, capitals as in a queue's folder; reversible, and safe on a case-folding disk."""
    return queue_folder(key.replace("/", ","))


def key_of(name: str) -> str | None:
    """The key of a file; None for a file that is no note."""
    key = read_queue_folder(name)
    return None if key is None or key.startswith(".") else key.replace(",", "/")


class DirectoryNotes:
    """The Notes contract: eight bytes of the moment it is over (microseconds, big-endian), then the value."""

    def __init__(self, place: Place, ready: object) -> None:
        self._place = place
        self._ready = ready
        self._fd: int | None = None
        self._lock = threading.Lock()
        self._number = 0

    def _folder(self) -> int:
        if callable(self._ready):
            self._ready()
        with self._lock:
            if self._fd is None:
                self._place.disk.mkdir(NOTES, self._place.fd, self._place.folder_mode)
                self._fd = self._place.disk.open_folder(NOTES, self._place.fd)
            if self._fd is None:
                raise FileNotFoundError(f"{NOTES} vanished as it was made")
            return self._fd

    def note(self, key: str, value: bytes, lifetime: float) -> None:
        check_note(key, value, lifetime)
        name = file_of(key)
        fd, disk = self._folder(), self._place.disk
        over = int((self._place.now() + lifetime) * 1e6)
        with self._lock:
            self._number += 1
            temporary = f".t.{identity('p').random}.{self._number}"
        out = disk.create(temporary, fd, self._place.file_mode)
        try:
            disk.calls.write(out, over.to_bytes(8, "big") + value)
        except BaseException:
            disk.unlink(temporary, fd)
            raise
        finally:
            os.close(out)
        disk.rename(temporary, fd, name, fd)

    def notes(self, prefix: str) -> dict[str, bytes]:
        fd, now = self._folder(), int(self._place.now() * 1e6)
        out = {}
        begin = prefix.replace("/", ",").lower()  # of the file's name, whatever the key's capitals: most are passed over by that
        for name in [name for name in self._place.disk.names(fd) if name.startswith(begin)]:
            key = key_of(name)
            if key is None or not key.startswith(prefix):
                continue
            read = self._read(fd, name)
            if read is None:
                continue
            over, value = read
            if over > now:
                out[key] = value
            else:
                self._place.disk.unlink(name, fd)
        return dict(sorted(out.items()))

    def _read(self, fd: int, name: str) -> tuple[int, bytes] | None:
        try:
            file_fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        except OSError:
            return None
        with open(file_fd, "rb") as file:
            data = file.read(NOTE_LIMIT + 9)
        return (int.from_bytes(data[:8], "big"), data[8:]) if len(data) >= 8 else None

    def forget(self, key: str) -> bool:
        fd, name = self._folder(), file_of(check_note_key(key))
        read = self._read(fd, name)
        gone = self._place.disk.unlink(name, fd)
        return gone and read is not None and read[0] > int(self._place.now() * 1e6)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
