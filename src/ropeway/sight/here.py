"""What of this process can be looked at: its board, its workers, its output and log records as far as somebody keeps them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .board import Board

if TYPE_CHECKING:
    from .flame import Flame
    from .garbage import Pauses
    from .records import Records
    from .whole import Whole

Row = dict[str, Any]


class Workman(Protocol):
    """A worker as one looks at it (worker/fleet/looks.py)."""

    def told(self) -> Row:
        """What it is: id, state, queues, slots, totals."""
        ...

    def jobs(self, whole: Whole) -> list[Row]:
        """Its jobs, with what each does now."""
        ...

    def children(self, what: str) -> list[Row]:
        """The same view of its child processes: `pid` and the view under its name, or `error`."""
        ...


class Printed(Protocol):
    """What keeps the output of the process."""

    @property
    def kind(self) -> str:
        """What is heard: descriptors, streams, both, or nothing."""
        ...

    def passed(self, fd: int, data: bytes) -> None:
        """This was written to stdout or stderr for somebody else, past Python's streams."""
        ...

    def look(self, stream: str, since: int = 0) -> tuple[int, bytes]:
        """What stdout or stderr has printed after its first `since` lines, and how many lines came before that. Raises OSError."""
        ...


class Here:
    """One a process; a forked child has a fresh one."""

    def __init__(self) -> None:
        self.board = Board()
        self.born = time.time()
        self.workers: list[Workman] = []
        self.printed: Printed | None = None
        self.records: Records | None = None
        self.pauses: Pauses | None = None
        self.flame: Flame | None = None
        self.more: dict[str, Callable[[], Any]] = {}  # further rows of the state: what serves, what supervises
        self.pid = os.getpid()


_here: Here | None = None
_lock = threading.Lock()


def here() -> Here:
    """That of this process."""
    global _here
    if _here is None or _here.pid != os.getpid():
        with _lock:
            if _here is None or _here.pid != os.getpid():
                _here = Here()
    return _here


def _forget() -> None:
    """In a forked child: what it has inherited is its parent's."""
    global _here, _lock
    if _here is not None and _here.records is not None:
        _here.records.stop()
    if _here is not None and _here.pauses is not None:
        _here.pauses.stop()
    _here, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
