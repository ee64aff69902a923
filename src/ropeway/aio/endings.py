"""Awaiting the end of a job: the event loop is told by whoever looks for all who wait (calls/endings.py)."""

from __future__ import annotations

import asyncio

from ..calls.endings import Waiter, of
from ..link import Link
from ..store import Entry


async def ended(link: Link, queue: str, job_id: str) -> Entry | None:
    """The job's entry once it has ended; None when it has left the store."""
    waiter = Waiter(queue, (job_id,))
    waiter.loop = asyncio.get_running_loop()
    waiter.future = waiter.loop.create_future()
    with of(link).waiting(waiter):
        return await waiter.future
