"""The pool of the event loop: a task a job, timed, cancelled, stopped; and a worker inside the caller's own loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.claim import Claim
from ropeway.errors import BadValue, RetryLater
from ropeway.job import State
from ropeway.link import Link
from ropeway.retry import Retry
from ropeway.tasks import Tasks, current_claim
from ropeway.worker import Worker

from .conftest import Running, until

Start = Callable[..., Running]


def drained(link: Link, tasks: Tasks, **options: Any) -> Worker:
    """A worker in the event loop that has done all there was."""
    worker = Worker(link, tasks, ("default",), drain=True, **{"pool": "async", **options})
    worker.run()
    return worker


@pytest.mark.parametrize("pool", ["async", "uvloop"])
def test_jobs_run_side_by_side_each_in_a_context_of_its_own(link: Link, tasks: Tasks, pool: str) -> None:
    if pool == "uvloop":
        pytest.importorskip("uvloop")
    seen = contextvars.ContextVar("seen", default=0)
    found: list[tuple[int, int]] = []
    going = most = 0

    @tasks.task(keep="1h")
    async def add(number: int) -> int:
        nonlocal going, most
        before = seen.get()
        seen.set(number)
        going += 1
        most = max(most, going)
        await asyncio.sleep(0.01)
        going -= 1
        found.append((before, seen.get()))
        claim = current_claim()
        assert claim is not None and asyncio.current_task().get_name() == claim.id  # type: ignore[union-attr]
        return number + 1

    handles = add.map(range(1, 201))
    worker = drained(link, tasks, pool=pool, concurrency=50)
    assert worker.counters.done == 200
    assert [handle.result(timeout="20s") for handle in handles] == list(range(2, 202))
    assert sorted(found) == [(0, number) for number in range(1, 201)]
    assert 1 < most <= 50


def test_one_that_fails_harms_nobody(link: Link, tasks: Tasks) -> None:
    @tasks.task(retry=1)
    async def bad(number: int) -> None:
        await asyncio.sleep(0)
        if number % 3 == 0:
            raise ValueError(f"no {number}")
        if number % 3 == 1:
            raise RetryLater("1h")
        raise SystemExit(3)

    handles = bad.map(range(3))
    worker = drained(link, tasks)
    assert (worker.counters.buried, worker.counters.done) == (2, 0)
    entries = [handle.entry() for handle in handles]
    assert [entry and entry.state for entry in entries] == [State.DEAD, State.DELAYED, State.DEAD]
    assert entries[0] is not None and entries[0].error == "ValueError: no 0"
    assert "test_loop_pool.py" in entries[0].history[-1].traceback


def test_timeouts(link: Link, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled at the deadline; what swallows that has timed out all the same, and what is deaf to it is left behind."""
    monkeypatch.setattr("ropeway.worker.pools.loop.GRACE", 0.2)
    cleaned: list[str] = []
    deaf_until = asyncio.Event()

    @tasks.task(timeout=0.3, retry=1)
    async def waits() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cleaned.append("up")

    @tasks.task(timeout=0.3, retry=1)
    async def swallows() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cleaned.append("swallowed")
        return "well"

    @tasks.task(timeout=0.3, retry=1)
    async def deaf() -> None:
        while not deaf_until.is_set():
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                cleaned.append("deaf")

    @tasks.task(timeout=0.3, retry=1)
    def plain() -> None:
        while True:
            pass

    @tasks.task(timeout=60, retry=1)
    async def own() -> None:
        raise TimeoutError("its own")

    handles = [waits.put(), swallows.put(), deaf.put(), plain.put()]
    other = own.put()
    worker = drained(link, tasks)
    assert worker.counters.buried == 5
    for handle in handles:
        entry = handle.entry()
        assert entry is not None
        assert (entry.state, entry.error, entry.history[-1].outcome) == (State.DEAD, "timed out after 300ms", "timeout")
    entry = other.entry()
    assert entry is not None and entry.error == "TimeoutError: its own"
    assert set(cleaned) == {"up", "swallowed", "deaf"}
    assert worker._pool.stuck == 1


def test_plain_functions_run_in_threads_beside_the_loop(link: Link, tasks: Tasks) -> None:
    ran: list[tuple[str, bool]] = []

    @tasks.task
    def plain() -> None:
        ran.append((threading.current_thread().name, current_claim() is not None))
        time.sleep(0.05)

    @tasks.task
    async def awaited() -> None:
        ran.append((threading.current_thread().name, current_claim() is not None))

    plain.put(), plain.put(), awaited.put()
    assert drained(link, tasks).counters.done == 3
    assert sum(name.startswith("ropeway-aside") for name, _ in ran) == 2
    assert all(claimed for _, claimed in ran)


