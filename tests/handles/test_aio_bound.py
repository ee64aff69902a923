"""The bound on who waits: further callers wait before they join, first come first served, and a place that nobody takes is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ropeway.aio import facade
from ropeway.aio.shared import WAITING, Gate

from .faulty import Faulty, Mails, behind_a_commit, lane, opened, until


def test_twenty_thousand_callers_stay_under_the_bound(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    most = 0

    def watch(verb: str, batch: Sequence[Any]) -> None:
        nonlocal most
        most = max(most, lane(mails) + len(batch))

    store.before = watch

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        tasks = [asyncio.create_task(mails.aput(n)) for n in range(20_000)]
        await until(lambda: lane(mails) >= WAITING - 1)
        for _ in range(3):
            await asyncio.sleep(0)
        assert lane(mails) == WAITING - 1
        await opened(store, first, *tasks)

    asyncio.run(main())
    assert most <= WAITING
    assert len(mails) == 20_001
    order = [int(entry.job.body) for entry in mails.browse(limit=None)[1:]]
    assert order == sorted(order)  # first come, first served


def test_the_bound_is_in_bytes_too(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    body = b"x" * (1 << 20)

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        tasks = [asyncio.create_task(mails.aput(body)) for _ in range(40)]
        await until(lambda: lane(mails) >= 15)
        for _ in range(5):
            await asyncio.sleep(0)
        assert lane(mails) == 16
        await opened(store, first, *tasks)

    asyncio.run(main())
    assert len(mails) == 41


def test_who_gives_up_before_the_gate_takes_no_place(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        tasks = [asyncio.create_task(mails.aput(n)) for n in range(WAITING + 500)]
        await until(lambda: lane(mails) == WAITING - 1)
        for task in tasks[WAITING : WAITING + 400]:
            task.cancel()
        await opened(store, first, *tasks)
        gate = facade(mails._link)._gate()
        assert (gate._inside, gate._bytes, len(gate._line)) == (0, 0, 0)
        await mails.aput("after")

    asyncio.run(main())
    assert len(mails) == WAITING + 102


def test_who_gives_up_with_a_place_in_hand_leaves_it_to_the_next(pair: tuple[Mails, Faulty]) -> None:
    async def main() -> None:
        gate = Gate()
        for _ in range(WAITING):
            assert gate.enter(1)
        late, later = asyncio.create_task(gate.queue_up(1)), asyncio.create_task(gate.queue_up(1))
        await asyncio.sleep(0)
        gate.leave(1)  # the place is given to `late`, which is cancelled before it knows
        late.cancel()
        await asyncio.wait_for(later, 60)
        assert gate._inside == WAITING
        assert not gate.enter(1)

    asyncio.run(main())
