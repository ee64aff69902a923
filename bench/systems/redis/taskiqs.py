"""taskiq on its two Redis brokers, with its receiver as its pages show for use in a program."""

from __future__ import annotations

from collections.abc import Callable

from taskiq.abc.broker import AsyncBroker
from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import ListQueueBroker, RedisStreamBroker

from ...work import Item
from ..asyncs import Looped


class Taskiq(Looped):
    """Without a result backend."""

    def __init__(self, broker: AsyncBroker) -> None:
        super().__init__()
        self._broker = broker.with_serializer(ORJSONSerializer())
        self._started: Callable[[int], None] = lambda _: None

        @self._broker.task(task_name="noop")
        async def noop(n: int, to: str, text: str) -> None:
            self._started(n)

        self._noop = noop
        self.run(self._broker.startup())

    def put(self, work: list[Item]) -> None:
        async def all_of_them() -> None:
            for one in work:
                await self._noop.kiq(**one.value)

        self.run(all_of_them())

    def tell(self, one: Item) -> None:
        self.put([one])

    def serve(self, started: Callable[[int], None]) -> None:
        self._started = started
        self.run(run_receiver_task(self._broker, sync_workers=1, max_async_tasks=100))


class TaskiqList(Taskiq):
    """The pop deletes."""

    def __init__(self, place: str, durability: str) -> None:
        super().__init__(ListQueueBroker(place))


class TaskiqStream(Taskiq):
    """A stream and a group of consumers."""

    def __init__(self, place: str, durability: str) -> None:
        super().__init__(RedisStreamBroker(place))
