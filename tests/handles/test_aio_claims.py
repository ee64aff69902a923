"""Awaited claims: they share one sleep and one store call, never occupy the writer, and nothing stays claimed for those who have gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ropeway.aio import facade
from ropeway.aio.claimer import Claimer, Wanted
from ropeway.clock import Sleeper, SystemClock
from ropeway.errors import Stopped, StoreError
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue

from .faulty import Faulty, faulty, until

Mails = Queue[Any]


@pytest.fixture
def pair() -> Iterator[tuple[Mails, Faulty]]:
    link, store = faulty()
    store.held = ("claim",)
    yield Queue(link, "mails"), store
    store.gate.set()
    link.close()


def test_an_empty_queue_answers_none(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair

    async def main() -> None:
        assert await mails.aclaim() is None
        assert await mails.aclaim(timeout=0.01) is None
        await mails.aput({"n": 1})
        claim = await mails.aclaim(lease="1m")
        assert claim is not None
        assert claim.data == {"n": 1}
        await claim.aack()
        assert await mails.aclaim() is None

    asyncio.run(main())


def test_a_waiting_claim_does_not_occupy_the_writer(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair
    other: Mails = Queue(mails._link, "other")

    async def main() -> None:
        waiting = asyncio.create_task(mails.aclaim(timeout=None))
        await asyncio.sleep(0.01)
        for n in range(10):
            await other.aput(n)
        assert not waiting.done()
        await mails.aput("now")
        claim = await asyncio.wait_for(waiting, 60)
        assert claim is not None
        assert claim.data == "now"

    asyncio.run(main())


class Counting(SystemClock):
    """A clock that tells how long was slept by it."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, on: Sleeper, seconds: float) -> bool:
        self.slept.append(seconds)
        return super().sleep(on, seconds)


def test_a_wake_up_that_brought_something_slows_nobody_down() -> None:
    """What is slept after wake-ups in vain is forgotten once there was a job: else the next who waits would sleep 20 ms through its own."""
    clock = Counting()
    link = Link("memory:", clock)
    mails: Mails = Queue(link, "mails")

    async def main() -> None:
        for n in range(20):
            waiting = asyncio.create_task(mails.aclaim(timeout=30))
            await asyncio.sleep(0.002)
            await mails.aput(n)
            claim = await waiting
            assert claim is not None
            await claim.aack()

    asyncio.run(main())
    link.close()
    pauses = [seconds for seconds in clock.slept if seconds < 0.1]  # the others are the store's own waiting, which a put ends
    assert max(pauses, default=0.0) < 0.005, pauses