def test_both_kinds_of_middleware_go_around(link: Link, tasks: Tasks) -> None:
    order: list[str] = []

    @tasks.use
    async def outer(claim: Claim[Any], call_next: Callable[[Any], Any]) -> Any:
        order.append("outer")
        answer = await call_next(claim)
        order.append("outer done")
        return answer

    @tasks.use
    def inner(claim: Claim[Any], call_next: Callable[[Any], Any]) -> Any:
        order.append("inner")
        answer = call_next(claim)
        order.append("inner done")
        return answer

    @tasks.task(keep="1h")
    async def awaited() -> int:
        order.append("run")
        return 1

    @tasks.task(keep="1h")
    def plain() -> int:
        order.append("run")
        return 2

    for task, value in ((awaited, 1), (plain, 2)):
        order.clear()
        handle = task.put()
        drained(link, tasks)
        assert handle.result(timeout="20s") == value
        assert order == ["outer", "inner", "run", "inner done", "outer done"]


def test_a_stop_cancels_what_runs_and_gives_it_back_uncounted(link: Link, tasks: Tasks, start: Start) -> None:
    cancelled: list[str] = []
    going = threading.Event()

    @tasks.task
    async def waits() -> None:
        going.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append("yes")
            raise

    handles = waits.map([]) + [waits.put() for _ in range(3)]
    running = start(link, tasks, ["default"], pool="async", concurrency=2)
    until(lambda: len(running.worker.running) >= 2 and going.is_set())
    running.worker.stop()
    running.worker.stop()
    assert running.end() == 0
    entries = [handle.entry() for handle in handles]
    assert [(entry.state, entry.attempts) for entry in entries if entry] == [(State.READY, 0)] * 3
    assert cancelled == ["yes"] * 2


def test_a_job_called_back_is_cancelled(link: Link, tasks: Tasks, start: Start) -> None:
    going, cancelled = threading.Event(), threading.Event()

    @tasks.task(retry=5)
    async def waits() -> None:
        going.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    handle = waits.put()
    start(link, tasks, ["default"], pool="async")
    assert going.wait(40)
    assert handle.cancel()
    assert cancelled.wait(40)
    until(lambda: handle.state() is None)


def test_it_can_be_resized_while_it_works(memory: Link, start: Start) -> None:
    tasks = Tasks(memory)
    going, most = 0, 0
    release = threading.Event()

    @tasks.task
    async def counts() -> None:
        nonlocal going, most
        going += 1
        most = max(most, going)
        while not release.is_set():
            await asyncio.sleep(0.005)
        going -= 1

    for _ in range(30):
        counts.put()
    running = start(memory, tasks, ["default"], pool="async", concurrency=2, drain=True)
    until(lambda: going == 2)
    running.worker._pool.resize(7)
    running.worker._inbox.ring()
    until(lambda: going == 7)
    release.set()
    assert running.end() == 0
    assert running.worker.counters.done == 30


# Inside the caller's own loop


def test_a_worker_runs_in_the_callers_own_loop() -> None:
    """What the caller has in his loop, a job may touch: they are one thread."""

    async def main() -> tuple[int, list[Any], bool]:
        broker = Broker(Link("memory:"), config=False)
        mine = asyncio.get_running_loop()
        got: asyncio.Queue[int] = asyncio.Queue()
        same: list[bool] = []

        @broker.task
        async def pass_on(number: int) -> None:
            same.append(asyncio.get_running_loop() is mine)
            await got.put(number)

        worker = broker.worker("default")
        working = asyncio.create_task(worker.arun())
        for number in range(5):
            await pass_on.aput(number)
        numbers = [await asyncio.wait_for(got.get(), 40) for _ in range(5)]
        worker.stop()
        code = await asyncio.wait_for(working, 40)
        await broker.aclose()
        return code, sorted(numbers), all(same)

    assert asyncio.run(main()) == (0, [0, 1, 2, 3, 4], True)


def test_a_cancelled_worker_gives_back_what_it_holds() -> None:
    async def main() -> tuple[list[Any], list[str]]:
        broker = Broker(Link("memory:"), config=False)
        going, ends = asyncio.Event(), []

        @broker.task
        async def waits() -> None:
            going.set()
            try:
                await asyncio.sleep(60)
            finally:
                ends.append("cancelled")

        handles = [waits.put() for _ in range(3)]
        working = asyncio.create_task(broker.worker("default", concurrency=2).arun())
        await asyncio.wait_for(going.wait(), 40)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        entries = [handle.entry() for handle in handles]
        await broker.aclose()
        return [(entry.state, entry.attempts) for entry in entries if entry], ends

    states, ends = asyncio.run(main())
    assert states == [(State.READY, 0)] * 3
    assert 1 <= len(ends) <= 2


def test_a_blocked_loop_keeps_its_lease(memory: Link, start: Start) -> None:
    """The keeper has a thread of its own."""
    tasks, runs = Tasks(memory), []

    @tasks.task(retry=Retry(1))
    async def blocks() -> None:
        runs.append(1)
        threading.Event().wait(2.5)

    blocks.put()
    workers = [start(memory, tasks, ["default"], pool="async", lease=1) for _ in range(2)]
    until(lambda: sum(running.worker.counters.done for running in workers) == 1)
    assert runs == [1]


def test_an_unknown_pool_is_refused(memory: Link) -> None:
    with pytest.raises(BadValue, match="no pool 'fiber'"):
        Worker(memory, Tasks(memory), ("default",), pool="fiber")
