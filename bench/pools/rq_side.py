"""RQ; no results kept."""

from __future__ import annotations

from redis import Redis
from rq import Queue, SimpleWorker

from .side import URL, run

client = Redis.from_url(URL)
queue = Queue("bench", connection=client)


def fill(count: int) -> None:
    queue.enqueue_many([Queue.prepare_data(run, (n,), result_ttl=0) for n in range(count)])


def work(_: str) -> None:
    SimpleWorker([queue], connection=client).work(logging_level="WARNING")
