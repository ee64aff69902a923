"""The line on the terminal that says how far a worker is. Plain escape codes, on standard error, and only when that is a terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import RopewayError
from ..link import Link
from ..names import matching
from .journal import Counters

if TYPE_CHECKING:
    from .loop import Worker

DRAW = 0.2  # seconds between two drawings
COUNT = 1.0  # seconds between two questions to the store
_CLEAR = "\r\x1b[2K"
_WIDTH = 79


class Progress:
    """A thread that draws the line until it is closed."""

    def __init__(self, link: Link, patterns: Sequence[str], worker: Worker) -> None:
        self._link = link
        self._patterns = patterns
        self._worker = worker
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: int | None = None

    def start(self) -> None:
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._run, name="ropeway-progress", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Clear the line, and leave the totals in its place."""
        if self._thread is not None:
            self._end.set()
            self._thread.join(1.0)
            self._write(f"{_CLEAR}{said(self._worker.counters, 0, None, 0.0)}\n")

    def _run(self) -> None:
        boot = self._link.clock.boot
        start = last = asked = boot()
        rate, before = 0.0, 0
        self._count()
        while not self._end.wait(DRAW):
            now, counters = boot(), self._worker.counters
            if now - asked >= COUNT:
                asked = now
                self._count()
            rate += ((counters.ran - before) / max(now - last, 1e-6) - rate) * min(1.0, (now - last) / max(1.0, now - start))
            last, before = now, counters.ran
            self._write(_CLEAR + said(counters, len(self._worker.running), self._waiting, rate)[:_WIDTH])

    def _count(self) -> None:
        try:
            counts = self._link.store.counts(matching(self._patterns, self._link.store.queues()))
            self._waiting = sum(count.ready + count.delayed for count in counts.values())
        except RopewayError:
            self._waiting = None

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            self._end.set()


def said(counters: Counters, held: int, waiting: int | None, rate: float) -> str:
    """The line: `1204 done  3 retried  1 dead  8 in hand  96 waiting  312/s`."""
    parts = [f"{counters.done} done"]
    if counters.retried:
        parts.append(f"{counters.retried} retried")
    if counters.buried:
        parts.append(f"{counters.buried} dead")
    if counters.lost:
        parts.append(f"{counters.lost} lost")
    if held:
        parts.append(f"{held} in hand")
    if waiting is not None:
        parts.append(f"{waiting} waiting")
    if rate >= 0.05:
        parts.append(f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
    return "  ".join(parts)
