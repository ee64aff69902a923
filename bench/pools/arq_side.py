"""arq; no results kept."""

from __future__ import annotations

import asyncio
from typing import Any

from arq import Worker, create_pool, func
from arq.connections import RedisSettings

from .side import URL, arun

at = RedisSettings.from_dsn(URL) if URL else None


async def run(_: Any, n: int) -> None:
    await arun(n)


def fill(count: int) -> None:
    async def all_of_them() -> None:
        pool = await create_pool(at)
        for n in range(count):
            await pool.enqueue_job("run", n)

    asyncio.run(all_of_them())


def work(_: str) -> None:
    async def main() -> None:
        await Worker([func(run, name="run", keep_result=0)], redis_settings=at, handle_signals=False, max_jobs=100, poll_delay=0.01).main()

    asyncio.run(main())
