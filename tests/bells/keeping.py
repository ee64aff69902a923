"""A store for the tests of the bell: jobs as numbers in one queue, what an engine does without the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from ropeway.bells.bell import UdpBell
from ropeway.bells.choice import BellChoice
from ropeway.testing.clock import FakeClock

from .boards import MemoryBoard

ON = BellChoice()
NEVER = 1e9
POLL = 60.0
SECRET = b"correct horse battery"


class Store:
    """One queue, a board, and bells that share both. `real`: on the machine's clock, for threads."""

    def __init__(self, choice: BellChoice = ON, *, real: bool = False) -> None:
        self.clock = FakeClock()
        self.board = MemoryBoard() if real else MemoryBoard(self.clock)
        self.choice = choice
        self.jobs = 0
        self.looks = 0
        self.bells: list[UdpBell] = []
        self.real = real
        self._lock = threading.Lock()

    def bell(self, choice: BellChoice | None = None) -> UdpBell:
        chosen = self.choice if choice is None else choice
        self.bells.append(UdpBell(self.board, chosen) if self.real else UdpBell(self.board, chosen, self.clock))
        return self.bells[-1]

    def look(self) -> float:
        self.looks += 1
        return 0.0 if self.jobs else NEVER

    def put(self, bell: UdpBell, jobs: int = 1) -> None:
        with self._lock:
            self.jobs += jobs
        bell.ring(["mails"], jobs)

    def claim(self, bell: UdpBell, limit: int = 1) -> int:
        with self._lock:
            took = min(limit, self.jobs)
            self.jobs -= took
            more = self.jobs > 0
        bell.claimed(["mails"], took, more=more)
        return took

    def wait(self, bell: UdpBell, timeout: float = 0.0, queues: Sequence[str] = ("mails",)) -> bool:
        return bell.wait(queues, timeout, self.look, POLL)

    def announced(self) -> int:
        return len(self.board.rows)


def until(happened: Callable[[], bool]) -> None:
    """Poll something real, for half a minute at most."""
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.001)
