"""SIGTERM and SIGINT while a worker owns the main thread, and the way to wait there without missing one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NoReturn

KILLED = 143


class Signals:
    """As a context manager: either signal calls `stop`; what was there before is put back at the end. `seen` counts them.

    The third one ends the process here and now, whatever the store or a job is blocked in: what it holds is left to the lease.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.seen = 0
        self._stop = stop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._got)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _got(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the shape of a handler
        self.seen += 1
        if self.seen > 2:
            leave(KILLED)
        self._stop()


def in_thread(work: Callable[[], int]) -> int:
    """Call it in another thread and wait here: the main thread is then free for signals whatever the work is blocked in."""
    answer: list[int] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(work())
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked
            failure.append(error)

    thread = threading.Thread(target=run, name="ropeway-ferry", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(3600.0)
    if failure:
        raise failure[0]
    return answer[0]


def leave(code: int) -> NoReturn:
    """End the process without waiting for its threads."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.shutdown()
    os._exit(code)
