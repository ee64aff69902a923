"""The bell of one thread that waits on a memory store."""

from __future__ import annotations

import threading


class Bell:
    """Rung once or many times, it wakes once. A bare lock, since ringing one is safe inside a signal handler and an Event is not."""

    __slots__ = ("_lock", "woken")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.woken = False  # by `wake`, not by a job

    def wait(self, timeout: float) -> bool:
        return self._lock.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX))

    def ring(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # rung already
