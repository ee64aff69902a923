"""How work flows through pools of processes and loops: nothing short waits for something long, and a tail of long jobs is shared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from ropeway.broker import Broker
from ropeway.events import Event
from ropeway.link import Link

from . import workshop
from .conftest import Running

Start = Callable[..., Running]


@pytest.fixture
def broker(memory: Link) -> Iterator[Broker]:
    made = Broker(memory, config=False)
    made.include(workshop.tasks)
    yield made
    workshop.tasks.above = None


def test_a_long_coroutine_holds_up_no_short_one(broker: Broker, start: Start) -> None:
    settled: dict[int, float] = {}
    taken: dict[str, float] = {}
    ids: dict[str, int] = {}

    def listen(event: Event) -> None:
        if event.name in ("started", "ended"):
            for job_id in event.ids:
                if event.name == "started":
                    taken[job_id] = time.monotonic()
                else:
                    settled[ids[job_id]] = time.monotonic() - taken[job_id]

    handles = workshop.asometimes_long.map(range(400))
    ids.update({handle.id: number for number, handle in enumerate(handles)})
    broker.on(listen)
    assert start(broker.link, broker.tasks, ["default"], pool="async", concurrency=8, drain=True).end(60) == 0
    short = sorted(seconds for number, seconds in settled.items() if number % 50)
    assert len(short) == 392
    assert short[len(short) // 2] < 0.08, f"median from claim to settled {short[len(short) // 2]:.3f} s"


def test_two_workers_share_a_tail_of_long_jobs(broker: Broker, start: Start) -> None:
    workshop.takes.map([0] * 1500)
    workshop.takes.map([0.4] * 16)
    workers = [start(broker.link, broker.tasks, ["default"], pool="process", concurrency=2, drain=True) for _ in range(2)]
    for running in workers:
        assert running.end(60) == 0
    done = [running.worker.counters.done for running in workers]
    assert sum(done) == 1516
    long = [running.worker._ferry.busy for running in workers]
    assert min(long) > 0.25 * sum(long), f"a batch of long ones was left in one worker's hand: {long}"
