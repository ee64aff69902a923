"""The signals of a worker that owns the main thread, and the way to wait there without missing one."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType, MappingProxyType, TracebackType
from typing import Any, NoReturn

KILLED = 143

Orders = dict[int, Callable[[], None]]  # what each signal means


class Signals:
    """As a context manager: SIGTERM and SIGINT call `stop`, and `seen` counts them; `others` says what further signals call, but those that
    are ignored when it begins (by nohup, say) stay so. What was there before is put back at the end, and in a forked child.

    They are heeded in a thread of their own, by the descriptor that the interpreter writes each signal to. Python's handlers run in the
    main thread, and that may sleep through a signal which came in the instant before it fell asleep.

    The third one ends the process here and now, whatever the store or a job is blocked in: what it holds is left to the lease.
    """

    def __init__(self, stop: Callable[[], None], others: Mapping[int, Callable[[], None]] = MappingProxyType({})) -> None:
        self.seen = 0
        self._stop = stop
        self._others = others
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        global _active
        self._ear, self._mouth = socket.socketpair()
        self._mouth.settimeout(0.0)
        self._waker = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, *self._others):
            if number not in self._others or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, _heard)
        if signal.SIGHUP in self._before:  # held back since the program that was here before began this one (cli/manning.run_one)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        self._thread = threading.Thread(target=self._listen, name="ropeway-signals", daemon=True)
        self._thread.start()
        _active = self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global _active
        _active = None
        self.restore()
        self._mouth.shutdown(socket.SHUT_RDWR)  # a child that a job has forked may hold a copy of it
        self._mouth.close()
        self._thread.join(5.0)
        self._ear.close()

    def restore(self) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._waker)

    def _listen(self) -> None:
        while numbers := self._ear.recv(64):
            for number in numbers:
                if number in (signal.SIGTERM, signal.SIGINT):
                    self._got()
                elif number in self._before:  # and none that the program has a handler of its own for
                    self._others[number]()

    def _got(self) -> None:
        self.seen += 1
        if self.seen > 2:
            leave(KILLED)
        self._stop()


_active: Signals | None = None


def _heard(number: int, frame: FrameType | None) -> None:
    """There has to be a handler, or the interpreter writes nothing to the descriptor."""


def _after_fork() -> None:
    """A child that a job has forked is no worker: it must not speak to our thread, and must die of what kills others."""
    if _active is not None:
        try:
            _active.restore()
            signal.set_wakeup_fd(-1)
        except ValueError:
            pass  # not in its main thread, where nothing of this can be done


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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
