"""The floor: one table and bare statements of PyMySQL. No order but the number, no lease that ends, no retry, no check."""

from __future__ import annotations

from time import perf_counter, perf_counter_ns
from urllib.parse import urlsplit

import pymysql

from ...work import Item, number_of
from ..bell import Bell

TABLE = """
create table if not exists job(n bigint auto_increment primary key, due datetime(6) not null default now(6),
    state tinyint not null default 0, body varbinary(4000) not null, key ready (state, n)) engine=innodb
"""
PUT = "insert into job(body) values (%s)"
CLAIM = "select n, body from job where state = 0 order by n limit %s for update skip locked"
TAKE = "update job set state = 1, due = now(6) + interval 30 second where n in %s"
ACK = "delete from job where n in %s"


class Floor:
    """put: an insert a commit. bulk: one insert of many rows. drain: acks of the last and claim of the next in one transaction."""

    def __init__(self, place: str, durability: str) -> None:
        at = urlsplit(place)
        self._connection = pymysql.connect(
            host=at.hostname or "127.0.0.1",
            port=at.port or 3306,
            user=at.username or "root",
            password=at.password or "",
            database=at.path[1:],
            autocommit=True,
        )
        self._cursor = self._connection.cursor()
        self._cursor.execute("set session transaction isolation level read committed")
        self._cursor.execute(TABLE)
        self._bell = Bell(place)

    def put(self, work: list[Item]) -> None:
        execute = self._cursor.execute
        for one in work:
            execute(PUT, (one.body,))

    def bulk(self, work: list[Item], size: int) -> None:
        for start in range(0, len(work), size):
            self._cursor.executemany(PUT, [(one.body,) for one in work[start : start + size]])

    def _next(self, held: list[int], limit: int) -> list[tuple[int, bytes]]:
        execute = self._cursor.execute
        execute("begin")
        if held:
            execute(ACK, (held,))
        execute(CLAIM, (limit,))
        rows = list(self._cursor.fetchall())
        if rows:
            execute(TAKE, ([n for n, _ in rows],))
        execute("commit")
        return rows

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        done = 0
        held: list[int] = []
        began = perf_counter()
        while done < most and (rows := self._next(held, min(limit, most - done))):
            held = [n for n, _ in rows]
            done += len(held)
        self._cursor.execute(ACK, (held,))
        return done, perf_counter() - began

    def tell(self, one: Item) -> None:
        self.put([one])
        self._bell.ring()

    def starts(self, count: int) -> list[int]:
        self._bell.listen()
        print("waiting", flush=True)
        out: list[int] = []
        for _ in range(count):
            self._bell.wait()
            [(n, body)] = self._next([], 1)
            out.append(perf_counter_ns() - number_of(body))
            self._cursor.execute(ACK, ([n],))
        return out

    def close(self) -> None:
        self._bell.close()
        self._connection.close()
