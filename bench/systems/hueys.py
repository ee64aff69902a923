"""Huey on any of its storages: tasks enqueued by a call, taken and executed one by one as its worker does; idle by its own consumer."""

from __future__ import annotations

import threading
from time import perf_counter, perf_counter_ns
from typing import Any

from ..work import Item


class Huey:
    """The pop deletes the job: there is no lease and no ack. `made`: the Huey, with results off, since nobody reads them."""

    def __init__(self, made: Any) -> None:
        self._huey = made
        self._starts: list[int] = []

        @made.task()  # type: ignore[untyped-decorator, unused-ignore]
        def noop(n: int, to: str, text: str) -> None:
            self._starts.append(perf_counter_ns() - n)

        self._noop = noop

    def put(self, work: list[Item]) -> None:
        for one in work:
            self._noop(**one.value)

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        huey, done = self._huey, 0
        began = perf_counter()
        while done < most and (task := huey.dequeue()) is not None:
            huey.execute(task)
            done += 1
        return done, perf_counter() - began

    def tell(self, one: Item) -> None:
        self._noop(**one.value)

    def starts(self, count: int) -> list[int]:
        consumer = self._huey.create_consumer(workers=1, periodic=False)
        runner = threading.Thread(target=consumer.start)
        consumer._set_signal_handlers = lambda: None  # they belong to the main thread
        runner.start()
        print("waiting", flush=True)
        runner.join()
        tick = threading.Event()
        while len(self._starts) < count:
            tick.wait(0.2)
        consumer.stop(graceful=True)
        return self._starts[:count]

    def close(self) -> None:
        pass
