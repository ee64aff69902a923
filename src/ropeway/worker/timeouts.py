"""Timeouts of plain functions in threads: as far as they can be had there.

A thread cannot be stopped. At the deadline the run gets its verdict, and its thread an exception, raised at the next bytecode: a loop in
Python ends at once, a sleep or a C call when it returns. What has not ended five seconds later is settled as timed out all the same, its
thread left to itself and replaced. A timeout that really stops a run needs a process around it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

from .run import Run, Verdict

TICK = 0.05
GRACE = 5.0


class TimedOut(BaseException):
    """Raised in a job's thread at its deadline. Not an Exception, so that a job which catches those does not catch this."""


class Guarded:
    """A run with a deadline, and the thread that it is in."""

    __slots__ = ("ident", "lock", "open", "run", "shot_at")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ident = threading.get_ident()
        self.lock = threading.Lock()
        self.open = True  # until its own thread closes it, the exception may be sent; under the lock
        self.shot_at = 0.0


class Watchman:
    """Looks at all deadlines each 50 ms, in a thread that is there while there are any. `stuck` is told of a run that did not end."""

    def __init__(self, stuck: Callable[[Run], None]) -> None:
        self._stuck = stuck
        self._guarded: set[Guarded] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def call(self, run: Run, function: Callable[[], Any]) -> Any:
        """Call it, until the run's deadline. Raises TimedOut when that came first, whatever the function made of it."""
        guarded = Guarded(run)
        self._add(guarded)
        value, failed = None, None
        try:
            try:
                value = function()
            except BaseException as error:  # noqa: BLE001 - looked at below, when nothing can strike any more
                failed = error
            self._close(guarded)
        except TimedOut as error:  # it struck between the function's end and the door
            failed = error
            self._close(guarded)
        if run.verdict is Verdict.TIMEOUT and not isinstance(failed, TimedOut):
            raise TimedOut
        if failed is not None:
            raise failed
        return value

    def _add(self, guarded: Guarded) -> None:
        with self._lock:
            self._guarded.add(guarded)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="ropeway-watchman", daemon=True)
                self._thread.start()

    def _close(self, guarded: Guarded) -> None:
        """From here on nothing is sent; what was sent and has not arrived is called back, or arrives on the way out of here."""
        with guarded.lock:
            guarded.open = False
        if guarded.shot_at:
            _raise_in(guarded.ident, None)
        with self._lock:
            self._guarded.discard(guarded)

    def _watch(self) -> None:
        bell = threading.Event()
        while True:
            with self._lock:
                all_of = list(self._guarded)
                if not all_of:
                    self._thread = None
                    return
            for guarded in all_of:
                self._look(guarded)
            bell.wait(TICK)

    def _look(self, guarded: Guarded) -> None:
        run = guarded.run
        now = run.shift.boot()
        if now < run.deadline:
            return
        with guarded.lock:
            if not guarded.open:
                return
            if not guarded.shot_at:
                run.verdict = run.verdict or Verdict.TIMEOUT
                guarded.shot_at = now
                _raise_in(guarded.ident, TimedOut)
                return
            if now < guarded.shot_at + GRACE:
                return
        with self._lock:
            self._guarded.discard(guarded)
        self._stuck(run)


def _raise_in(ident: int, error: type[BaseException] | None) -> None:
    """Have this exception raised in that thread at its next bytecode; None calls it back."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(error) if error else None)
