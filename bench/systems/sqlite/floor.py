"""The floor: one table and bare statements of apsw. No order but the number, no lease that ends, no retry, no check."""

from __future__ import annotations

from time import perf_counter, perf_counter_ns, time_ns
from typing import Any

import apsw

from ...work import Item, number_of
from ..bell import Bell

TABLE = """
create table if not exists job(n integer primary key, due integer not null, state integer not null default 0, body blob not null);
create index if not exists ready on job(n) where state = 0;
create table if not exists reply(n integer primary key, body blob not null);
"""
PUT = "insert into job(due, body) values (?, ?)"
CLAIM = """update job set state = 1, due = ? where n in (select n from job indexed by ready where state = 0 order by n limit ?)
returning n, body"""
ACK = "delete from job where n = ?"


class Floor:
    """put: an insert a commit. bulk: one transaction. drain: acks of the last and claim of the next in one transaction."""

    def __init__(self, place: str, durability: str) -> None:
        self._connection = apsw.Connection(f"{place}/floor.db")
        self._connection.set_busy_timeout(10_000)
        for statement in ("pragma journal_mode=wal", f"pragma synchronous={'full' if durability == 'full' else 'normal'}", TABLE):
            self._connection.execute(statement)
        self._cursor = self._connection.cursor()
        self._bell = Bell(place)
        self._back: Bell | None = None
        self._place = place

    def put(self, work: list[Item]) -> None:
        execute = self._cursor.execute
        for one in work:
            execute(PUT, (time_ns() // 1000, one.body))

    def bulk(self, work: list[Item], size: int) -> None:
        for start in range(0, len(work), size):
            now = time_ns() // 1000
            self._cursor.execute("begin immediate")
            self._cursor.executemany(PUT, [(now, one.body) for one in work[start : start + size]])
            self._cursor.execute("commit")

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        execute, executemany, done = self._cursor.execute, self._cursor.executemany, 0
        held: list[Any] = []
        began = perf_counter()
        while True:
            execute("begin immediate")
            executemany(ACK, [(n,) for n, _ in held])
            held = execute(CLAIM, (time_ns() // 1000 + 30_000_000, min(limit, most - done))).fetchall() if done < most else []
            execute("commit")
            if not held:
                return done, perf_counter() - began
            done += len(held)

    def tell(self, one: Item) -> None:
        self.put([one])
        self._bell.ring()

    def starts(self, count: int) -> list[int]:
        self._bell.listen()
        print("waiting", flush=True)
        out = []
        for _ in range(count):
            self._bell.wait()
            [(n, body)] = self._cursor.execute(CLAIM, (time_ns() // 1000 + 30_000_000, 1)).fetchall()
            out.append(perf_counter_ns() - number_of(body))
            self._cursor.execute(ACK, (n,))
        return out

    def ask(self, one: Item) -> None:
        if self._back is None:
            self._back = Bell(f"{self._place}/back")
            self._back.listen()
        self.tell(one)
        n = int(self._back.wait())
        rows: list[Any] = self._cursor.execute("delete from reply where n = ? returning body", (n,)).fetchall()
        [(body,)] = rows
        if number_of(body) != number_of(one.body):
            raise AssertionError("the answer is another's")

    def answers(self) -> None:
        self._bell.listen()
        back, execute = Bell(f"{self._place}/back"), self._cursor.execute
        print("waiting", flush=True)
        while True:
            self._bell.wait()
            [(n, body)] = execute(CLAIM, (time_ns() // 1000 + 30_000_000, 1)).fetchall()
            execute("begin immediate")
            execute("insert into reply values (?, ?)", (n, body))
            execute(ACK, (n,))
            execute("commit")
            back.ring(str(n).encode())

    def close(self) -> None:
        self._bell.close()
        self._connection.close()
