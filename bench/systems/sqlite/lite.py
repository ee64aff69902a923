"""litequeue, used as its pages show."""

from __future__ import annotations

from time import perf_counter

from litequeue import LiteQueue

from ...work import Item


class Lite:
    """put, pop, done. It sets synchronous=NORMAL itself; `full` is set on its connection afterwards."""

    def __init__(self, place: str, durability: str) -> None:
        self._queue = LiteQueue(f"{place}/lite.db")
        if durability == "full":
            self._queue.conn.execute("pragma synchronous=full")

    def put(self, work: list[Item]) -> None:
        put = self._queue.put
        for one in work:
            put(one.body.decode())

    def bulk(self, work: list[Item], size: int) -> None:
        put = self._queue.put
        for start in range(0, len(work), size):
            with self._queue.transaction():
                for one in work[start : start + size]:
                    put(one.body.decode())

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        queue, done = self._queue, 0
        began = perf_counter()
        while done < most and (message := queue.pop()) is not None:
            queue.done(message.message_id)
            done += 1
        return done, perf_counter() - began

    def close(self) -> None:
        self._queue.close()
