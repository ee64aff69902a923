"""Inline mode (row Q9): a task runs where it is put, through the store as ever, and what it raises the put raises."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import ropeway
from engines import engines, place
from ropeway import Broker, Discard, Retry, RetryLater, Tasks, current_claim


@pytest.mark.parametrize("engine", engines())
def test_the_job_runs_in_the_caller_at_put(engine: str, tmp_path: Path) -> None:
    with place(engine, tmp_path) as url, ropeway.connect(url, config=False) as broker:
        tasks = Tasks()
        broker.include(tasks)
        ran: list[Any] = []

        @tasks.task(keep=60)
        def add(a: int, b: int = 2) -> int:
            claim = current_claim()
            assert claim is not None
            ran.append((threading.current_thread(), claim.id, claim.attempt))
            return a + b

        with broker.inline():
            handle = add.put(1)
            assert ran == [(threading.current_thread(), handle.id, 1)]
            assert handle.result(0) == 3
            assert [h.result(0) for h in add.map([1, 2])] == [3, 4]
        assert add.put(1).state() == "ready"  # only inside


def test_what_it_raises_the_put_raises_and_the_store_knows(broker: Broker) -> None:
    @broker.task(retry=Retry(2, base="1h", jitter=0))
    def bad(n: int) -> None:
        raise ZeroDivisionError("of the job")

    @broker.task
    def steer(how: str) -> None:
        raise RetryLater("1h") if how == "later" else Discard("no such user")

    with broker.inline():
        with pytest.raises(ZeroDivisionError, match="of the job"):
            bad.put(1)
        assert steer.put("later").state() == "delayed"
        with pytest.raises(Discard, match="no such user"):
            steer.put("discard")
        with pytest.raises(ZeroDivisionError):
            bad.map([1, 2])
    entries = broker.queue("default").browse()
    assert [(entry.state, entry.error) for entry in entries if entry.job.task == "bad"] == [
        ("delayed", "ZeroDivisionError: of the job")
    ] * 3
    assert [entry.error for entry in entries if entry.state == "dead"] == ["no such user"]


def test_arguments_travel_as_bytes(broker: Broker) -> None:
    """Eager modes that hand over the objects hide what does not survive the way."""

    @broker.task(keep=60)
    def same(given: list[int]) -> Any:
        given.append(1)
        return tuple(given)

    mine = [0]
    with broker.inline():
        assert same.put(mine).result(0) == [0, 1]
    assert mine == [0]


def test_what_is_not_due_waits(broker: Broker) -> None:
    ran: list[int] = []

    @broker.task(lane="one", unique="{n}")
    def f(n: int) -> None:
        ran.append(n)
        if n == 1:
            assert f.put(2).state() == "ready"  # its lane is held by us

    with broker.inline():
        assert f.options(delay=60).put(5).state() == "delayed"
        with pytest.raises(ropeway.Conflict):
            f.put(5)
        assert f.options(on_conflict="keep").put(5).created is False
        f.put(1)
    assert ran == [1]


def test_jobs_that_put_jobs(broker: Broker) -> None:
    ran: list[int] = []

    @broker.task
    def countdown(n: int) -> None:
        ran.append(n)
        if n:
            countdown.put(n - 1)
        ran.append(-n)

    with broker.inline():
        countdown.put(2)
    assert ran == [2, 1, 0, 0, -1, -2]
    assert broker.counts()["default"].running == 0


def test_awaited_puts_and_tasks(broker: Broker) -> None:
    @broker.task(keep=60)
    async def hello(name: str) -> str:
        await asyncio.sleep(0)
        return f"hello {name}"

    @broker.task(keep=60)
    def plain(name: str) -> str:
        return f"plain {name}"

    async def main() -> None:
        assert await (await hello.aput("you")).aresult("60s") == "hello you"
        assert await (await plain.aput("you")).aresult("60s") == "plain you"

    with broker.inline():
        asyncio.run(main())
        assert hello.put("me").result(0) == "hello me"


def test_calls_get_their_answer(broker: Broker) -> None:
    @broker.task
    def double(n: int) -> int:
        return 2 * n

    @broker.task(retry=1)
    def bad() -> None:
        raise LookupError("nobody there")

    with broker.inline():
        assert double.call(21, timeout="60s") == 42
        assert asyncio.run(double.acall(4, timeout="60s")) == 8
        with pytest.raises(LookupError, match="nobody there"):
            bad.call(timeout="60s")


def test_hooks_and_middleware_go_around_as_ever(broker: Broker) -> None:
    seen: list[str] = []
    for name in ("before_put", "before_run", "on_failure"):
        broker.tasks.hook(name)(lambda given, name=name: seen.append(name))
    for name in ("after_put", "after_run"):
        broker.tasks.hook(name)(lambda given, other, name=name: seen.append(name))
    broker.tasks.use(lambda claim, call_next: seen.append("middleware") or call_next(claim))

    @broker.task(retry=1)
    def bad() -> None:
        raise OSError

    with broker.inline(), pytest.raises(OSError):
        bad.put()
    assert seen == ["before_put", "after_put", "before_run", "middleware", "after_run", "on_failure"]


class Stop(BaseException):
    """As KeyboardInterrupt, or the end of a test by pytest.fail."""


def test_what_is_not_the_jobs_to_raise_goes_on(broker: Broker) -> None:
    @broker.task
    def f() -> None:
        raise Stop

    with broker.inline(), pytest.raises(Stop):
        f.put()
    assert broker.counts()["default"].running == 0


def test_a_timeout_is_an_error_of_ours(broker: Broker) -> None:
    @broker.task(timeout=0.05, retry=1)
    async def slow() -> None:
        await asyncio.sleep(3600)

    with broker.inline(), pytest.raises((ropeway.Timeout, ropeway.RemoteError), match="timed out"):
        slow.put()
