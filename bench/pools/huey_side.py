"""Huey; results off."""

from __future__ import annotations

from huey import RedisHuey

from .side import URL, run

huey = RedisHuey("bench", url=URL, results=False)
task = huey.task()(run)


def fill(count: int) -> None:
    for n in range(count):
        task(n)


def work(_: str) -> None:
    huey.create_consumer(workers=8, periodic=False).run()
