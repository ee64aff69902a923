"""persist-queue's MySQLQueue: put, get."""

from __future__ import annotations

from time import perf_counter
from urllib.parse import urlsplit

from persistqueue import Empty, MySQLQueue

from ...work import Item


class PersistMysql:
    """One object puts and gets: two count by themselves."""

    alone = True

    def __init__(self, place: str, durability: str) -> None:
        at = urlsplit(place)
        self._queue = MySQLQueue(
            host=at.hostname or "127.0.0.1",
            port=at.port or 3306,
            user=at.username or "root",
            passwd=at.password or "",
            db_name=at.path[1:],
            name="mails",
        )

    def put(self, work: list[Item]) -> None:
        for one in work:
            self._queue.put(one.value)

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        queue, done = self._queue, 0
        began = perf_counter()
        while done < most:
            try:
                queue.get(block=False)
            except Empty:
                break
            done += 1
        return done, perf_counter() - began

    def close(self) -> None:
        pass
