"""How work flows through a worker: nothing short waits for something long, nothing is hoarded, and failures cost little."""

from __future__ import annotations

import time
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
    assert sorted(waits)[10] < 0.05


def test_a_long_job_holds_up_no_short_one(link: Link, tasks: Tasks, start: Start) -> None:
    """Job 2 of a batch while job 1 takes its time: they share one hand, and outcomes are not kept in a pocket."""
    settled: dict[int, float] = {}
    taken: dict[str, float] = {}
    ids: dict[str, int] = {}

    @tasks.task
    def job(number: int) -> None:
        if number % 50 == 0:
            time.sleep(0.1)

    def listen(event: Event) -> None:
        if event.name in ("started", "ended"):
            for job_id in event.ids:
                if event.name == "started":
                    taken[job_id] = time.monotonic()
                else:
                    settled[ids[job_id]] = time.monotonic() - taken[job_id]

    handles = job.map(range(400))
    ids.update({handle.id: number for number, handle in enumerate(handles)})
    link.on(listen)
    assert start(link, tasks, ["default"], concurrency=8, drain=True).end() == 0
    short = sorted(seconds for number, seconds in settled.items() if number % 50)
    assert len(short) == 392
    assert short[len(short) // 2] < 0.05, f"median from claim to settled {short[len(short) // 2]:.3f} s"


@pytest.mark.parametrize("link", ["memory"], indirect=True)
def test_two_workers_share_a_tail_of_long_jobs(link: Link, tasks: Tasks, start: Start) -> None:
    ends: list[float] = []

    @tasks.task
    def job(seconds: float) -> None:
        if seconds:
            time.sleep(seconds)
            ends.append(time.monotonic())

    job.map([0] * 2000)
    job.map([0.25] * 16)
    began = time.monotonic()
    workers = [start(link, tasks, ["default"], concurrency=4, drain=True) for _ in range(2)]
    for running in workers:
        running.end()
    ideal = 16 * 0.25 / 8
    assert max(ends) - began < 1.3 * ideal + 1.0, "a batch of long ones was left in one worker's hand"
    assert sum(running.worker.counters.done for running in workers) == 2016


def test_failing_jobs_at_full_speed(memory: Link, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """2,000 errors with tracebacks: the product's share of each stays small."""
    tasks = Tasks(memory)

    @tasks.task(retry=1)
    def fails(number: int) -> None:
        raise ValueError(number)

    fails.map(range(2000))
    began = time.process_time()
    running = start(memory, tasks, ["default"], drain=True)
    assert running.end() == 10
    spent = (time.process_time() - began) / 2000 * 1e6
    assert running.worker.counters.buried == 2000
    assert spent < 120, f"{spent:.0f} us of CPU a failing job"
    lines = [record for record in caplog.records if "is dead" in record.message]
    assert 1 <= len(lines) < 200, "a line a batch, not a line a job"


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
