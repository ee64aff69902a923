"""persist-queue's SQLiteAckQueue: put, get, ack."""

from __future__ import annotations

from time import perf_counter

from persistqueue import Empty, SQLiteAckQueue

from ...work import Item


class PersistSqlite:
    """One process, one object: two do not see each other's jobs."""

    alone = True

    def __init__(self, place: str, durability: str) -> None:
        self._queue = SQLiteAckQueue(f"{place}/persist", auto_commit=True, multithreading=True)

    def put(self, work: list[Item]) -> None:
        for one in work:
            self._queue.put(one.value)

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        queue, done = self._queue, 0
        began = perf_counter()
        while done < most:
            try:
                got = queue.get(block=False)
            except Empty:
                break
            queue.ack(got)
            done += 1
        return done, perf_counter() - began

    def close(self) -> None:
        self._queue.close()
