"""Hooks: each fires once, in the order of the guide; one that raises is told of and harms nothing, but for the one that may refuse."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ropeway
from ropeway import BadValue, Broker, Conflict, Discard, NotAllowed, Retry, Tasks
from ropeway.hooks import HOOKS, OF_WORKERS, Ended
from ropeway.tasks import Put
from worker.conftest import Running, until

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "hooks.md"


class Log:
    """What was called, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on(self, registry: Any, *names: str, mark: str = "") -> None:
        """Hook to these, by their own names."""
        for name in names:
            count = HOOKS[name][0].count(",") + 1
            hooks: dict[int, Callable[..., None]] = {
                1: lambda one, name=name: self.seen.append(name + mark),
                2: lambda one, two, name=name: self.seen.append(name + mark),
            }
            registry.hook(name)(hooks[count])


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_good_job_fires_each_of_its_hooks_once_and_in_order(broker: Broker, log: Log) -> None:
    log.on(broker.tasks, *HOOKS)

    @broker.task
    def fine() -> None:
        log.seen.append("run")

    fine.put()
    assert broker.worker("default", max_jobs=1).run() == 0
    assert log.seen == [
        *("before_put", "after_put"),
        *("worker_start", "process_start", "before_run", "run", "after_run", "process_stop", "worker_stop"),
    ]


def test_a_job_that_fails_for_ever_runs_as_often_as_it_may_and_fails_once(broker: Broker, log: Log) -> None:
    """Row P9."""
    log.on(broker.tasks, *(HOOKS.keys() - OF_WORKERS))
    failures: list[Ended] = []
    broker.tasks.hook("on_failure")(failures.append)

    @broker.task(retry=Retry(3, base=0))
    def bad(n: int) -> None:
        log.seen.append("run")
        raise OSError("no such luck")

    handle = bad.put(1)
    assert broker.worker("default", drain=True).run() == 10
    assert [name for name in log.seen[2:] if "run" in name] == ["before_run", "run", "after_run"] * 3
    assert [name for name in log.seen[2:] if "run" not in name] == ["on_retry", "on_retry", "on_failure"]
    assert [(one.job.id, one.attempt, one.error, one.delay) for one in failures] == [(handle.id, 3, "OSError: no such luck", 0.0)]
    assert "no such luck" in failures[0].traceback
    entry = handle.entry()
    assert entry is not None
    assert (entry.state, [attempt.error for attempt in entry.history]) == ("dead", ["OSError: no such luck"] * 3)


def test_what_never_ran_fails_as_well(broker: Broker, log: Log) -> None:
    log.on(broker.tasks, "before_run", "on_failure")
    broker.queue("default").put_encoded(b"{}", "application/json", task="unknown")
    assert broker.worker("default", drain=True).run() == 10
    assert log.seen == ["on_failure"]


def test_hooks_of_a_task_come_after_those_of_all(broker: Broker, log: Log) -> None:
    tasks = Tasks()
    broker.include(tasks)

    @tasks.task
    def one() -> None: ...

    @broker.task
    def other() -> None: ...

    names = ("before_put", "after_put", "before_run", "after_run")
    log.on(one, *names, mark=" of one")
    log.on(tasks, *names, "worker_start", mark=" of its registry")
    log.on(broker.tasks, *names, "worker_start", mark=" of all")
    one.put()
    other.put()
    broker.worker("default", drain=True, concurrency=1).run()
    of_one = [f"{name} {whose}" for name in names for whose in ("of all", "of its registry", "of one")]
    of_other = [f"{name} of all" for name in names]
    assert log.seen == [
        *of_one[:6], *of_other[:2], "worker_start of all", "worker_start of its registry", *of_one[6:], *of_other[2:]
    ]  # fmt: skip


def test_after_run_sees_how_it_ended(broker: Broker) -> None:
    seen: list[Any] = []

    @broker.task
    def fine() -> str:
        return "well"

    @broker.task
    def discarded() -> None:
        raise Discard("no such user")

    for task in (fine, discarded):
        task.hook("after_run")(lambda claim, error: seen.append((claim.job.task, error and str(error))))
        task.put()
    broker.worker("default", drain=True, concurrency=1).run()
    assert seen == [("fine", None), ("discarded", "no such user")]


def test_a_hook_sees_and_changes_what_is_put(broker: Broker) -> None:
    seen: list[Any] = []

    @broker.task
    def add(a: int, b: int = 2) -> None: ...

    @add.hook("before_put")
    def stamp(put: Put) -> None:
        seen.append((put.task.name, put.arguments(), put.tx))
        for job in put.jobs:
            job.headers["tenant"] = "7"

    add.hook("after_put")(lambda put, handles: seen.append([handle.id for handle in handles]))
    handles = add.options(headers={"a": "b"}).map([1, 2])
    assert seen == [("add", [{"a": 1, "b": 2}, {"a": 2, "b": 2}], None), [handle.id for handle in handles]]
    assert [entry.job.headers for entry in broker.queue("default").browse()] == [{"a": "b", "tenant": "7"}] * 2
    add.put(3)
    assert [entry.job.headers for entry in broker.queue("default").browse()][2] == {"tenant": "7"}


