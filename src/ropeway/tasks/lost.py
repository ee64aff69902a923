"""Whether another may hold the job by now, as something to look at and to wait on."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..worker.run import Run

LOOK = 0.2  # seconds between two looks, for a loss that nobody could ring for


class Lost:
    """True once the lease of a run is lost, and it stays so. Like a `threading.Event` that somebody else sets."""

    __slots__ = ("_bell", "_run")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._bell = threading.Event()

    def __bool__(self) -> bool:
        return self._run.lost

    def is_set(self) -> bool:
        """Whether it is lost."""
        return self._run.lost

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until it is lost, at most `timeout` seconds; whether it is. What a job may sleep on instead of `time.sleep`."""
        end = None if timeout is None else monotonic() + timeout
        while not self._run.lost:
            left = LOOK if end is None else min(LOOK, end - monotonic())
            if left <= 0:
                return False
            self._bell.wait(left)
        return True

    def ring(self) -> None:
        """It was lost a moment ago."""
        self._bell.set()

    def __repr__(self) -> str:
        return f"<Lost: {bool(self)}>"
