"""Whose turn it is to write: a lock between threads, then one on a file between processes.

Measured with 8 processes that put one by one, each put synced, on 2 busy cores, three runs of 2 s of each way in turn: worst wait of a put
0.4 to 1.2 s with a turn, 2.4 s in each run with SQLite's own busy timeout (some writers made one put in 2 s), 0.4 to 2.1 s with our short
pauses in its busy handler and no turn. The disk was shared, so the puts a second say nothing (68 to 861).
"""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time

from ..session import Again

_FIRST, _LONGEST = 0.0001, 0.002  # seconds between two tries; short, so that nobody passes many times before who waits


class Turn:
    """One for all sessions of a store in one process. A process that is stopped while it has its turn is waited for `patience` seconds."""

    def __init__(self, path: str, mode: int, patience: float) -> None:
        self._fd = -1
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        self._lock = threading.Lock()
        self._patience = patience

    def take(self) -> None:
        """Raises Again when it does not come within the time."""
        if not self._lock.acquire(blocking=False) and not self._lock.acquire(timeout=self._patience):  # the first is much cheaper
            raise Again
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait()
        except BaseException:
            self._lock.release()
            raise

    def _wait(self) -> None:
        end, pause = time.monotonic() + self._patience, _FIRST
        while time.monotonic() < end:
            time.sleep(random.uniform(0, pause))  # of a lock between processes, not of the store's time
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pause = min(pause * 2, _LONGEST)
            else:
                return
        self._lock.release()
        raise Again

    def leave(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        self._lock.release()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()
