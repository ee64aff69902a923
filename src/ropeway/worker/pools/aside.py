"""Plain functions beside an event loop: each in a thread, in the context of the task that awaits it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any

Call = Callable[[], Any]


class Aside:
    """Threads, made as they are needed and kept; a daemon each, since a function that hangs must not keep the process from ending."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._made = 0

    async def call(self, function: Call) -> Any:
        """What it answers, or raises."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Any] = loop.create_future()
        context = copy_context()

        def run() -> None:
            try:
                value, error = context.run(function), None
            except BaseException as raised:  # noqa: BLE001 - raised where it is awaited
                value, error = None, raised
            try:
                loop.call_soon_threadsafe(_answer, ended, value, error)
            except RuntimeError:
                pass  # the loop was closed: nobody waits any more

        if not self._idle.acquire(blocking=False):
            self._made += 1
            threading.Thread(target=self._serve, name=f"ropeway-aside-{self._made}", daemon=True).start()
        self._calls.put(run)
        return await ended

    def close(self) -> None:
        """Let the threads end, each after its call."""
        for _ in range(self._made):
            self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            self._idle.release()


def _answer(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("the function raised StopIteration"))  # a future cannot carry it
    else:
        future.set_exception(error)
