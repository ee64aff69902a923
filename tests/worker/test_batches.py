"""Tasks that take several jobs at once: how they gather, and that each job is settled by itself, in every pool."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.errors import BadBody, BadValue
from ropeway.job import State
from ropeway.link import Link
from ropeway.tasks import TaskClaim, Tasks
from ropeway.worker import Worker

from . import workshop
from .conftest import Running, until

Start = Callable[..., Running]
POOLS = ["thread", "async", "process"]


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker(Link("memory:"), config=False)
    made.include(workshop.tasks)
    yield made
    made.close()
    workshop.tasks.above = None


def drained(broker: Broker, pool: str, **options: Any) -> Worker:
    worker = broker.worker("default", pool=pool, drain=True, **{"concurrency": 2, **options})
    worker.run()
    return worker


@pytest.mark.parametrize("pool", POOLS)
def test_many_jobs_make_few_calls_and_each_has_its_own_result(broker: Broker, pool: str) -> None:
    handles = workshop.sums.map(range(1, 101), range(100))
    words = workshop.lengths.map(["x" * number for number in range(60)])
    plain = workshop.add.map(range(20))
    worker = drained(broker, pool)
    assert worker.counters.done == 180
    results: list[Any] = [handle.result(timeout="20s") for handle in handles]
    assert [result["sum"] for result in results] == [a + a - 1 for a in range(1, 101)]
    assert max(result["of"] for result in results) == 10, "none was ever full"
    assert sum(1 / result["of"] for result in results) < 30, "too many calls"
    assert [handle.result(timeout="20s") for handle in words] == list(range(60))
    assert all(handle.result(timeout="20s") for handle in plain)


@pytest.mark.parametrize("pool", POOLS)
def test_each_job_fails_by_itself(broker: Broker, pool: str) -> None:
    handles = [workshop.sums.put(a, 1) for a in (1, -2, 3, -4)]
    drained(broker, pool)
    entries = [handle.entry() for handle in handles]
    assert [(entry.state, entry.error) for entry in entries if entry] == [
        (State.DONE, ""),
        (State.DEAD, "ValueError: negative -2"),
        (State.DONE, ""),
        (State.DEAD, "ValueError: negative -4"),
    ]


@pytest.mark.parametrize("pool", POOLS)
def test_what_the_call_raises_is_the_failure_of_all(broker: Broker, pool: str) -> None:
    handles = [workshop.sums.put(a, a) for a in (1, 0, 2)]
    few = workshop.too_few.map([1, 2])
    silent = workshop.nothing_said.map(range(7))
    worker = drained(broker, pool)
    assert {entry.error for handle in handles if (entry := handle.entry())} == {"ValueError: a pair of zeros"}
    errors = {entry.error for handle in few if (entry := handle.entry())}
    assert errors == {"ropeway.errors.BadValue: task too_few was given 2 jobs and answered 1 results: nobody can tell whose they are"}
    assert worker.counters.done == len(silent)


@pytest.mark.parametrize("pool", POOLS)
def test_a_function_may_ask_for_the_claims(broker: Broker, pool: str) -> None:
    handles = [workshop.ids.put(number, tell="me") for number in range(7)]
    drained(broker, pool)
    assert [handle.result(timeout="20s") for handle in handles] == [f"{handle.id} [{number}]" for number, handle in enumerate(handles)]


@pytest.mark.parametrize("pool", POOLS)
def test_a_timeout_ends_the_call_for_all(broker: Broker, pool: str) -> None:
    handles = [*(workshop.slow_batch.map(range(3)) if pool != "async" else []), *workshop.slow_abatch.map(range(3))]
    drained(broker, pool)
    states = {(entry.state, entry.error, entry.history[-1].outcome) for handle in handles if (entry := handle.entry())}
    assert states == {(State.DEAD, "timed out after 300ms", "timeout")}


def test_the_process_that_ends_under_a_batch_costs_each_a_try_and_then_they_go_alone(broker: Broker) -> None:
    handles = [workshop.sums.options(headers={"n": str(a)}).put(a, 1) for a in (1, 666, 2)]
    policy, workshop.sums.retry = workshop.sums.retry, None
    try:
        drained(broker, "process", retry=None, concurrency=1)
        for _ in range(6):
            until(lambda: not any(entry.state is State.RUNNING for handle in handles if (entry := handle.entry())))
            broker.queue("default").requeue(state="delayed")
            drained(broker, "process", concurrency=1)
    finally:
        workshop.sums.retry = policy
    entries = [handle.entry() for handle in handles]
    assert entries[1] is not None and entries[1].state is State.DEAD
    assert "its process ended" in entries[1].error


@pytest.mark.parametrize("pool", POOLS)
def test_a_stop_gives_back_a_batch_uncounted(broker: Broker, start: Start, pool: str) -> None:
    handles = workshop.slow_abatch.map(range(9))
    workshop.slow_abatch.timeout, limit = None, workshop.slow_abatch.timeout
    try:
        running = start(broker.link, broker.tasks, ["default"], pool=pool, concurrency=1)
        until(lambda: len(runs := running.worker._pool.running()) == 4 and (pool != "thread" or runs[0].stop))
        running.worker.stop()
        running.worker.stop()
        assert running.end() == 0
    finally:
        workshop.slow_abatch.timeout = limit
    entries = [handle.entry() for handle in handles]
    if pool == "process":  # its children know of the timeout, but leave it to the worker
        assert {entry.state for entry in entries if entry} == {State.READY}
    assert [(entry.state, entry.attempts) for entry in entries if entry] == [(State.READY, 0)] * 9


def test_one_that_is_called_back_does_not_stop_the_others(memory: Link, start: Start) -> None:
    tasks = Tasks(memory)
    gate, seen = threading.Event(), list[int]()

    @tasks.task(batch=3, batch_wait=5, keep="1h")
    def waits(numbers: list[int]) -> list[int]:
        seen.extend(numbers)
        assert gate.wait(40)
        return numbers

    handles = waits.map(range(3))
    running = start(memory, tasks, ["default"], concurrency=1)
    until(lambda: len(seen) == 3)
    assert handles[1].cancel()
    until(lambda: any(run.verdict for run in running.worker.running))
    gate.set()
    assert [handles[0].result(timeout="20s"), handles[2].result(timeout="20s")] == [0, 2]
    until(lambda: handles[1].state() is None)


def test_a_batch_that_is_full_does_not_wait(memory: Link, start: Start) -> None:
    tasks = Tasks(memory)
    sizes: list[int] = []

    @tasks.task(batch=4, batch_wait=60)
    def takes(numbers: list[int]) -> None:
        sizes.append(len(numbers))

    running = start(memory, tasks, ["default"], concurrency=1)
    takes.map(range(8))
    until(lambda: running.worker.counters.done == 8)
    assert sizes == [4, 4]


def test_a_batch_is_claimed_whole_though_there_are_fewer_slots(memory: Link, start: Start) -> None:
    tasks = Tasks(memory)
    sizes: list[int] = []

    @tasks.task(batch=200, batch_wait=60)
    def takes(numbers: list[int]) -> None:
        sizes.append(len(numbers))

    takes.map(range(200))
    running = start(memory, tasks, ["default"], concurrency=2)
    until(lambda: running.worker.counters.done == 200)
    assert sizes == [200]


def test_what_a_job_carries_is_checked_one_by_one(memory: Link) -> None:
    tasks = Tasks(memory)

    @tasks.task(batch=4)
    def pairs(items: list[tuple[int, str]]) -> None: ...

    @tasks.task(batch=4)
    def words(items: list[str]) -> list[int | None]:
        return [None] * len(items)

    pairs.put(1, "x")
    words.put("x")
    with pytest.raises(BadBody, match="pairs"):
        pairs.put("x", "y")
    with pytest.raises(TypeError):
        pairs.put(1)
    with pytest.raises(BadBody, match="words"):
        words.put(3)
    assert words(["a", "b"]) == [None, None], "a plain call is the function's own"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"batch": 0}, "whole number"),
        ({"batch": True}, "whole number"),
        ({"batch_wait": 1}, "batch="),
        ({"batch": 2, "batch_wait": -1}, "batch_wait"),
    ],
)
def test_options_that_make_no_sense(memory: Link, options: dict[str, Any], match: str) -> None:
    with pytest.raises(BadValue, match=match):
        Tasks(memory).task(name="takes", **options)(lambda items: None)


def test_the_function_must_take_one_list(memory: Link) -> None:
    tasks = Tasks(memory)

    @tasks.task(batch=2)
    def two(items: list[int], more: int) -> None: ...

    with pytest.raises(BadValue, match="one argument"):
        two.put(1)
    assert TaskClaim.__name__ == "TaskClaim"
