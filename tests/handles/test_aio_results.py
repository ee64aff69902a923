"""Awaited ends and the twins of everything else."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.claim import Claim
from ropeway.errors import RemoteError, Timeout, Unsupported
from ropeway.handle import Handle
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue

from .faulty import faulty, until

Mails = Queue[Any]


@pytest.fixture
def link(url: str) -> Iterator[Link]:
    """On the machine's clock: a thread sleeps for all who wait in the event loop, and would make a clock of ours jump all the time."""
    made = Link(url, name="test")
    yield made
    made.close()


def test_results_are_awaited(mails: Mails) -> None:
    async def main() -> None:
        handles = await mails.aput_many(range(20), keep=60)
        results = [asyncio.create_task(handle.aresult(60)) for handle in handles]
        async for claim in mails.aclaims(idle=0, batch=20):
            if claim.data == 7:
                await claim.abury("seven")
            else:
                await claim.aack(claim.data * 2)
        answers = await asyncio.gather(*results, return_exceptions=True)
        assert isinstance(answers.pop(7), RemoteError)
        assert answers == [n * 2 for n in range(20) if n != 7]
        assert await handles[7].await_() is State.DEAD
        assert await handles[0].astate() is State.DONE

    asyncio.run(main())


def test_many_who_wait_share_one_poll() -> None:
    link, store = faulty()
    mails: Mails = Queue(link, "mails")

    async def main() -> None:
        handles = await mails.aput_many(range(200), keep=60)
        results = [asyncio.create_task(handle.aresult(60)) for handle in handles]
        await until(lambda: 200 in store.groups("browse"))
        async for claim in mails.aclaims(idle=0, batch=200):
            await claim.aack(1)
        assert sum(await asyncio.gather(*results)) == 200
        await until(lambda: len(asyncio.all_tasks()) == 1)  # and the poll ends with the last of them

    asyncio.run(main())
    link.close()
    assert len(store.groups("browse")) < 200


def test_a_result_that_is_late(mails: Mails) -> None:
    async def main() -> None:
        handle = await mails.aput(1, keep=60)
        with pytest.raises(Timeout, match="cancel"):
            await handle.aresult("20ms")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await handle.aresult()
        claim = await mails.aclaim()
        assert claim is not None
        await claim.aack("late")
        assert await handle.aresult(60) == "late"

    asyncio.run(main())


def test_without_keep(mails: Mails) -> None:
    async def main() -> None:
        handle = await mails.aput(1)
        with pytest.raises(Unsupported):
            await handle.aresult()
        with pytest.raises(Unsupported):
            await mails.handle(handle.id).aresult()

    asyncio.run(main())


def test_a_poll_that_fails_says_so() -> None:
    link, store = faulty()
    mails: Mails = Queue(link, "mails")

    async def main() -> None:
        handle = await mails.aput(1, keep=60)

        def fail(verb: str, batch: Any) -> None:
            raise RuntimeError("the disk did not answer")

        store.before = fail
        with pytest.raises(RuntimeError, match="disk"):
            await handle.aresult(60)

    asyncio.run(main())
    link.close()


def test_the_operators_verbs(mails: Mails, link: Link) -> None:
    async def main() -> None:
        handle = await mails.aput(1)
        later = await mails.aput(2, delay="1h")
        assert await later.acancel()
        assert await mails.atop(handle.id)
        claim = await mails.apick(handle.id)
        assert claim is not None
        await claim.aprogress(0.5)
        assert await handle.aprogress() == 0.5
        await claim.abury("bad")
        assert await mails.arequeue() == 1
        await mails.apause(reason="deploy")
        assert (await mails.acounts()).claim_stopped == "deploy"
        await mails.aresume()
        [moved] = await mails.amove([handle.id], "other")
        assert moved.queue == "other"
        assert await mails.apurge() == 0
        await mails.ajoin(0)
        assert (await mails.aput_file([b"a", b"b"])).created
        assert await mails.adelete(state="ready") == 1

    asyncio.run(main())


def test_the_broker_has_twins_too(url: str) -> None:
    async def main() -> None:
        async with Broker(Link(url), config=False) as broker:
            await broker.queue("mails").aput(1)
            assert await broker.aqueues() == ["mails"]
            assert (await broker.acounts())["mails"].ready == 1

    asyncio.run(main())


# What has no twin, and why: it asks nothing of the store, or its twin has a name of its own.
ALONE = {
    Queue: {"decode", "job", "handle", "take"},
    Claim: set(),
    Handle: {"wait"},  # `await` is a word of the language: await_
    Broker: {
        "queue",
        "handle",
        "task",
        "worker",
        "on",
        "transaction",
        "include",
        "inline",
        "executor",
        "cron",
        "topic",
        "subscribe",
        "dashboard",
    },
}


@pytest.mark.parametrize("kind", ALONE, ids=lambda kind: kind.__name__)
def test_every_verb_has_its_twin_with_the_same_arguments(kind: type) -> None:
    verbs = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    twins = {name for name in verbs if name.startswith("a") and name[1:] in verbs}
    plain = verbs - twins - ALONE[kind] - {"await_", "aclose"}
    assert len(twins) >= 3
    assert {f"a{name}" for name in plain if name != "close"} == twins - {"aclose"}
    for name in twins - {"aclose"}:
        ours, theirs = inspect.signature(getattr(kind, name)), inspect.signature(getattr(kind, name[1:]))
        assert list(ours.parameters) == list(theirs.parameters), name
