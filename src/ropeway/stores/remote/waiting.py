"""Waiting at the server: a long poll that can be woken from here, and that says when it would hear a ring."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from ...bells.place import readable
from ...clock import Clock
from .wire import BROKEN, Wire
from .words import PATH, encode

YES = b"!"  # something may be due
LONGEST = 240.0  # seconds of one poll: proxies cut what is silent for longer
SLACK = 20.0  # seconds beyond its time after which a poll is given up


class Waits:
    """All who wait in this store object. `wake` may be called from a signal handler: it writes one byte."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock
        self._lock = threading.Lock()
        self._pipes: set[tuple[int, int]] = set()
        self._woken = False
        self._closed = False

    def wait(self, queues: list[str], timeout: float, look: Callable[[], bool] | None) -> bool:
        pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        with self._lock:
            self._pipes.add(pipe)
        try:
            if self._woken or self._closed:
                self._woken = False
                return False
            end = self._clock.boot() + max(0.0, timeout)
            while True:
                left = max(0.0, end - self._clock.boot())
                answer = self._poll(queues, min(left, LONGEST), look, pipe[0])
                if answer is not None:
                    return answer
                if end <= self._clock.boot() or self._closed:
                    return False
        finally:
            with self._lock:
                self._pipes.discard(pipe)
            os.close(pipe[0])
            os.close(pipe[1])

    def wake(self) -> None:
        self._woken = True
        for _, end in list(self._pipes):
            try:
                os.write(end, b"\0")
            except OSError:
                continue  # it is full, or just being closed: that one wakes anyway

    def close(self) -> None:
        self._closed = True
        self.wake()

    def _poll(self, queues: list[str], seconds: float, look: Callable[[], bool] | None, woken: int) -> bool | None:
        """One long poll; None when its time was over."""
        response = self._wire.open("POST", f"{PATH}wait", encode((queues, seconds)))
        whole, said = False, b""
        try:
            while len(said) < 2:  # first that a ring would be heard now, then what came of it
                if not self._wire.waiting(response, woken, seconds + SLACK):
                    if readable((woken,), 0):
                        self._woken = False
                        return False
                    return None
                if not (more := response.read1(1)):
                    return None  # the server has hung up
                said += more
                if len(said) == 1 and look is not None and look():
                    return True
            whole = True
            return True if said.endswith(YES) else None
        except BROKEN:
            return None
        finally:
            if whole:
                self._wire.read(response)
            else:
                self._wire.drop(response)
