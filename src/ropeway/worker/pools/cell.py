"""A few bytes that a worker and one of its children share: which run the child is in, and which one it is told to end.

Written without a system call before each run, so that the worker knows what a child was doing when it died or hangs:

    0   the number of the run that was begun last       by the child
    8   when it began, by the boot clock                by the child
    16  the number of the run that is to end            by the worker
    24  the verdict that it has, why it is to end       by the worker
    32  1 when the worker was told to stop              by the worker
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile

SIZE = 40
_NUMBER = struct.Struct("=q")
_TIME = struct.Struct("=d")


class Cell:
    """The shared memory behind a descriptor."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SIZE)

    def begin(self, number: int, now: float) -> None:
        """The child begins this run. The time first: a number that is seen never has an older time beside it."""
        _TIME.pack_into(self._map, 8, now)
        _NUMBER.pack_into(self._map, 0, number)

    def begun(self) -> tuple[int, float]:
        """The run that was begun last, and when; (0, 0.0) before the first."""
        number: int = _NUMBER.unpack_from(self._map, 0)[0]
        start: float = _TIME.unpack_from(self._map, 8)[0]
        return number, start

    def tell(self, number: int, verdict: int) -> None:
        """This run is to end, for this reason."""
        _NUMBER.pack_into(self._map, 24, verdict)
        _NUMBER.pack_into(self._map, 16, number)

    def told(self, number: int) -> int:
        """The verdict on this run; 0 while there is none."""
        if _NUMBER.unpack_from(self._map, 16)[0] != number:
            return 0
        verdict: int = _NUMBER.unpack_from(self._map, 24)[0]
        return verdict

    @property
    def stopping(self) -> bool:
        """Whether the worker was told to stop."""
        return bool(_NUMBER.unpack_from(self._map, 32)[0])

    def stop(self) -> None:
        _NUMBER.pack_into(self._map, 32, 1)

    def close(self) -> None:
        self._map.close()


def new_cell() -> tuple[int, Cell]:
    """A cell, and the descriptor by which a child gets at it: the caller's to close."""
    try:
        fd = os.memfd_create("ropeway-cell")
    except (AttributeError, OSError):  # another system than Linux
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, SIZE)
    return fd, Cell(fd)
