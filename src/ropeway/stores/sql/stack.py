"""The sessions of one store object, in a stack, so that few of them are warm. Who comes when all are out waits.

Taking one that lies there and laying it back are one operation of a list each. The lock is for what is rare: opening one, and waiting.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from .session import Session


class Full(Exception):
    """All are out, and none came back within the time."""


class Stack:
    """`open_session` makes another one; `patience` is how many seconds one waits for one to come back."""

    def __init__(self, open_session: Callable[[], Session], limit: int, patience: float) -> None:
        self._open = open_session
        self._limit = limit
        self._patience = patience
        self._pid = os.getpid()
        self._free: list[Session] = []
        self._out = 0  # opened and not closed, wherever they are
        self._waiting = 0
        self._change = threading.Condition()

    def take(self, *, fresh: bool = False) -> Session:
        """One of them; a `fresh` one is opened, and those that lie here are closed. Raises Full, and what opening one raises."""
        if self._pid != os.getpid():
            self._after_fork()
        if fresh:
            self.clear()
        try:
            return self._free.pop()
        except IndexError:
            pass
        found = self._wait()
        if found is not None:
            return found
        try:
            return self._open()
        except BaseException:
            self._gone()
            raise

    def ready(self) -> Session | None:
        """One that lies here, if one does."""
        if self._pid != os.getpid():
            return None
        try:
            return self._free.pop()
        except IndexError:
            return None

    def _wait(self) -> Session | None:
        """One that came back, or None: then there is room for another, and it is counted already."""
        end = time.monotonic() + self._patience
        with self._change:
            self._waiting += 1  # before the look: who gives one back looks at this behind it
            try:
                while True:
                    with suppress(IndexError):  # others take without the lock
                        return self._free.pop()
                    if self._out < self._limit:
                        self._out += 1
                        return None
                    left = end - time.monotonic()
                    if left <= 0:
                        raise Full
                    self._change.wait(left)
            finally:
                self._waiting -= 1

    def give(self, session: Session, *, keep: bool = True) -> None:
        """Lay it back; one that is broken, or not to be kept, is closed."""
        if session.broken or not keep:
            session.close()
            self._gone()
            return
        self._free.append(session)
        if self._waiting:
            with self._change:
                self._change.notify()

    def clear(self) -> None:
        """Close all that lie here."""
        while self._pid == os.getpid():
            try:
                session = self._free.pop()
            except IndexError:
                return
            session.close()
            self._gone()

    def _gone(self) -> None:
        with self._change:
            self._out -= 1
            self._change.notify()

    def _after_fork(self) -> None:
        """What we inherited belongs to our parent: left open, never used and never closed properly."""
        _inherited.extend(self._free)
        self._free, self._out, self._waiting, self._pid = [], 0, 0, os.getpid()
        self._change = threading.Condition()


_inherited: list[Session] = []
