"""How often the collector has run since somebody wanted to know, and how long everything stood still for it."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

_lock = threading.Lock()


class Pauses:
    """Times the collections of the older generations. `start` and `stop` may be called more than once; from any thread."""

    def __init__(self) -> None:
        self._began = 0.0
        self._on = False
        self.count = 0
        self.seconds = 0.0
        self.longest = 0.0
        self.longest_at = 0.0

    def start(self) -> None:
        with _lock:
            if not self._on:
                gc.callbacks.append(self._heard)
                self._on = True

    def stop(self) -> None:
        with _lock:
            if self._on:
                gc.callbacks.remove(self._heard)
                self._on = False

    def _heard(self, phase: str, info: dict[str, int]) -> None:
        """Called by the collector, in whatever thread it runs: it must be short, and take no lock. The youngest generation is not timed:
        it comes a thousand times a second, and takes about as long as to time it."""
        if not info["generation"]:
            return
        if phase == "start":
            self._began = time.perf_counter()
            return
        spent = time.perf_counter() - self._began
        self.count += 1
        self.seconds += spent
        if spent > self.longest:
            self.longest, self.longest_at = spent, time.time()

    def shown(self) -> dict[str, Any]:
        """As it is shown; what the collector itself counts since the process began stands beside what was timed."""
        out: dict[str, Any] = {"enabled": gc.isenabled(), "thresholds": list(gc.get_threshold()), "waiting": list(gc.get_count())}
        out["generations"] = [
            {"collections": one["collections"], "collected": one["collected"], "uncollectable": one["uncollectable"]}
            for one in gc.get_stats()
        ]
        if self._on:
            out["timed"] = {"collections": self.count, "seconds": round(self.seconds, 6), "longest": round(self.longest, 6)}
            if self.longest_at:
                out["timed"]["longest_at"] = self.longest_at
        return out
