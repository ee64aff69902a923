"""Reading from a terminal or a pipe so that a signal always ends the wait: standard input, and what a producer prints.

A plain read has a gap: a signal that comes after Python last looked for one and before the system call waits is only handled when the read
has ended, and a prompt may never end. The interpreter's C handler, however, writes a byte into the wake-up pipe at once (see
signal.set_wakeup_fd), and here the pipe is waited for together with the input.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import IO

from ..bells.place import readable


class Awaited(io.RawIOBase):
    """A descriptor that is read when there is something to read. Closing this leaves the descriptor open."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wait_for_input(self._fd)
        data = os.read(self._fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def wait_for_input(fd: int) -> None:
    """Sleep until there is something to read, or its end. Whatever a signal handler raises is raised here."""
    woken, bell = os.pipe()
    try:
        os.set_blocking(woken, False)
        os.set_blocking(bell, False)
        try:
            before = signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        except ValueError:  # no main thread: signals are not ours to hear
            return
        try:
            while fd not in readable([fd, woken], None):
                os.read(woken, 512)  # the handler has run by now and did not raise
        finally:
            signal.set_wakeup_fd(before)
    finally:
        os.close(woken)
        os.close(bell)


def awaited(stream: IO[bytes]) -> IO[bytes]:
    """The same, read in this way where it is a descriptor; it must not have been read before."""
    try:
        return io.BufferedReader(Awaited(stream.fileno()), 1 << 16)
    except (OSError, ValueError):  # in memory
        return stream


_stdin: tuple[object, IO[bytes]] = (None, io.BytesIO())


def stdin() -> IO[bytes]:
    """Standard input, as bytes: the same object each time, since it reads ahead."""
    global _stdin
    if _stdin[0] is not sys.stdin:
        _stdin = sys.stdin, awaited(sys.stdin.buffer)
    return _stdin[1]
