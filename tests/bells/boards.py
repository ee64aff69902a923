"""Boards for the tests: one in memory, which can be counted and broken, and one in a file, with jobs beside, for several processes."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ropeway.clock import SYSTEM, Clock
from ropeway.errors import StoreError


class MemoryBoard:
    """A board as an engine would keep it. `calls` are what it was asked; while `broken` it fails."""

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self.clock = clock
        self.rows: dict[str, tuple[frozenset[str], float]] = {}
        self.calls: list[str] = []
        self.broken = False
        self._lock = threading.Lock()

    def announce(self, address: str, queues: Sequence[str], lifetime: float) -> None:
        with self._asked("announce"):
            self.rows[address] = (frozenset(queues), self.clock.boot() + lifetime)

    def withdraw(self, address: str) -> bool:
        with self._asked("withdraw"):
            return self.rows.pop(address, None) is not None

    def waiting(self, queues: Sequence[str], limit: int) -> list[str]:
        with self._asked("waiting"):
            now = self.clock.boot()
            return [a for a, (waits, until) in self.rows.items() if until > now and waits & set(queues)][:limit]

    def _asked(self, what: str) -> threading.Lock:
        self.calls.append(what)
        if self.broken:
            raise StoreError("the board is out of reach")
        return self._lock


class FileBoard:
    """A board, and the jobs that it is for, in a file that the processes of a test share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as db:
            db.execute("create table if not exists waiting (address text primary key, queues text, until real)")
            db.execute("create table if not exists job (id integer primary key, queue text, taken integer not null default 0)")

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        db.execute("pragma synchronous=off")
        return db

    def _run(self, query: str, *values: object) -> list[tuple[object, ...]]:
        db = self._open()
        try:
            return db.execute(query, values).fetchall()
        finally:
            db.close()

    def announce(self, address: str, queues: Sequence[str], lifetime: float) -> None:
        self._run("insert or replace into waiting values (?, ?, ?)", address, ",".join(queues), time.time() + lifetime)

    def withdraw(self, address: str) -> bool:
        return bool(self._run("delete from waiting where address = ? returning 1", address))

    def waiting(self, queues: Sequence[str], limit: int) -> list[str]:
        rows = self._run("select address, queues from waiting where until > ?", time.time())
        return [str(address) for address, waits in rows if set(str(waits).split(",")) & set(queues)][:limit]

    def put(self, queue: str) -> None:
        self._run("insert into job (queue) values (?)", queue)

    def due(self, queue: str) -> bool:
        return bool(self._run("select 1 from job where queue = ? and not taken", queue))

    def claim(self, queue: str) -> bool:
        return bool(
            self._run("update job set taken = 1 where id = (select min(id) from job where queue = ? and not taken) returning id", queue)
        )
