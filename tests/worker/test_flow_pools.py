"""How work flows through pools of processes and loops: nothing short waits for something long, and a tail of long jobs is shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

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
    """Seven of eight run until all short ones are settled."""
    settled: set[str] = set()
    workshop.over.clear()

    def listen(event: Event) -> None:
        if event.name == "ended":
            settled.update(event.ids)
            if len(settled) >= 400 - 7:
                workshop.over.set()

    workshop.asometimes_long.map(range(400))
    broker.on(listen)
    running = start(broker.link, broker.tasks, ["default"], pool="async", concurrency=8, drain=True)
    assert running.end(60) == 0, "a long one ended in vain: the short ones were waiting for it"
    assert running.worker.counters.done == len(settled) == 400


def test_two_workers_share_a_tail_of_long_jobs(broker: Broker, start: Start, tmp_path: Path) -> None:
    """Each long job lasts until four of them run at once: as many as both workers have children."""
    workshop.takes.map([""] * 1500)
    workshop.takes.map([str(tmp_path / "begun")] * 16)
    workers = [start(broker.link, broker.tasks, ["default"], pool="process", concurrency=2, drain=True) for _ in range(2)]
    for running in workers:
        assert running.end(120) == 0, "a batch of long ones was left in one worker's hand"
    assert sum(running.worker.counters.done for running in workers) == 1516