@pytest.mark.parametrize("how", ["put", "aput", "map", "options"])
def test_a_refusing_hook_keeps_the_job_out(broker: Broker, how: str) -> None:
    """Row Q5."""

    @broker.task
    def f(n: int) -> None: ...

    after: list[Any] = []
    f.hook("after_put")(lambda put, handles: after.append(put))
    f.hook("before_put")(lambda put: put.jobs[0].headers.get("ok") == "yes")
    puts: dict[str, Callable[[], Any]] = {
        "put": lambda: f.put(1),
        "aput": lambda: asyncio.run(f.aput(1)),
        "map": lambda: f.map([1, 2]),
        "options": lambda: f.options(priority=1).put(1),
    }
    with pytest.raises(NotAllowed, match=r"task f: the hook .*lambda.* keeps it out; nothing was stored"):
        puts[how]()
    assert broker.counts(["default"])["default"].ready == 0
    assert after == []
    assert f.options(headers={"ok": "yes"}).put(1).created


def test_what_a_refusing_hook_raises_goes_to_the_caller(broker: Broker) -> None:
    @broker.task
    def f() -> None: ...

    @broker.tasks.hook("before_put")
    def refuse(put: Put) -> None:
        raise PermissionError("not on Sundays")

    with pytest.raises(PermissionError, match="Sundays"):
        f.put()
    assert broker.counts(["default"])["default"].ready == 0


def test_a_hook_that_raises_is_told_and_harms_nothing(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*given: Any) -> None:
        raise ZeroDivisionError("of the hook")

    for name in HOOKS.keys() - {"before_put"}:
        broker.tasks.hook(name)(broken)
    ran: list[int] = []

    @broker.task(keep=60, retry=1)
    def f(n: int) -> int:
        ran.append(n)
        return 10 // n

    good, bad = f.put(1), f.put(0)
    with caplog.at_level(logging.WARNING, "ropeway.hooks"):
        assert broker.worker("default", drain=True, concurrency=1).run() == 10
    assert (ran, good.result(0), bad.state()) == ([1, 0], 10, "dead")
    for name in ("after_put", "worker_start", "process_start", "before_run", "after_run", "on_failure", "worker_stop"):
        assert f"({name}) failed, and was passed over: ZeroDivisionError: of the hook" in caplog.text or name == "after_put"


def test_a_failed_put_has_no_after(broker: Broker, log: Log) -> None:
    log.on(broker.tasks, "before_put", "after_put")

    @broker.task(unique="x")
    def f() -> None: ...

    f.put()
    with pytest.raises(Conflict):
        f.put()
    assert log.seen == ["before_put", "after_put", "before_put"]


def test_idle_is_told_once_each_time_the_work_runs_out(broker: Broker, start: Callable[..., Running]) -> None:
    idle: list[Any] = []
    told = threading.Event()

    @broker.tasks.hook("idle")
    def nothing(worker: Any) -> None:
        idle.append(worker)
        told.set()

    @broker.task(keep=60)
    def f() -> None: ...

    running = start(broker.link, broker.tasks, ["default"])
    for count in (1, 2, 3):
        assert told.wait(60)
        assert len(idle) == count
        told.clear()
        f.put().wait("60s")
    running.worker.stop()
    running.end()
    assert set(idle) == {running.worker}


def test_on_lost_tells_of_a_run_that_was_not_recorded(broker: Broker, start: Callable[..., Running], log: Log) -> None:
    log.on(broker.tasks, "after_run", "on_lost", "on_failure", "on_retry")
    begun, go = threading.Event(), threading.Event()

    @broker.task
    def slow() -> None:
        begun.set()
        assert go.wait(60)

    slow.put()
    running = start(broker.link, broker.tasks, ["default"])
    assert begun.wait(60)
    receipt = running.worker.running[0].lent.receipt
    assert broker.store.nack([ropeway.store.Handback(receipt, delay=3600)]) == [True]  # as after a lease that ran out
    go.set()
    until(lambda: "on_lost" in log.seen)
    running.worker.stop()
    running.end()
    assert log.seen == ["after_run", "on_lost"]


def test_slow_hooks_keep_no_job_waiting_and_are_waited_for_at_the_end(broker: Broker) -> None:
    gate, called = threading.Event(), []

    @broker.task(retry=1)
    def bad(n: int) -> None:
        if n == 4:
            gate.set()
        raise OSError

    @bad.hook("on_failure")
    def slow(ended: Ended) -> None:
        assert gate.wait(60)  # set by the last job: it ran, though the hook of the first goes on
        called.append(ended.job.id)

    ids = [handle.id for handle in bad.map(range(5))]
    assert broker.worker("default", drain=True, concurrency=1).run() == 10
    assert called == ids


def test_hooks_are_checked_where_they_are_registered(broker: Broker) -> None:
    @broker.task
    def f() -> None: ...

    async def awaited(put: Any) -> None: ...

    wrong: list[tuple[Any, str, Any, str]] = [
        (broker.tasks, "on_success", print, "there is no hook 'on_success'; there are: worker_start"),
        (broker.tasks, "before_put", awaited, "plain function"),
        (broker.tasks, "before_put", 42, "plain function"),
        (broker.tasks, "after_put", lambda put: None, r"must take \(put, handles\)"),
    ]
    for whose, name, function, match in wrong:
        with pytest.raises(BadValue, match=match):
            whose.hook(name)(function)
    with pytest.raises(BadValue, match="about a worker"):
        f.hook("idle")


def test_the_guide_draws_the_order_once_and_names_them_all() -> None:
    page = GUIDE.read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", page, re.MULTILINE)
    assert rows == [(name, given) for name, (given, _) in HOOKS.items()]
