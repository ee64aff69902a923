"""ropeway as its users have it: Queue.put of values, aput from many callers, and a worker that runs a no-op task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter, perf_counter_ns

from ropeway.broker import connect
from ropeway.job import JSON

from ..work import QUEUE, Item, item
from .urls import url


class Product:
    """put: Queue.put. bulk: Queue.put_many. drain: Broker.worker with its defaults and a no-op task, the whole path."""

    def __init__(self, place: str, durability: str, engine: str) -> None:
        self.broker = connect(url(engine, place, durability), config=False)
        self.queue = self.broker.queue(QUEUE)
        self.span = (0.0, 0.0)
        self._run: Callable[[int], object] | None = None
        self._call: Callable[..., int] | None = None

    def put(self, work: list[Item]) -> None:
        put = self.queue.put
        for one in work:
            put(one.value)

    def bulk(self, work: list[Item], size: int) -> None:
        for start in range(0, len(work), size):
            self.queue.put_many([one.value for one in work[start : start + size]])

    def aput(self, work: list[Item], callers: int) -> None:
        """Put them all, by so many tasks that each await one put after the other."""
        left = iter(work)

        async def caller() -> None:
            for one in left:
                await self.queue.aput(one.value)

        async def all_of_them() -> None:
            await asyncio.gather(*(caller() for _ in range(callers)))

        asyncio.run(all_of_them())

    def fill(self, work: list[Item], size: int) -> None:
        """Put calls of the no-op, so many a call: what the worker drains."""
        jobs = [self.queue.job(one.body, JSON, task="noop") for one in work]
        for start in range(0, len(jobs), size):
            self.queue.put_jobs(jobs[start : start + size])

    def drain(self, limit: int, most: int | None) -> tuple[int, float]:
        """`limit` is the worker's own affair."""
        moments: list[float] = []
        note = moments.append

        self._on_run(lambda _: note(perf_counter()))
        worker = self.broker.worker(QUEUE, drain=True, max_jobs=most)
        worker.run()
        if moments:
            self.span = min(moments), max(moments)
        if worker.counters.done != len(moments):
            raise AssertionError(f"{len(moments)} runs, counted {worker.counters}")
        return len(moments), self.span[1] - self.span[0]

    def _on_run(self, run: Callable[[int], object]) -> None:
        """What the task does from now on; it is registered once."""
        before, self._run = self._run, run
        if before is None:

            @self.broker.task(queue=QUEUE)
            def noop(n: int, to: str, text: str) -> None:
                assert self._run is not None
                self._run(n)

    def tell(self, one: Item) -> None:
        self.fill([one], 1)

    def starts(self, count: int) -> list[int]:
        out: list[int] = []

        def started(n: int) -> None:
            if n:
                out.append(perf_counter_ns() - n)
            else:
                print("waiting", flush=True)

        self._on_run(started)
        self.fill([item(0)], 1)
        self.broker.worker(QUEUE, max_jobs=count + 1).run()
        return out

    def ask(self, one: Item) -> None:
        if self._call is None:

            @self.broker.task(queue=QUEUE)
            def answer(n: int, to: str, text: str) -> int:
                return n

            self._call = answer.options(timeout=30).call
        if self._call(**one.value) != one.value["n"]:
            raise AssertionError("the answer is another's")

    def answers(self) -> None:
        @self.broker.task(queue=QUEUE)
        def answer(n: int, to: str, text: str) -> int:
            return n

        print("waiting", flush=True)
        self.broker.worker(QUEUE).run()

    def close(self) -> None:
        self.broker.close()
