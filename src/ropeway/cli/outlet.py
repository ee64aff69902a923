"""A stream whose reader may be slow or gone: whoever writes can be ended while it waits, never between a write and knowing of it."""

from __future__ import annotations

import os
import select
import stat
from typing import IO, Any

from .signals import disturbed

KEPT = 1 << 16  # bytes gathered before they are sent without being asked
SURE = 4096  # bytes that a pipe takes at once when it takes any (PIPE_BUF)


class Outlet:
    """Writes to a descriptor. `write` gathers, `flush` returns when all is out. What ends the command (signals.undisturbed) comes
    through while the reader lets us wait; then what had not been written is dropped."""

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor
        self._kept: list[bytes] = []
        self._size = 0
        self._step = KEPT if stat.S_ISREG(os.fstat(descriptor).st_mode) else SURE
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, data: bytes) -> int:
        self._kept.append(data)
        self._size += len(data)
        if self._size >= KEPT:
            self.flush()
        return len(data)

    def flush(self) -> None:
        left = memoryview(b"".join(self._kept))
        self._kept, self._size = [], 0
        while left:
            with disturbed():
                self._poll.poll()
            left = left[os.write(self._fd, left[: self._step]) :]


def outlet(stream: Any) -> IO[bytes]:
    """An Outlet on what the stream writes to; the stream itself when that is no descriptor."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        same: IO[bytes] = stream
        return same
    stream.flush()
    out: Any = Outlet(descriptor)
    return out  # type: ignore[no-any-return]
