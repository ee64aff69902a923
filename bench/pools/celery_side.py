"""Celery; results off."""

from __future__ import annotations

from celery import Celery

from .side import URL, run

app = Celery("bench", broker=URL)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=64, broker_connection_retry_on_startup=True)
task = app.task(name="run")(run)


def fill(count: int) -> None:
    for n in range(count):
        task.apply_async((n,))


def work(name: str) -> None:
    pool = name.partition(" ")[2]
    app.worker_main(
        [
            "--quiet",
            "worker",
            f"--pool={pool}",
            f"--concurrency={8 if pool == 'threads' else 2}",
            "--loglevel=ERROR",
            "--without-gossip",
            "--without-mingle",
        ]
    )
