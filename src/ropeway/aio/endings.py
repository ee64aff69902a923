"""Awaiting the end of jobs: one poll an event loop, for all who wait in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ..handle import FIRST_LOOK, LONGEST_LOOK, look
from ..link import Link
from ..store import Entry

Awaited = asyncio.Future[Entry | None]


class Endings:
    """Those who wait in one event loop. Used from its thread only."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._awaited: dict[tuple[str, str], list[Awaited]] = {}
        self._poll: asyncio.Task[None] | None = None
        self._nap: asyncio.Future[None] | None = None

    async def of(self, queue: str, job_id: str) -> Entry | None:
        """The job's entry once it has ended; None when it has left the store."""
        future: Awaited = asyncio.get_running_loop().create_future()
        self._awaited.setdefault((queue, job_id), []).append(future)
        if self._poll is None:
            self._poll = asyncio.create_task(self._look(), name="ropeway-endings")
        elif self._nap and not self._nap.done():
            self._nap.set_result(None)  # a newcomer is not made to wait for the end of the pause
        try:
            return await future
        finally:
            if waiting := self._awaited.get((queue, job_id)):
                waiting.remove(future)
                if not waiting:
                    del self._awaited[queue, job_id]

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        pause, known = FIRST_LOOK, 0
        try:
            while self._awaited:
                queues: dict[str, list[str]] = {}
                for queue, job_id in self._awaited:
                    queues.setdefault(queue, []).append(job_id)
                for queue, ids in queues.items():
                    try:
                        ended = await loop.run_in_executor(None, look, self._link, queue, ids)
                    except Exception as error:  # noqa: BLE001 - it belongs to those who wait
                        self._tell(((queue, job_id) for job_id in ids), None, error)
                        continue
                    for job_id, entry in ended.items():
                        self._tell(((queue, job_id),), entry, None)
                if not self._awaited:
                    return
                pause = FIRST_LOOK if len(self._awaited) != known else min(pause * 1.5, LONGEST_LOOK)
                known = len(self._awaited)
                self._nap = loop.create_future()
                timer = loop.call_later(pause, _wake, self._nap)
                await self._nap
                timer.cancel()
        finally:
            self._poll = self._nap = None

    def _tell(self, keys: Iterable[tuple[str, str]], entry: Entry | None, error: Exception | None) -> None:
        for key in keys:
            for future in self._awaited.pop(key, ()):
                if future.done():
                    continue
                if error is None:
                    future.set_result(entry)
                else:
                    future.set_exception(error)


def _wake(nap: asyncio.Future[None]) -> None:
    if not nap.done():
        nap.set_result(None)
