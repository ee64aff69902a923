"""Dramatiq, with its default middleware."""

from __future__ import annotations

import threading

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from .side import URL, run

broker = RedisBroker(url=URL)
task = dramatiq.actor(run, broker=broker, actor_name="run")


def fill(count: int) -> None:
    for n in range(count):
        task.send(n)


def work(_: str) -> None:
    dramatiq.Worker(broker, worker_threads=8).start()
    threading.Event().wait()
