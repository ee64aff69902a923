"""The floor: one table and bare statements of psycopg. No order but the number, no lease that ends, no retry, no check."""

from __future__ import annotations

from time import perf_counter, perf_counter_ns
from typing import Any

import psycopg

from ...work import Item, number_of

TABLE = """
create table if not exists job(n bigint generated always as identity primary key, due timestamptz not null default now(),
    state smallint not null default 0, body bytea not null);
create index if not exists ready on job(n) where state = 0;
"""
PUT = "insert into job(body) values (%b)"
MANY = "insert into job(body) select unnest(%b::bytea[])"
NEXT = """
with gone as (delete from job where n = any(%b::bigint[]))
update job set state = 1, due = now() + interval '30 s' where n = any(array(
    select n from job where state = 0 order by n limit %b::int for update skip locked))
returning n, body"""
ACK = "delete from job where n = any(%b::bigint[])"


class Floor:
    """put: an insert a commit. bulk: one insert of arrays. drain: acks of the last and claim of the next in one statement."""

    def __init__(self, place: str, durability: str) -> None:
        self._connection = psycopg.connect(place, autocommit=True, prepare_threshold=0)
        self._connection.execute("select pg_advisory_lock(1)")  # two processes of a row begin at once
        for statement in TABLE.split(";")[:-1]:
            self._connection.execute(statement)
        self._connection.execute("select pg_advisory_unlock(1)")
        self._connection.execute("set plan_cache_mode = force_generic_plan")
        self._cursor = self._connection.cursor(binary=True)

    def put(self, work: list[Item]) -> None:
        execute = self._cursor.execute
        for one in work:
            execute(PUT, (one.body,))

    def bulk(self, work: list[Item], size: int) -> None:
        for start in range(0, len(work), size):
            self._cursor.execute(MANY, ([one.body for one in work[start : start + size]],))

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        execute, done = self._cursor.execute, 0
        held: list[Any] = []
        began = perf_counter()
        while done < most:
            held = execute(NEXT, ([n for n, _ in held], min(limit, most - done))).fetchall()
            if not held:
                break
            done += len(held)
        execute(ACK, ([n for n, _ in held],))
        return done, perf_counter() - began

    def tell(self, one: Item) -> None:
        with self._connection.pipeline():
            self._cursor.execute(PUT, (one.body,))
            self._cursor.execute("notify bell")

    def starts(self, count: int) -> list[int]:
        listener = psycopg.connect(self._connection.info.dsn, autocommit=True)
        listener.execute("listen bell")
        print("waiting", flush=True)
        out: list[int] = []
        for _ in listener.notifies():
            for n, body in self._cursor.execute(NEXT, ([], 1)).fetchall():
                out.append(perf_counter_ns() - number_of(body))
                self._cursor.execute(ACK, ([n],))
            if len(out) == count:
                break
        return out

    def close(self) -> None:
        self._connection.close()


class FloorCopy(Floor):
    """bulk: a binary COPY."""

    def bulk(self, work: list[Item], size: int) -> None:
        for start in range(0, len(work), size):
            with self._cursor.copy("copy job(body) from stdin (format binary)") as copy:
                copy.set_types(["bytea"])
                for one in work[start : start + size]:
                    copy.write_row((one.body,))
