"""A connection that is told to end, on a line that does not move."""

from __future__ import annotations

import asyncio
from typing import Any

from ropeway.notifier.hub import Hub, Rules


class Line(asyncio.Transport):
    """Whoever is on the other side reads nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.aborted = asyncio.Event()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted.set()


def test_one_that_reads_a_little_after_its_end_and_no_more_is_cut() -> None:
    async def told() -> None:
        line, client = Line(), Hub(Rules(patience=0.01)).client()
        client.connection_made(line)
        client.pause_writing()
        client.data_received(b"quit\n")
        while not line.closing:
            await asyncio.sleep(0)
        client.resume_writing()
        async with asyncio.timeout(20):
            await line.aborted.wait()

    asyncio.run(told())
