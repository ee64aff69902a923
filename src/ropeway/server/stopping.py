"""The end of a server, told to those who wait in it: long polls and streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopping:
    """Begun once, from a signal handler or any thread; awaited by any number of requests."""

    def __init__(self) -> None:
        self.begun = False
        self._waiting: set[asyncio.Future[None]] = set()

    def begin(self) -> None:
        self.begun = True
        for future in list(self._waiting):
            try:
                future.get_loop().call_soon_threadsafe(_end, future)
            except RuntimeError:
                continue  # its loop is closed: nobody waits any more

    @contextmanager
    def telling(self, end: Callable[[object], None]) -> Iterator[None]:
        """Meanwhile `end` is called, in this event loop, when the server stops: at once if it does already."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(end)
        self._waiting.add(future)
        try:
            if self.begun:
                _end(future)
            yield
        finally:
            self._waiting.discard(future)
            future.remove_done_callback(end)

    async def wait(self) -> None:
        """Returns when the server stops."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            if not self.begun:
                await future
        finally:
            self._waiting.discard(future)


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
