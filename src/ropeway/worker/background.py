"""One event loop on a thread of its own, where the slots of a thread pool run what is `async def`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from functools import partial
from typing import Any

from .inbox import Bell
from .run import Run, Verdict

GRACE = 5.0  # seconds that a cancelled coroutine gets to end
_LOOK = 1.0  # seconds between two looks for a verdict from beside


class Background:
    """The loop, running from the first use until `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ropeway-loop", daemon=True)
        self._thread.start()

    def run(self, run: Run, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it there, in a copy of this thread's context, and wait for it here. At the run's deadline, and when `run.stop` is called, it
        is cancelled; what swallows that for five seconds is left behind, and TimeoutError raised in its place."""
        boot = run.shift.boot
        call = _Call()
        run.stop = stop = partial(self._tell, call)
        self._loop.call_soon_threadsafe(call.start, self._loop, coroutine, run.lent.job.id)
        limit, told = run.deadline, False
        while not call.ended.wait(max(0.0, min(_LOOK, limit - boot()))):
            if told and boot() >= limit:
                raise TimeoutError("it was cancelled, and goes on")
            if not told and (run.verdict or boot() >= limit):
                run.verdict = run.verdict or Verdict.TIMEOUT
                limit, told = boot() + GRACE, True
                stop()
        if call.error is not None:
            raise call.error
        return call.value

    def close(self) -> None:
        """Stop the loop; what still runs in it is cancelled and not waited for."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(1.0)
        if not self._thread.is_alive():
            self._loop.close()

    def _tell(self, call: _Call) -> None:
        self._loop.call_soon_threadsafe(call.cancel)

    def _end(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_soon(self._loop.stop)


class _Call:
    """One coroutine in the loop, and the bell of the thread that waits for it."""

    __slots__ = ("ended", "error", "task", "value")

    def __init__(self) -> None:
        self.ended = Bell()
        self.value: Any = None
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], name: str) -> None:
        self.task = loop.create_task(self._hold(coroutine), name=name)

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def _hold(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self.value = await coroutine
        except BaseException as error:  # noqa: BLE001 - the slot that waits raises it
            self.error = error
        finally:
            self.ended.ring()
