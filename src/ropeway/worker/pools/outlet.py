"""What children print: passed on to the worker's own output, and the end of it kept by job, for whoever asks later.

A thread of its own reads the pipes, so that a terminal or a pipe that does not move holds up what children print, and nothing else.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections import OrderedDict
from collections.abc import Callable

from ...sight.here import here

TAIL = 16 << 10  # bytes kept of a job
JOBS = 256  # jobs of which something is kept
_READ = 1 << 16


class Outlet:
    """Whose output goes where. `add` and `printed` may be called from any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytearray] = OrderedDict()
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._new: list[tuple[int, int, Callable[[], str]]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ropeway-output", daemon=True)
        self._thread.start()

    def add(self, fd: int, to: int, whose: Callable[[], str]) -> None:
        """Read this pipe until it ends, then close it; write what comes to the descriptor `to`. `whose` answers the id of the job that
        prints, or nothing."""
        self._new.append((fd, to, whose))
        self._ring()

    def printed(self, job_id: str) -> bytes:
        """The end of what that job has printed, if it is still known."""
        with self._lock:
            return bytes(self._kept.get(job_id, b""))

    def close(self) -> None:
        """Read what is there, then end."""
        self._closed = True
        self._ring()
        self._thread.join(1.0)

    def _ring(self) -> None:
        try:
            os.write(self._waker, b"!")
        except (BlockingIOError, OSError):
            pass

    def _run(self) -> None:
        selector = self._selector
        while True:
            ready = selector.select(0 if self._closed else None)
            if self._closed and not [key for key, _ in ready if key.fd != self._wake] and not self._new:
                break
            for key, _ in ready:
                if key.fd == self._wake:
                    os.read(self._wake, _READ)
                else:
                    self._read(key.fd, *key.data)
            while self._new:
                fd, to, whose = self._new.pop()
                selector.register(fd, selectors.EVENT_READ, (to, whose))
        for key in list(selector.get_map().values()):
            os.close(key.fd)
        os.close(self._waker)
        selector.close()

    def _read(self, fd: int, to: int, whose: Callable[[], str]) -> None:
        try:
            data = os.read(fd, _READ)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(fd)
            os.close(fd)
            return
        job_id = whose()
        if job_id:
            with self._lock:
                kept = self._kept.pop(job_id, None) or bytearray()
                kept += data
                del kept[:-TAIL]
                self._kept[job_id] = kept
                while len(self._kept) > JOBS:
                    self._kept.popitem(last=False)
        if (printed := here().printed) is not None:
            printed.passed(to, data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(to, view) :]
        except OSError:
            pass  # ours is closed: the job goes on
