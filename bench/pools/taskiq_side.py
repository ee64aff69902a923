"""taskiq on a stream, with uvloop and orjson, as its pages advise."""

from __future__ import annotations

import uvloop
from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

from .side import URL, arun

broker = RedisStreamBroker(URL).with_serializer(ORJSONSerializer())
task = broker.task(task_name="run")(arun)


def fill(count: int) -> None:
    async def all_of_them() -> None:
        await broker.startup()
        for n in range(count):
            await task.kiq(n)

    uvloop.run(all_of_them())


def work(_: str) -> None:
    async def main() -> None:
        await broker.startup()
        await run_receiver_task(broker, sync_workers=1, max_async_tasks=100)

    uvloop.run(main())
