"""PgQueuer, used as its pages show: asyncpg, enqueue with lists for many, and PgQueuer.run with a batch."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
from pgqueuer import AsyncpgDriver, PgQueuer, Queries
from pgqueuer.models import Job

from ...work import Item, number_of
from ..asyncs import Looped


class PgQueuerPeer(Looped):
    """The driver is one connection, as in its examples."""

    def __init__(self, place: str, durability: str, batch: int) -> None:
        super().__init__()
        self._place, self._batch = place, batch
        self.run(self._open())

    async def _open(self) -> None:
        self._connection = await asyncpg.connect(self._place)
        self._queries = Queries(AsyncpgDriver(self._connection))
        if not await self._connection.fetchval("select to_regclass('pgqueuer')"):
            await self._queries.install()

    def put(self, work: list[Item]) -> None:
        async def all_of_them() -> None:
            for one in work:
                await self._queries.enqueue("noop", one.body)

        self.run(all_of_them())

    def bulk(self, work: list[Item], size: int) -> None:
        async def all_of_them() -> None:
            for start in range(0, len(work), size):
                part = work[start : start + size]
                await self._queries.enqueue(["noop"] * len(part), [one.body for one in part], [0] * len(part))

        self.run(all_of_them())

    def tell(self, one: Item) -> None:
        self.put([one])

    def serve(self, started: Callable[[int], None]) -> None:
        async def work() -> None:
            app = PgQueuer(AsyncpgDriver(self._connection))

            @app.entrypoint("noop")
            async def noop(job: Job) -> None:
                assert job.payload is not None
                started(number_of(job.payload))

            await app.run(batch_size=self._batch)

        self.run(work())
