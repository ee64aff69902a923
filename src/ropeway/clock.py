"""Time, given: the one place where ropeway asks what time it is, so that a test can say it instead."""

from __future__ import annotations

import time
from typing import Protocol


class Sleeper(Protocol):
    """Something one can sleep on and be woken from: a bell, an event, a condition."""

    def wait(self, timeout: float) -> bool:
        """True when rung, False when `timeout` seconds have passed."""
        ...


class Clock(Protocol):
    """Two times and one way to let them pass. All in seconds."""

    def now(self) -> float:
        """Since 1970, as the wall clock has it; may step. For due times, and for people."""
        ...

    def boot(self) -> float:
        """Since the machine started, suspend included; never steps. For leases and for durations inside a process."""
        ...

    def sleep(self, on: Sleeper, seconds: float) -> bool:
        """Wait on `on` for at most that long; True when it was rung. A fake clock jumps instead."""
        ...


class SystemClock:
    """The machine's own clocks. `boot` is CLOCK_BOOTTIME, which goes on while the machine is suspended."""

    now = staticmethod(time.time)

    if hasattr(time, "CLOCK_BOOTTIME"):

        @staticmethod
        def boot() -> float:
            return time.clock_gettime(time.CLOCK_BOOTTIME)

    else:  # pragma: no cover - other systems than Linux
        boot = staticmethod(time.monotonic)

    def sleep(self, on: Sleeper, seconds: float) -> bool:
        return on.wait(seconds)


SYSTEM = SystemClock()
