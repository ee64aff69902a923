"""Waking a thread that sleeps in `poll`: a descriptor that is written to only while it sleeps."""

from __future__ import annotations

import os
from types import TracebackType


class Wake:
    """As a context manager around the sleep. Whoever rings before it is left is noticed: the flag is raised first, and what others have
    left is looked at after."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for fd in (self._read, self._write):
            os.set_blocking(fd, False)
        self._asleep = False

    def fileno(self) -> int:
        return self._read

    def ring(self) -> None:
        """From any thread."""
        if self._asleep:
            self._asleep = False
            try:
                os.write(self._write, b"!")
            except OSError:
                pass  # full, so it is rung; or closed, so nobody sleeps

    def __enter__(self) -> Wake:
        self._asleep = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._asleep = False
        try:
            while os.read(self._read, 4096):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)
