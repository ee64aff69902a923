"""Shared commits: who gets into which group, and what becomes of each member when something goes wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from ropeway.aio import facade
from ropeway.aio.writer import Request, Writer
from ropeway.errors import BadBody, Conflict, LeaseLost, Stopped, StoreError
from ropeway.job import State
from ropeway.queue import Queue
from ropeway.store import Ack

from .faulty import Faulty, Mails, behind_a_commit, lane, opened, until


def test_those_who_come_while_a_commit_runs_share_the_next(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        rest = [asyncio.create_task(mails.aput(n)) for n in range(63)]
        await until(lambda: lane(mails) == 63)
        store.gate.set()
        handles = await asyncio.gather(first, *rest)
        assert len({handle.id for handle in handles}) == 64

    asyncio.run(main())
    assert store.groups("put") == [1, 63]
    assert len(mails) == 64


def test_a_group_is_bounded(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        many = [asyncio.create_task(mails.aput_many(range(400))) for _ in range(3)]
        large = asyncio.create_task(mails.aput_many(range(1500)))
        await until(lambda: lane(mails) == 4)
        store.gate.set()
        await asyncio.gather(first, *many, large)

    asyncio.run(main())
    assert store.groups("put") == [1, 800, 400, 1500]  # what one caller asks for is never split
    assert len(mails) == 2701


def test_cancelled_in_line_is_never_stored(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        tasks = [asyncio.create_task(mails.aput(n)) for n in range(300)]
        await until(lambda: lane(mails) == 300)
        for task in tasks[::3]:
            task.cancel()
        answers = await asyncio.wait_for(opened(store, first, *tasks), 10)
        assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 100

    asyncio.run(main())
    assert store.groups("put") == [1, 200]
    stored = {entry.job.body for entry in mails.browse(limit=None)}
    assert stored == {b"first"} | {str(n).encode() for n in range(300) if n % 3}


def test_cancelled_in_the_commit_is_unknown_and_may_be_repeated(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    job_id = "01a1fdc4e50c732287b1408025de83df"

    async def main() -> None:
        store.gate.clear()
        task = asyncio.create_task(mails.aput("x", id=job_id))
        await until(store.inside.is_set)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        store.gate.set()
        assert (await mails.aput("x", id=job_id)).id == job_id

    asyncio.run(main())
    assert len(mails) == 1


def test_a_bad_member_never_joins(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    store.before = lambda verb, batch: pytest.fail("it joined") if any(len(job.body) > 100 for job in batch) else None

    async def main() -> None:
        answers = await asyncio.gather(*(mails.aput(b"x" * (2 << 20) if n == 5 else n) for n in range(20)), return_exceptions=True)
        assert [n for n, answer in enumerate(answers) if isinstance(answer, BaseException)] == [5]
        assert isinstance(answers[5], BadBody)

    asyncio.run(main())
    assert len(mails) == 19


def test_one_whom_the_store_refuses_fails_alone(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair

    def refuse(verb: str, batch: Sequence[Any]) -> None:
        if verb == "put" and any(job.body == b"bad" for job in batch):
            raise BadBody("the store will not have it")

    store.before = refuse

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        tasks = [asyncio.create_task(mails.aput("bad" if n == 41 else n)) for n in range(100)]
        await until(lambda: lane(mails) == 100)
        answers = await opened(store, first, *tasks)
        assert [n for n, answer in enumerate(answers[1:]) if isinstance(answer, BadBody)] == [41]

    asyncio.run(main())
    assert len(mails) == 100


def test_an_unknown_failure_is_everyones_and_is_not_tried_again(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair

    def fail(verb: str, batch: Sequence[Any]) -> None:
        if len(batch) > 1:
            raise StoreError("the disk did not answer")

    store.before = fail

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        tasks = [asyncio.create_task(mails.aput(n)) for n in range(50)]
        await until(lambda: lane(mails) == 50)
        answers = await opened(store, first, *tasks)
        assert all(isinstance(answer, StoreError) for answer in answers[1:])
        assert len({id(answer) for answer in answers[1:]}) == 50  # each an exception of its own

    asyncio.run(main())
    assert store.groups("put") == [1, 50]
    assert len(mails) == 1


def test_a_definite_failure_is_tried_one_by_one(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair

    def fail(verb: str, batch: Sequence[Any]) -> None:
        if len(batch) > 10:
            raise StoreError("no room for so many", definite=True)

    store.before = fail

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        tasks = [asyncio.create_task(mails.aput(n)) for n in range(50)]
        await until(lambda: lane(mails) == 50)
        await opened(store, first, *tasks)

    asyncio.run(main())
    assert len(mails) == 51


def test_a_stopped_queue_does_not_slow_the_others(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    shut: Mails = Queue(mails._link, "shut")
    shut.pause(put=True, reason="full")

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        tasks = [asyncio.create_task((shut if n % 2 else mails).aput(n)) for n in range(100)]
        await until(lambda: lane(mails) == 100)
        answers = await opened(store, first, *tasks)
        assert all(isinstance(answer, Stopped) and answer.reason == "full" for answer in answers[2::2])

    asyncio.run(main())
    assert len(mails) == 51
    assert store.groups("put") == [1, 100, 50]


def test_a_taken_key(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair

    async def main() -> None:
        first = await mails.aput(1, key="k")
        with pytest.raises(Conflict):
            await mails.aput(2, key="k")
        kept = await mails.aput(3, key="k", on_conflict="keep")
        assert (kept.id, kept.created) == (first.id, False)
        race = await asyncio.gather(*(mails.aput(n, key="one") for n in range(20)), return_exceptions=True)
        assert sum(isinstance(answer, Conflict) for answer in race) == 19

    asyncio.run(main())


# The wake-up


def test_who_comes_while_the_writer_lies_down_is_seen(pair: tuple[Mails, Faulty]) -> None:
    """Between the last look into the lanes and the raising of the flag a caller sees the flag down, and does not ring."""
    mails, _ = pair
    came: list[Request] = []

    class Racing(Writer):
        """Somebody comes in just that moment, each time."""

        down = False

        @property
        def _asleep(self) -> bool:  # type: ignore[override]
            return self.down

        @_asleep.setter
        def _asleep(self, value: bool) -> None:
            if value and came:
                self._lanes["put"].append(came.pop())
            self.down = value

    async def main() -> None:
        loop = asyncio.get_running_loop()
        writer = Racing(mails._link)
        for n in range(5):
            late, early = loop.create_future(), loop.create_future()
            came.append(Request((mails.job(b"late", "text/plain"),), late, loop))
            writer.join("put", Request((mails.job(b"early", "text/plain"),), early, loop))
            await asyncio.wait_for(asyncio.gather(early, late), 5)
            assert len(mails) == 2 * (n + 1)
        writer.close()

    asyncio.run(main())


# Loops and ends


def test_two_loops_share_the_writer(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair
    done: list[int] = []

    async def main() -> None:
        done.append(len(await asyncio.gather(*(mails.aput(n) for n in range(500)))))

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert done == [500, 500]
    assert len(mails) == 1000
    assert sum(thread.name == "ropeway-writer" for thread in threading.enumerate()) == 1


def test_a_loop_that_is_closed_with_waiters_harms_nobody(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    loop = asyncio.new_event_loop()
    store.gate.clear()
    tasks = [loop.create_task(mails.aput(n)) for n in range(10)]
    loop.run_until_complete(asyncio.sleep(0.01))
    for task in tasks:  # as a program that just stops: nobody is cancelled, nobody is told
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    store.gate.set()
    handle = asyncio.run(_put(mails))
    assert handle.state() is State.READY
    for task in tasks:
        task.get_coro().close()  # type: ignore[union-attr]


async def _put(mails: Mails) -> Any:
    return await mails.aput("later")


def test_close_settles_what_is_in_line_and_refuses_what_comes_after(pair: tuple[Mails, Faulty]) -> None:
    before = set(threading.enumerate())

    mails, store = pair

    async def main() -> None:
        first = await behind_a_commit(store, mails)
        tasks = [asyncio.create_task(mails.aput(n)) for n in range(20)]
        await until(lambda: lane(mails) == 20)
        closing = asyncio.create_task(asyncio.to_thread(mails._link.close))
        store.gate.set()
        await asyncio.gather(first, *tasks, closing)
        with pytest.raises(StoreError, match="closed"):
            await mails.aput("late")

    asyncio.run(main())
    assert store.groups("put") == [1, 20]
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("ropeway-")]


# Settling


def test_acks_share_their_commits(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    store.held = ("ack",)
    mails.put_many(range(40), keep=60)
    claims = list(mails.claims(idle=0, batch=40))

    async def main() -> None:
        store.gate.clear()
        first = asyncio.create_task(claims[0].aack("zero"))
        await until(store.inside.is_set)
        rest = [asyncio.create_task(claim.aack(claim.data)) for claim in claims[1:]]
        await until(lambda: len(facade(mails._link).writer._lanes["ack"]) == 39)
        await opened(store, first, *rest)

    asyncio.run(main())
    assert store.groups("ack") == [1, 39]
    assert mails.counts().done == 40
    assert mails.browse()[0].result == b"zero"


def test_one_lost_claim_does_not_touch_the_others(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair
    mails.put_many(range(5))
    claims = list(mails.claims(idle=0, batch=5))
    assert mails._link.store.ack([Ack(claims[2].receipt)]) == [True]

    async def main() -> None:
        answers = await asyncio.gather(*(claim.aack() for claim in claims), return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None), type(None), LeaseLost, type(None), type(None)]

    asyncio.run(main())


def test_every_settling_verb(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair
    mails.put_many(range(4))
    claims = list(mails.claims(idle=0, batch=4, lease=30))

    async def main() -> None:
        await asyncio.gather(claims[0].anack("1m", "busy"), claims[1].abury("bad"), claims[2].aextend("5m"), claims[3].aprogress(0.5))
        assert claims[2].until - mails._link.clock.boot() > 200
        assert await claims[3].apath()
        await claims[3].aack()

    asyncio.run(main())
    states = {entry.job.body: entry.state for entry in mails.browse()}
    assert states == {b"0": State.DELAYED, b"1": State.DEAD, b"2": State.RUNNING}
