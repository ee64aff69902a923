"""How work flows through a worker: nothing short waits for something long, nothing is hoarded, and failures cost little."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable

import pytest

from ropeway.events import Event
from ropeway.link import Link
from ropeway.retry import Retry
from ropeway.tasks import Tasks

from .conftest import Running, until

Start = Callable[..., Running]
FAST = Retry(3, base=0.01)


def test_a_put_wakes_an_idle_worker(link: Link, tasks: Tasks, start: Start) -> None:
    waits: list[float] = []

    @tasks.task
    def late(put: float) -> None:
        waits.append(time.monotonic() - put)

    running = start(link, tasks, ["default"])
    for number in range(20):
        until(lambda: running.worker._inbox.asleep)
        late.put(time.monotonic())
        until(lambda number=number: len(waits) > number)
    assert sorted(waits)[10] < 0.5, "its own look would come after seconds"


def test_a_long_job_holds_up_no_short_one(link: Link, tasks: Tasks, start: Start) -> None:
    """Seven of eight slots are taken by jobs that last until all short ones are settled: these share one hand with them, and no outcome
    is kept in a pocket."""
    settled: set[str] = set()
    over = threading.Event()
    in_vain: list[int] = []

    @tasks.task
    def job(number: int) -> None:
        if number % 57 == 1 and not over.wait(30):
            in_vain.append(number)

    def listen(event: Event) -> None:
        if event.name == "ended":
            settled.update(event.ids)
            if len(settled) >= 400 - 7:
                over.set()

    job.map(range(400))
    link.on(listen)
    assert start(link, tasks, ["default"], concurrency=8, drain=True).end(60) == 0
    assert len(settled) == 400
    assert not in_vain, f"{len(in_vain)} long jobs had to end before the short ones could"


@pytest.mark.parametrize("link", ["memory"], indirect=True)
def test_two_workers_share_a_tail_of_long_jobs(link: Link, tasks: Tasks, start: Start) -> None:
    """Each long job lasts until eight of them run at once: as many as both workers have slots."""
    eight = threading.Barrier(8, timeout=30)

    @tasks.task
    def job(long: bool) -> None:
        if long:
            eight.wait()

    job.map([False] * 2000)
    job.map([True] * 16)
    workers = [start(link, tasks, ["default"], concurrency=4, drain=True) for _ in range(2)]
    for running in workers:
        running.end(60)
    assert not eight.broken, "a batch of long ones was left in one worker's hand"
    assert sum(running.worker.counters.done for running in workers) == 2016


def test_failing_jobs_at_full_speed(memory: Link, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """2,000 errors with tracebacks: the product's share of each stays small."""
    tasks = Tasks(memory)

    @tasks.task(retry=1)
    def fails(number: int) -> None:
        raise ValueError(number)

    def bare(number: int) -> str:
        """What the interpreter itself takes for an error and its traceback."""
        try:
            fails(number)
        except ValueError as error:
            return "".join(traceback.format_exception(error))
        raise AssertionError

    began = time.process_time()
    assert all(bare(number) for number in range(2000))
    share = time.process_time() - began
    fails.map(range(2000))
    began = time.process_time()
    running = start(memory, tasks, ["default"], drain=True)
    assert running.end(60) == 10
    spent = time.process_time() - began
    assert running.worker.counters.buried == 2000
    print(f"{spent / 2000 * 1e6:.0f} us of CPU a failing job, {spent / share:.2f} times a bare error")
    assert spent < share, f"{spent / share:.1f} times what a bare error takes"
    lines = [record for record in caplog.records if "is dead" in record.message]
    assert 1 <= len(lines) < 1000, "a line a batch, not a line a job"


def test_large_bodies_do_not_fill_the_hand(memory: Link, start: Start) -> None:
    tasks = Tasks(memory)
    most = 0

    @tasks.task
    def eat(data: str) -> None:
        nonlocal most
        most = max(most, len(running.worker.running))

    for _ in range(10):
        eat.map(["x" * 700_000] * 20)
    running = start(memory, tasks, ["default"], concurrency=2, drain=True)
    assert running.end() == 0
    assert 2 <= most <= 60, f"{most} bodies of 700 kB were held at once"
