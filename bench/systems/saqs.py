"""SAQ on any of its queues: enqueue, and its worker with its default concurrency of 10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saq import Worker

from ..work import Item
from .asyncs import Looped


class Saq(Looped):
    """`make` makes the queue, once the loop is there."""

    def __init__(self, make: Callable[[], Any]) -> None:
        super().__init__()

        async def opened() -> Any:
            queue = make()
            await queue.connect()
            return queue

        self._queue = self.run(opened())

    def put(self, work: list[Item]) -> None:
        async def all_of_them() -> None:
            for one in work:
                await self._queue.enqueue("noop", **one.value)

        self.run(all_of_them())

    def tell(self, one: Item) -> None:
        self.put([one])

    def serve(self, started: Callable[[int], None]) -> None:
        async def noop(context: Any, *, n: int, to: str, text: str) -> None:
            started(n)

        async def work() -> None:
            await Worker(self._queue, [("noop", noop)]).start()

        self.run(work())
