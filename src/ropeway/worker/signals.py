"""The signals of a worker that owns the main thread, and the way to wait there without missing one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType, MappingProxyType, TracebackType
from typing import Any, NoReturn

KILLED = 143

Orders = dict[int, Callable[[], None]]  # what each signal means


class Signals:
    """As a context manager: SIGTERM and SIGINT call `stop`, and `seen` counts them; `others` says what further signals call, but those that
    are ignored when it begins (by nohup, say) stay so. What was there before is put back at the end.

    The third one ends the process here and now, whatever the store or a job is blocked in: what it holds is left to the lease.
    """

    def __init__(self, stop: Callable[[], None], others: Mapping[int, Callable[[], None]] = MappingProxyType({})) -> None:
        self.seen = 0
        self._stop = stop
        self._others = others
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._got)
        for other in self._others:
            if signal.getsignal(other) is not signal.SIG_IGN:
                self._before[other] = signal.signal(other, self._order)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _order(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._others[number]()

    def _got(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the shape of a handler
        self.seen += 1
        if self.seen > 2:
            leave(KILLED)
        self._stop()


class Terminal:
    """The terminal that this process belongs to, which tells the two meanings of SIGHUP apart."""

    def __init__(self) -> None:
        self._had = _has_terminal()

    @property
    def gone(self) -> bool:
        """There was one, and it was closed."""
        return self._had and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


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
