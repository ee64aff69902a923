"""Answers that last: server-sent events, for as long as somebody reads them, may read them, and the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from .stopping import Stopping

ALIVE = 15.0  # seconds of silence after which a reader is sent something, so that one who is gone is noticed, and looked at again
NO_LONGER = "this token is no longer good for that"


async def lasting(
    stopping: Stopping, news: asyncio.Event, take: Callable[[], bytes], still: Callable[[], bool]
) -> AsyncGenerator[bytes, None]:
    """What there is to tell, whenever there is. `take`: all of it by now, b"" for nothing; `news` is set when there is more. `still`:
    whether it may be told any longer."""
    ending = asyncio.ensure_future(stopping.wait())
    coming: asyncio.Future[Any] | None = None
    try:
        while not stopping.begun and still():
            if told := take():
                yield told
                continue
            coming = asyncio.ensure_future(news.wait())
            done, _ = await asyncio.wait((coming, ending), timeout=ALIVE, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                coming.cancel()
                yield b": still here\n\n"
    finally:
        ending.cancel()
        if coming is not None:
            coming.cancel()