def test_many_who_wait_are_served_together(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair

    async def main() -> None:
        tasks = [asyncio.create_task(mails.aclaim(timeout=20)) for _ in range(300)]
        await asyncio.sleep(0.05)
        await mails.aput_many(range(300))
        claims = await asyncio.gather(*tasks)
        assert {claim.data for claim in claims if claim} == set(range(300))

    asyncio.run(main())
    assert len(store.groups("claim")) < 30


def test_a_newcomer_is_looked_after_while_others_wait(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair
    other: Mails = Queue(mails._link, "other")

    async def main() -> None:
        waiting = asyncio.create_task(mails.aclaim(timeout=20))
        await asyncio.sleep(0.02)
        loop = asyncio.get_running_loop()
        before = loop.time()
        for _ in range(100):
            assert await other.aclaim() is None
        assert loop.time() - before < 40  # not one longest wait, of half a second, each
        waiting.cancel()

    asyncio.run(main())


def test_who_comes_while_the_claimer_lies_down_is_seen(pair: tuple[Mails, Faulty]) -> None:
    """Between its last look at who has asked and the raising of its flag a caller sees the flag down, and does not ring."""
    mails, _ = pair
    came: list[Wanted] = []

    class Racing(Claimer):
        """Somebody comes in just that moment."""

        down = False

        @property
        def _asleep(self) -> bool:  # type: ignore[override]
            return self.down

        @_asleep.setter
        def _asleep(self, value: bool) -> None:
            if value and came:
                self._asked.append(came.pop())
            self.down = value

    async def main() -> None:
        loop = asyncio.get_running_loop()
        claimer = Racing(mails._link)
        for _ in range(5):
            early, late = loop.create_future(), loop.create_future()
            came.append(Wanted("mails", 1, 30.0, 0.0, False, late, loop, pytest.fail))  # noqa: FBT003
            claimer.ask(Wanted("mails", 1, 30.0, 0.0, False, early, loop, pytest.fail))  # noqa: FBT003
            assert await asyncio.wait_for(asyncio.gather(early, late), 5) == [[], []]
        claimer.close()

    asyncio.run(main())


def test_threads_and_loops_side_by_side_run_each_job_once(url: str) -> None:
    link = Link(url)
    seen: list[int] = []
    total = 400

    def producer(part: int) -> None:
        queue: Mails = Queue(link, "mails")
        for n in range(part, total, 4):
            queue.put(n)

    async def consumer(queue: Mails) -> None:
        async for claim in queue.aclaims(idle=5, batch=7):
            async with claim:
                seen.append(claim.data)
            if len(seen) >= total:
                return

    async def main() -> None:
        queue: Mails = Queue(link, "mails")
        consumers = [asyncio.create_task(consumer(queue)) for _ in range(5)]
        await asyncio.wait(consumers, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        for task in consumers:
            task.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)

    threads = [threading.Thread(target=producer, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    asyncio.run(main())
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(total))
    link.close()


def test_a_cancelled_wait_leaves_nothing_claimed(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await mails.aclaim(timeout=None)
        await mails.aput("x")
        await asyncio.sleep(0.05)
        assert (await mails.acounts()).ready == 1

    asyncio.run(main())
    assert "nack" not in {verb for verb, _ in pair[1].calls}  # it was never taken for one who had gone


def test_cancelled_while_the_store_answers_gives_the_job_back(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    mails.put("x")

    async def main() -> None:
        store.gate.clear()
        task = asyncio.create_task(mails.aclaim())
        await until(store.inside.is_set)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        store.gate.set()
        await until(lambda: "nack" in {verb for verb, _ in store.calls})
        await until(lambda: mails.counts().ready == 1)

    asyncio.run(main())
    assert mails.browse()[0].attempts == 0


def test_cancelled_between_the_answer_and_its_reading_gives_the_job_back(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    mails.put("x")

    async def main() -> None:
        claimer = facade(mails._link).claimer
        asked: list[Any] = []
        real = claimer.ask
        claimer.ask = asked.append  # type: ignore[method-assign]
        task = asyncio.create_task(mails.aclaim())
        await until(lambda: asked)
        claimer.ask = real  # type: ignore[method-assign]
        asked[0].future.set_result(store.store.claim(("mails",), 1, 30.0, mails._link.holder()))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await until(lambda: mails.counts().ready == 1)

    asyncio.run(main())


def test_a_closed_loop_gets_no_jobs(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    mails.put("x")
    loop = asyncio.new_event_loop()
    store.gate.clear()
    task = loop.create_task(mails.aclaim())
    loop.run_until_complete(until(store.inside.is_set))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    store.gate.set()
    asyncio.run(until(lambda: mails.counts().ready == 1))
    task.get_coro().close()  # type: ignore[union-attr]


def test_a_stopped_queue_says_so_to_its_own(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair
    other: Mails = Queue(mails._link, "other")
    mails.pause(reason="deploy")

    async def main() -> None:
        patient = asyncio.create_task(other.aclaim(timeout=20))
        await asyncio.sleep(0.01)
        with pytest.raises(Stopped, match="deploy"):
            await mails.aclaim(timeout=20)
        await other.aput(1)
        assert await asyncio.wait_for(patient, 60)
        with pytest.raises(Stopped):
            async for _ in mails.aclaims(idle=0.05):
                pytest.fail("a paused queue gave a job")

    asyncio.run(main())


def test_a_failing_store_is_said_to_those_who_wait(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair

    async def main() -> None:
        def fail(verb: str, batch: Any) -> None:
            raise StoreError("the disk did not answer")

        store.before = fail
        answers = await asyncio.gather(*(mails.aclaim(timeout=5) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreError] * 3
        store.before = lambda verb, batch: None
        assert await mails.aclaim() is None  # and the next is served

    asyncio.run(main())


def test_close_tells_those_who_wait(pair: tuple[Mails, Faulty]) -> None:
    mails, _ = pair

    async def main() -> None:
        waiting = asyncio.create_task(mails.aclaim(timeout=None))
        await asyncio.sleep(0.02)
        await asyncio.to_thread(mails._link.close)
        with pytest.raises(StoreError, match="closed"):
            await waiting
        with pytest.raises(StoreError, match="closed"):
            await mails.aclaim()

    asyncio.run(main())


# The loop of claims, on every engine


def test_the_awaited_loop(mails: Mails) -> None:
    async def main() -> None:
        await mails.aput_many(range(10))
        seen = []
        async for claim in mails.aclaims(idle=0, batch=4):
            async with claim:
                seen.append(claim.data)
                if claim.data == 3:
                    raise ValueError("three")
        assert seen == list(range(10))
        [entry] = await mails.abrowse()
        assert (entry.state, entry.error) == (State.DELAYED, "ValueError: three")

    asyncio.run(main())


def test_leaving_the_loop_gives_back_the_hand(mails: Mails) -> None:
    async def main() -> None:
        await mails.aput_many(range(10))
        loop = mails.aclaims(idle=0, batch=5)
        async for claim in loop:
            async with claim:
                break
        await loop.aclose()
        await until(lambda: mails.counts().ready == 9)  # a folder is counted while it changes
        assert (await mails.acounts()).running == 0

    asyncio.run(main())


def test_an_exception_goes_on_from_a_single_claim(link: Link, mails: Mails) -> None:
    async def main() -> None:
        await mails.aput(1)
        claim = await mails.aclaim()
        assert claim is not None
        with pytest.raises(ValueError, match="x"):
            async with claim:
                raise ValueError("x")
        [entry] = await mails.abrowse(state="delayed")
        assert entry.history[-1].worker == link.holder().name

    asyncio.run(main())


def test_a_put_of_this_process_serves_who_waits_in_it_whatever_the_bell_does(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    asleep, deaf = threading.Event(), threading.Event()

    def wait(_: object, __: float) -> bool:
        asleep.set()
        assert deaf.wait(60)
        return False

    store.wait = wait

    async def main() -> None:
        waiting = asyncio.create_task(mails.aclaim(timeout=None))
        await asyncio.to_thread(asleep.wait, 60)
        await mails.aput_many(["first", "second"])
        claim = await asyncio.wait_for(waiting, 30)
        assert claim is not None
        assert (claim.data, claim.attempt) == ("first", 1)
        assert mails.counts().ready == 1, "nobody has asked for the second"

    try:
        asyncio.run(main())
    finally:
        deaf.set()


def test_what_cannot_be_claimed_for_who_waits_is_told_to_him_and_spoils_no_put(pair: tuple[Mails, Faulty]) -> None:
    mails, store = pair
    asleep, deaf = threading.Event(), threading.Event()

    def wait(_: object, __: float) -> bool:
        asleep.set()
        assert deaf.wait(60)
        return False

    def fail(verb: str, _: object) -> None:
        if verb == "claim":
            raise StoreError("it burns", definite=True)

    store.wait = wait

    async def main() -> None:
        waiting = asyncio.create_task(mails.aclaim(timeout=None))
        await asyncio.to_thread(asleep.wait, 60)
        store.before = fail
        await mails.aput("safe")
        with pytest.raises(StoreError, match="burns"):
            await asyncio.wait_for(waiting, 30)
        store.before = lambda verb, batch: None
        assert mails.counts().ready == 1

    try:
        asyncio.run(main())
    finally:
        deaf.set()
