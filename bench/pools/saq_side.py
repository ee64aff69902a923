"""SAQ with uvloop."""

from __future__ import annotations

from typing import Any

import uvloop
from saq import Queue, Worker

from .side import URL, arun


async def run(_: Any, *, n: int) -> None:
    await arun(n)


def fill(count: int) -> None:
    async def all_of_them() -> None:
        queue = Queue.from_url(URL)
        await queue.connect()
        for n in range(count):
            await queue.enqueue("run", n=n)

    uvloop.run(all_of_them())


def work(_: str) -> None:
    async def main() -> None:
        queue = Queue.from_url(URL)
        await queue.connect()
        await Worker(queue, [("run", run)], concurrency=100).start()

    uvloop.run(main())
