"""RQ, used as its pages show; its jobs name this module's function."""

from __future__ import annotations

from collections.abc import Callable

from redis import Redis
from rq import Queue, SimpleWorker

from ...work import Item

_started: list[Callable[[int], None]] = []


def noop(n: int, to: str, text: str) -> None:
    """The task."""
    _started[0](n)


class RqPeer:
    """SimpleWorker: RQ's default worker forks a process for each job."""

    def __init__(self, place: str, durability: str) -> None:
        self._client = Redis.from_url(place)
        self._queue = Queue("mails", connection=self._client)

    def put(self, work: list[Item]) -> None:
        enqueue = self._queue.enqueue
        for one in work:
            enqueue(noop, kwargs=one.value, result_ttl=0)

    def bulk(self, work: list[Item], size: int) -> None:
        for start in range(0, len(work), size):
            self._queue.enqueue_many([Queue.prepare_data(noop, kwargs=one.value, result_ttl=0) for one in work[start : start + size]])

    def tell(self, one: Item) -> None:
        self.put([one])

    def serve(self, started: Callable[[int], None]) -> None:
        _started.append(started)
        SimpleWorker([self._queue], connection=self._client).work(logging_level="WARNING")

    def close(self) -> None:
        self._client.close()
