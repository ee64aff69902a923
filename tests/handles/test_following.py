"""Following a job from its handle: every step of its life, in order, on each engine; the end at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import engines, place
from ropeway.broker import Broker
from ropeway.following import Step
from ropeway.link import Link


@pytest.fixture(params=engines())
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    with place(request.param, tmp_path) as url, Broker(Link(url, name="test"), config=False) as made:
        yield made


@pytest.fixture
def memory() -> Iterator[Broker]:
    with Broker(Link("memory:", name="test"), config=False) as made:
        yield made


class Follower:
    """Follows a job in a thread, and is told when to go on by what it has seen."""

    def __init__(self, steps: Iterator[Step]) -> None:
        self.seen: list[Step] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(steps,), daemon=True)
        self._thread.start()

    def _run(self, steps: Iterator[Step]) -> None:
        for step in steps:
            with self._changed:
                self.seen.append(step)
                self._changed.notify()

    def until(self, fits: Callable[[Step], Any]) -> Step:
        """The last step, once it is such a one."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.seen and fits(self.seen[-1]), 60), self.seen
            return self.seen[-1]

    def kinds(self) -> list[str]:
        """All kinds, once it has ended."""
        self._thread.join(60)
        assert not self._thread.is_alive(), self.seen
        return [step.kind for step in self.seen]


def test_a_whole_life(broker: Broker) -> None:
    queue = broker.queue("q")
    handle = queue.put("x", keep="1h")
    follower = Follower(handle.follow())
    follower.until(lambda step: step.kind == "waits")
    claim = queue.claim()
    assert claim is not None
    runs = follower.until(lambda step: step.kind == "runs")
    assert (runs.attempt, runs.worker) == (1, broker.link.holder().name)
    claim.progress({"baked": 3})
    assert follower.until(lambda step: step.kind == "progress").progress == {"baked": 3}
    claim.nack(error="no flour")
    tried = follower.until(lambda step: step.kind == "waits")
    assert tried.due is not None
    claim = queue.claim()
    assert claim is not None
    follower.until(lambda step: step.kind == "runs" and step.attempt == 2)
    claim.ack()
    assert follower.kinds() == ["waits", "runs", "progress", "tried", "waits", "runs", "done"]
    (failed,) = [step for step in follower.seen if step.kind == "tried"]
    assert (failed.attempt, failed.error) == (1, "no flour")


def test_it_ends_dead_or_gone(broker: Broker) -> None:
    queue = broker.queue("q")
    one, two = queue.put("x", priority=1), queue.put("y")
    claim = queue.claim()
    assert claim is not None
    claim.bury("no such address")
    steps = list(one.follow())
    assert [step.kind for step in steps] == ["dead"], "what was before the first look is the past"
    assert steps[0].error == "no such address"
    follower = Follower(two.follow())
    follower.until(lambda step: step.kind == "waits")
    queue.delete(ids=[two.id])
    assert follower.kinds() == ["waits", "gone"]
    assert [step.kind for step in two.follow()] == ["gone"]


def test_tries_between_two_looks_are_told(memory: Broker) -> None:
    queue = memory.queue("q")
    handle = queue.put("x")
    follower = handle.follow()
    assert next(follower).kind == "waits"
    for n in range(3):
        claim = queue.claim()
        assert claim is not None
        claim.nack(error=f"try {n}")
    claim = queue.claim()
    assert claim is not None
    claim.bury("enough")
    rest = list(follower)
    assert [step.error for step in rest if step.kind == "tried"] == ["try 0", "try 1", "try 2", "enough"]
    assert rest[-1].kind == "dead"


def test_the_time_is_up(memory: Broker) -> None:
    handle = memory.queue("q").put("x", delay="1h")
    assert [step.kind for step in handle.follow(timeout=0.3)] == ["waits"]
    assert [step.kind for step in handle.follow(timeout=0)] == ["waits"]


def test_in_an_event_loop_many_follow_at_once(broker: Broker) -> None:
    async def life(n: int) -> list[str]:
        return [step.kind async for step in handles[n].afollow(timeout=60)]

    async def work() -> None:
        for _ in handles:
            claim = await queue.aclaim(timeout=20)
            assert claim is not None
            await claim.aack()

    async def main() -> list[list[str]]:
        lives = [asyncio.ensure_future(life(n)) for n in range(len(handles))]
        await work()
        return await asyncio.gather(*lives)

    queue = broker.queue("q")
    handles = [queue.put(str(n), keep="1h") for n in range(40)]
    for kinds in asyncio.run(main()):
        assert kinds[-1] == "done"
        assert kinds.count("done") == 1


def test_leaving_early_in_an_event_loop(memory: Broker) -> None:
    async def first() -> str:
        steps = memory.queue("q").put("x").afollow()
        async for step in steps:
            return str(step.kind)
        return ""

    assert asyncio.run(first()) == "waits"
