"""How a worker ends: told to stop, once and twice, told to be quiet, or after so many runs; and the state it leaves each job in."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from ropeway.errors import BadValue
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.tasks import Tasks, current_claim
from ropeway.worker import Worker

from .conftest import Running, until

Start = Callable[..., Running]
FAST = Retry(3, base=0.01)


def test_a_stop_gives_back_the_hand_and_lets_the_rest_finish(link: Link, tasks: Tasks, start: Start) -> None:
    release = threading.Event()
    begun: list[int] = []
    stopping: list[bool] = []

    @tasks.task
    def waits(number: int) -> None:
        begun.append(number)
        claim = current_claim()
        assert claim is not None
        assert release.wait(40)
        stopping.append(claim.stopping)

    waits.map(range(6))
    running = start(link, tasks, ["default"], concurrency=2, grace=20)
    until(lambda: len(begun) == 2)
    running.worker.stop()
    until(lambda: not running.worker._ferry.open)  # type: ignore[union-attr]
    release.set()
    assert running.end() == 0
    assert stopping == [True, True]
    counts = link.store.counts()["default"]
    assert (counts.ready, counts.running) == (4, 0)
    assert {entry.attempts for entry in Queue(link, "default").browse()} == {0}


def test_after_the_grace_what_runs_goes_back_uncounted(link: Link, tasks: Tasks, start: Start) -> None:
    cleaned = threading.Event()
    hold = threading.Event()

    begun: list[str] = []

    @tasks.task
    async def coroutine() -> None:
        begun.append("coroutine")
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    @tasks.task
    def thread() -> None:
        begun.append("thread")
        hold.wait(60)

    handles = [coroutine.put(), thread.put()]
    running = start(link, tasks, ["default"], grace=0.1)
    until(lambda: len(begun) == 2)
    started = time.monotonic()
    running.worker.stop()
    assert running.end() == 0
    hold.set()
    assert time.monotonic() - started < 30
    assert cleaned.is_set(), "a coroutine is cancelled"
    entries = [handle.entry() for handle in handles]
    assert [(entry.state in (State.READY, State.DELAYED), entry.attempts) for entry in entries if entry] == [(True, 0)] * 2
    assert entries[1] is not None
    assert entries[1].state is State.DELAYED, "the thread still runs: not due before this process should be gone"


def test_a_second_stop_is_at_once(link: Link, tasks: Tasks, start: Start) -> None:
    hold = threading.Event()

    begun = threading.Event()

    @tasks.task
    def thread() -> None:
        begun.set()
        hold.wait(60)

    handle = thread.put()
    running = start(link, tasks, ["default"], grace=60)
    assert begun.wait(40)
    running.worker.stop()
    running.worker.stop()
    assert running.end(5) == 0
    hold.set()
    entry = handle.entry()
    assert entry is not None
    assert entry.attempts == 0


def test_quiet_finishes_what_is_held(link: Link, tasks: Tasks, start: Start) -> None:
    done: list[int] = []

    @tasks.task
    def work(number: int) -> None:
        time.sleep(0.05)
        done.append(number)

    work.map(range(8))
    running = start(link, tasks, ["default"], concurrency=2)
    until(lambda: done)
    running.worker.quiet()
    assert running.end() == 0
    assert len(done) < 8
    assert running.worker.counters.done == len(done)
    assert link.store.counts()["default"].ready == 8 - len(done)


def test_orders_before_the_start_hold(memory: Link, start: Start) -> None:
    worker = Worker(memory, Tasks(memory), ["default"])
    worker.stop()
    assert Running(worker).end() == 0
    with pytest.raises(BadValue, match="runs once"):
        worker.run()


def test_max_jobs(link: Link, tasks: Tasks, start: Start) -> None:
    @tasks.task
    def noop(number: int) -> None: ...

    noop.map(range(10))
    running = start(link, tasks, ["default"], max_jobs=3)
    assert running.end() == 0
    assert running.worker.counters.ran == 3
    counts = link.store.counts()["default"]
    assert (counts.ready, counts.running) == (7, 0)
