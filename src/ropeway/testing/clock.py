"""A clock that a test sets: nothing sleeps, time jumps."""

from __future__ import annotations

import threading
import time

from ..clock import Sleeper
from ..errors import Timeout

START = 1_800_000_000.0  # some day in 2027
_GLANCE = 0.002  # how often one who really sleeps looks whether the fake time has come


class FakeClock:
    """Wall clock and boot clock that move only when a test moves them, or when somebody sleeps on them.

    With `autojump` (the default) a sleeper that was not rung makes the time jump to its end and never waits: code that waits an hour
    is tested in no time, in one thread. Without it a sleeper sleeps until it is rung or another thread has moved the time past
    its end: for tests in which one thread waits and another acts. May be used from any thread.
    """

    def __init__(self, now: float = START, boot: float = 1000.0, *, autojump: bool = True, patience: float = 30.0) -> None:
        self._now = now
        self._boot = boot
        self._autojump = autojump
        self._patience = patience  # real seconds until a test that would hang fails
        self._changed = threading.Condition()
        self._asleep = 0

    def now(self) -> float:
        return self._now

    def boot(self) -> float:
        return self._boot

    def advance(self, seconds: float) -> None:
        """Let that much time pass, on both clocks."""
        if not seconds >= 0:
            raise ValueError("time does not run backwards; use step for a wall clock that is set back")
        with self._changed:
            self._move(seconds)

    def step(self, seconds: float) -> None:
        """Set the wall clock, as an operator or NTP does: the boot clock does not see it."""
        with self._changed:
            self._now += seconds

    def sleep(self, on: Sleeper, seconds: float) -> bool:
        if self._autojump:
            if on.wait(0):
                return True
            with self._changed:
                self._move(max(0.0, seconds))
            return False
        return self._sleep(on, seconds)

    def until_asleep(self, sleepers: int = 1) -> None:
        """Wait, in real time, until that many threads sleep on this clock; Timeout if they never do."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._asleep >= sleepers, self._patience):
                raise Timeout(f"{self._asleep} of {sleepers} threads slept on the fake clock after {self._patience:.0f} s")

    def _sleep(self, on: Sleeper, seconds: float) -> bool:
        end, limit = self._boot + seconds, time.monotonic() + self._patience
        with self._changed:
            self._asleep += 1
            self._changed.notify_all()
        try:
            while not on.wait(_GLANCE):
                if self._boot >= end:
                    return False
                if time.monotonic() > limit:
                    raise Timeout(f"slept {self._patience:.0f} real seconds on a fake clock that nobody moved")
            return True
        finally:
            with self._changed:
                self._asleep -= 1

    def _move(self, seconds: float) -> None:
        self._now += seconds
        self._boot += seconds
