"""A peer's own worker in a process of its own: it runs for ever, and the process ends when so many jobs have started."""

from __future__ import annotations

import json
import os
import threading
import time
from time import perf_counter_ns, process_time

GRACE = 0.4  # seconds in which the worker settles its last jobs


class Starts:
    """Call it with the number of each job that starts."""

    def __init__(self, count: int, latencies: bool) -> None:
        self._count, self._latencies = count, latencies
        self._moments: list[int] = []
        self._cpu = [0.0, 0.0]
        self._enough = threading.Event()
        threading.Thread(target=self._end, daemon=True).start()

    def __call__(self, number: int) -> None:
        """The start of a job. Of the idle measure, number 0 says that the worker is there; the others are moments."""
        now = perf_counter_ns()
        moments = self._moments
        if self._latencies:
            if number == 0:
                os.write(1, b"waiting\n")  # not by print, which some workers turn into log lines
                return
            now -= number
        elif not moments:
            self._cpu[0] = process_time()
        moments.append(now)
        if len(moments) == self._count:
            self._cpu[1] = process_time()
            self._enough.set()

    def _end(self) -> None:
        self._enough.wait()
        time.sleep(GRACE)
        taken, done = self._moments[: self._count], self._count - 1
        if self._latencies:
            told: dict[str, object] = {"ms": [one / 1e6 for one in taken[5:]]}
        else:
            told = {"rate": done / (taken[-1] - taken[0]) * 1e9, "cpu": (self._cpu[1] - self._cpu[0]) / done * 1e6}
        told["extra"] = len(self._moments) - self._count
        os.write(1, json.dumps(told).encode() + b"\n")
        os._exit(0)  # such a worker is made to run for ever
