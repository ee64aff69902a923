"""arq, used as its pages show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from arq import Worker, create_pool, func
from arq.connections import RedisSettings

from ...work import Item
from ..asyncs import Looped


class Arq(Looped):
    """No results are kept; `settings` go to its worker."""

    def __init__(self, place: str, durability: str, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._at = RedisSettings.from_dsn(place)
        self._settings = settings or {}
        self._pool = self.run(create_pool(self._at))

    def put(self, work: list[Item]) -> None:
        async def all_of_them() -> None:
            for one in work:
                await self._pool.enqueue_job("noop", **one.value)

        self.run(all_of_them())

    def tell(self, one: Item) -> None:
        self.put([one])

    def serve(self, started: Callable[[int], None]) -> None:
        async def noop(context: Any, n: int, to: str, text: str) -> None:
            started(n)

        async def work() -> None:
            worker = Worker([func(noop, name="noop", keep_result=0)], redis_settings=self._at, handle_signals=False, **self._settings)
            await worker.main()

        self.run(work())
