"""The two libraries that bring SQLite into Python, made alike: apsw, and `sqlite3` of the standard library.

One process must use one of them for one file. Each brings a copy of SQLite, the locks of a process are its own against itself, and a file
that one copy closes drops the locks of the other (sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from ....errors import ConfigError

LIBRARIES = ("apsw", "sqlite3")

Values = Mapping[str, Any] | tuple[Any, ...]


class Connection(Protocol):
    """What is asked of a connection; as apsw has it."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, statement: str, values: Values | None = None, /) -> Any: ...
    def executemany(self, statement: str, values: Iterable[Values], /) -> Any: ...
    def total_changes(self) -> int: ...
    def pragma(self, name: str, value: Any = None, /) -> Any: ...
    def close(self) -> None: ...


class Driver(NamedTuple):
    """A library: its name, what it raises, and the SQLite that it brings."""

    name: str
    error: type[Exception]
    number: int  # 3051003 is 3.51.3
    version: str


def driver(name: str) -> Driver:
    """Raises ImportError when it is not there."""
    if name == "sqlite3":
        import sqlite3

        major, minor, patch = sqlite3.sqlite_version_info
        return Driver(name, sqlite3.Error, major * 1_000_000 + minor * 1000 + patch, sqlite3.sqlite_version)
    import apsw

    return Driver(name, apsw.Error, apsw.SQLITE_VERSION_NUMBER, apsw.sqlite_lib_version())


def code(error: Exception) -> int:
    """SQLite's own number for an error, without its details; 0 when the library says none."""
    number: int = getattr(error, "sqlite_errorcode", 0) or getattr(error, "result", 0)
    return number & 0xFF


def connect(which: Driver, path: str, busy: Any, timeout: float) -> Connection:
    """Open a file that is there. `busy` is apsw's handler for locks of others; the standard library has one of its own."""
    if which.name == "apsw":
        import apsw

        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_handler(busy)
        return connection
    import sqlite3

    found = sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
    return Plain(found)


class Plain:
    """A connection of the standard library, as apsw has them. Rows are tuples, whatever its owner likes."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @property
    def in_transaction(self) -> bool:
        return bool(self.connection.in_transaction)

    def execute(self, statement: str, values: Values | None = None, /) -> Any:
        cursor = self.connection.cursor()
        cursor.row_factory = None
        return cursor.execute(statement, () if values is None else values)

    def executemany(self, statement: str, values: Iterable[Values], /) -> Any:
        return self.connection.executemany(statement, values)

    def total_changes(self) -> int:
        return int(self.connection.total_changes)

    def pragma(self, name: str, value: Any = None, /) -> Any:
        row = self.execute(f"pragma {name}" if value is None else f"pragma {name} = {value}").fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        self.connection.close()


_LOOKS, _PAUSE = 10, 0.01  # seconds: before a file that is open is called a stranger's
_used: set[tuple[str, str]] = set()  # files, and by which library this process has opened them here


def check_alone(which: Driver, path: str, text: str) -> None:
    """Refuse a file that this process has open by another copy of SQLite. That is told by the names of its descriptors: looking at them
    opens and closes nothing."""
    real = os.path.realpath(path)
    if (real, which.name) in _used:
        return
    if not _is_open(real):
        _used.add((real, which.name))  # before it is opened: another thread must not take that for a stranger's
        return
    for _ in range(_LOOKS):
        if (real, which.name) in _used or not _is_open(real):  # so it is, or was, open by a thread that came between the two looks,
            _used.add((real, which.name))  # or that has just made the file
            return
        time.sleep(_PAUSE)
    apsw = sys.modules.get("apsw")
    by_apsw = apsw is not None and any(_leads_to(one, real) for one in apsw.connections())
    if by_apsw == (which.name == "apsw"):
        _used.add((real, which.name))
        return
    other, advice = ("apsw", "Leave driver= out") if by_apsw else ("Python's own sqlite3", "Add driver=sqlite3 to the URL")
    raise ConfigError(
        f"{text}: this process has the file open by {other}, and this store would use {which.name}. Two copies of SQLite in one process "
        f"break each other's locks, and then the file; nothing was opened. {advice}, for all of this process"
    )


def _leads_to(connection: Any, path: str) -> bool:
    try:
        return bool(connection.filename == path)
    except Exception:  # noqa: BLE001 - it is busy in another thread, or closed just now: it may be
        return True


def _is_open(path: str) -> bool:
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(f"/proc/self/fd/{name}") == path:
                return True
        except OSError:
            continue
    return False
