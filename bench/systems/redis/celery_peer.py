"""Celery, set as its pages on optimising advise for many short tasks."""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery

from ...work import Item


class CeleryPeer:
    """Results off; the solo pool runs the tasks where the worker's loop is."""

    def __init__(self, place: str, durability: str) -> None:
        self._app = Celery("bench", broker=place)
        self._app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=64, broker_connection_retry_on_startup=True)
        self._app.conf.update(task_default_queue="mails", worker_hijack_root_logger=False)
        self._started: Callable[[int], None] = lambda _: None

        @self._app.task(name="noop")
        def noop(n: int, to: str, text: str) -> None:
            self._started(n)

        self._noop = noop

    def put(self, work: list[Item]) -> None:
        send = self._noop.apply_async
        for one in work:
            send(kwargs=one.value)

    def tell(self, one: Item) -> None:
        self.put([one])

    def serve(self, started: Callable[[int], None]) -> None:
        self._started = started
        words = ["--quiet", "worker", "--pool=solo", "--concurrency=1", "--loglevel=ERROR", "--without-gossip", "--without-mingle"]
        self._app.worker_main(words)

    def close(self) -> None:
        self._app.close()
