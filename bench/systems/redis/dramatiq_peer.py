"""Dramatiq, used as its pages show."""

from __future__ import annotations

import threading
from collections.abc import Callable

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from ...work import Item


class DramatiqPeer:
    """Its worker has the eight threads that its command starts by default."""

    def __init__(self, place: str, durability: str) -> None:
        self._broker = RedisBroker(url=place)
        self._started: Callable[[int], None] = lambda _: None

        @dramatiq.actor(broker=self._broker, queue_name="mails", actor_name="noop")
        def noop(n: int, to: str, text: str) -> None:
            self._started(n)

        self._noop = noop

    def put(self, work: list[Item]) -> None:
        send = self._noop.send
        for one in work:
            send(**one.value)

    def tell(self, one: Item) -> None:
        self._noop.send(**one.value)

    def serve(self, started: Callable[[int], None]) -> None:
        self._started = started
        dramatiq.Worker(self._broker, worker_threads=8).start()
        threading.Event().wait()

    def close(self) -> None:
        self._broker.close()
