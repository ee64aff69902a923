"""kombu's SQLAlchemy transport through its SimpleQueue: put, get, ack, as JSON."""

from __future__ import annotations

from time import perf_counter

from kombu import Connection

from ...work import Item


class KombuSql:
    """A table of queues and one of messages; a get is a select for update, an ack nothing: the get has hidden the message for good."""

    def __init__(self, place: str, durability: str) -> None:
        self._connection = Connection("sqla+" + place.replace("mysql://", "mysql+pymysql://"))
        self._queue = self._connection.SimpleQueue("mails", serializer="json")

    def put(self, work: list[Item]) -> None:
        for one in work:
            self._queue.put(one.value)

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        queue, done = self._queue, 0
        began = perf_counter()
        while done < most:
            try:
                message = queue.get(block=False)
            except queue.Empty:
                break
            message.ack()
            done += 1
        return done, perf_counter() - began

    def close(self) -> None:
        self._queue.close()
        self._connection.close()
