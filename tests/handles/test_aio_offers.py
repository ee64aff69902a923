"""A put serves those who wait for it in its own process; and whoever is put in line by it, unserved, is not forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ropeway.aio.claimer import Claimer, Wanted
from ropeway.queue import Queue

from .faulty import Faulty, Mails, faulty, until


@pytest.fixture
def pair() -> Iterator[tuple[Mails, Faulty]]:
    link, store = faulty()
    yield Queue(link, "mails"), store
    link.close()


def test_who_has_just_asked_is_served_by_the_put(pair: tuple[Mails, Faulty]) -> None:
    """The claimer's thread may be long on its way on a busy machine; the thread that has put is there."""
    mails, store = pair
    arrived, kept = threading.Event(), threading.Event()

    def slow(*_: Any) -> bool:
        arrived.set()
        return not kept.wait(60)

    async def main() -> None:
        store.wait = slow
        first = asyncio.create_task(mails.aclaim(timeout=30))
        await until(arrived.is_set)
        await mails.aput(1)
        assert await asyncio.wait_for(first, 30)
        second = asyncio.create_task(mails.aclaim(timeout=30))
        await asyncio.sleep(0)
        await mails.aput(2)
        claim = await asyncio.wait_for(second, 30)
        assert claim is not None
        assert claim.data == 2
        kept.set()

    try:
        asyncio.run(main())
    finally:
        kept.set()


@pytest.mark.parametrize("flag", ["_waiting", "_asleep"])
def test_who_is_put_in_line_by_another_thread_is_seen(flag: str, pair: tuple[Mails, Faulty]) -> None:
    """In the moment before the claimer raises its flag somebody asks, and does not ring; a put of another queue puts him in line."""
    mails, store = pair
    came: list[Wanted] = []
    kept = threading.Event()

    class Racing(Claimer):
        down = False

    def get(self: Racing) -> bool:
        return self.down

    def set_to(self: Racing, value: bool) -> None:
        if value and came:
            self._asked.append(came.pop())
            self.offer({"other"})
        self.down = value

    setattr(Racing, flag, property(get, set_to))

    async def main() -> None:
        store.wait = lambda *_: not kept.wait(60)
        loop = asyncio.get_running_loop()
        claimer = Racing(mails._link)
        early, late = loop.create_future(), loop.create_future()
        came.append(Wanted("mails", 1, 30.0, 0.0, False, late, loop, pytest.fail))  # noqa: FBT003
        claimer.ask(Wanted("mails", 1, 30.0, None if flag == "_waiting" else 0.0, False, early, loop, pytest.fail))  # noqa: FBT003
        assert await asyncio.wait_for(late, 30) == []
        kept.set()
        early.cancel()
        claimer.close()

    try:
        asyncio.run(main())
    finally:
        kept.set()
