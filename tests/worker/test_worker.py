"""The whole worker, in threads, on each engine: what becomes of jobs, and what they know of themselves."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway.errors import BadValue, Discard, RemoteError, RetryLater
from ropeway.events import Event
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.tasks import TaskClaim, Tasks, current_claim
from ropeway.worker import Worker

from .conftest import Running, until

Start = Callable[..., Running]
FAST = Retry(3, base=0.01)


def test_jobs_are_run_and_their_results_kept(link: Link, tasks: Tasks, start: Start) -> None:
    @tasks.task(keep="1h")
    def add(a: int, b: int = 1) -> int:
        return a + b

    @tasks.task(keep="1h")
    async def later(a: int) -> str:
        await asyncio.sleep(0.001)
        return f"{a}"

    handles, others = add.map(range(200)), later.map(range(20))
    running = start(link, tasks, ["default"], drain=True)
    assert running.end() == 0
    assert list(handles.results("5s")) == [n + 1 for n in range(200)]
    assert list(others.results("5s")) == [str(n) for n in range(20)]
    assert running.worker.counters.done == 220
    assert running.worker.counters.ran == 220


def test_every_job_runs_once_with_many_slots_and_workers(link: Link, tasks: Tasks, start: Start) -> None:
    seen: list[int] = []

    @tasks.task
    def note(number: int) -> None:
        seen.append(number)

    note.map(range(3000))
    workers = [start(link, tasks, ["default"], concurrency=4, drain=True) for _ in range(2)]
    assert [running.end() for running in workers] == [0, 0]
    assert sorted(seen) == list(range(3000))
    assert sum(running.worker.counters.lost for running in workers) == 0


def test_failures_are_retried_kept_in_the_history_and_buried(link: Link, tasks: Tasks, start: Start) -> None:
    @tasks.task(retry=FAST)
    def fails(text: str) -> None:
        raise ValueError(text)

    handle = fails.put("smtp busy")
    running = start(link, tasks, ["default"], drain=True)
    assert running.end() == 10, "some of the jobs it ran ended dead"
    entry = handle.entry()
    assert entry is not None
    assert (entry.state, entry.attempts, entry.error) == (State.DEAD, 3, "ValueError: smtp busy")
    assert [(a.number, a.outcome) for a in entry.history] == [(1, "failed"), (2, "failed"), (3, "failed")]
    trace = entry.history[-1].traceback
    assert trace.startswith("Traceback (most recent call last):\n  File ")
    assert "worker/execution.py" not in trace
    assert "raise ValueError(text)\nValueError: smtp busy" in trace.replace("    ", "")
    counters = running.worker.counters
    assert (counters.failed, counters.retried, counters.buried, counters.ran) == (3, 2, 1, 3)
    with pytest.raises(RemoteError, match="smtp busy"):
        fails.options(keep="1h").put("x")._outcome(entry)  # type: ignore[arg-type]


def test_steering(link: Link, tasks: Tasks, start: Start) -> None:
    runs: Counter[str] = Counter()

    @tasks.task(retry=FAST)
    def steer(how: str) -> None:
        runs[how] += 1
        claim = current_claim()
        assert claim is not None
        if how == "later" and runs[how] < 3:
            assert claim.attempt == 1, "a snooze does not count"
            raise RetryLater(0.01)
        if how == "discard":
            raise Discard("no such user")
        if how == "exit":
            raise SystemExit(3)

    handles = {how: steer.put(how) for how in ("later", "discard", "exit", "well")}
    running = start(link, tasks, ["default"])
    until(lambda: running.worker.counters.done == 2 and running.worker.counters.buried == 2)
    assert runs == {"later": 3, "discard": 1, "exit": 1, "well": 1}  # SystemExit is no Exception: not worth a retry
    discarded = handles["discard"].entry()
    assert discarded is not None
    assert (discarded.error, discarded.history[-1].outcome) == ("no such user", "discarded")


def test_what_is_not_registered_does_not_run(link: Link, tasks: Tasks, start: Start) -> None:
    @tasks.task
    def known(a: int) -> None: ...

    queue = Queue(link, "default")
    unknown = queue.put_encoded(b"[]", "application/json", task="os.system")
    nameless = queue.put(b"x")
    wrong = queue.put_encoded(b'{"a": "x"}', "application/json", task="known")
    assert start(link, tasks, ["default"], drain=True).end() == 10
    errors = [handle.entry().error for handle in (unknown, nameless, wrong)]  # type: ignore[union-attr]
    assert errors[0].startswith("no task 'os.system' is registered with this worker; it was not run")
    assert errors[1].startswith("the job names no task")
    assert "task known: the arguments do not fit" in errors[2]


def test_middleware_goes_around_every_task(link: Link, tasks: Tasks, start: Start) -> None:
    calls: list[Any] = []

    @tasks.use
    def outer(claim: TaskClaim, call_next: Callable[[TaskClaim], Any]) -> Any:
        calls.append(("outer", claim.job.task))
        try:
            return call_next(claim) + 1
        finally:
            calls.append(("left", claim.job.task))

    @tasks.use
    def inner(claim: TaskClaim, call_next: Callable[[TaskClaim], Any]) -> Any:
        calls.append("inner")
        if claim.headers.get("refuse"):
            raise Discard("refused")
        assert current_claim() is claim
        return call_next(claim) * 10

    @tasks.task(keep=60)
    def one() -> int:
        calls.append("one")
        return 1

    @tasks.task(keep=60)
    async def two() -> int:
        return 2

    handles = [one.put(), two.put()]
    refused = one.options(headers={"refuse": "1"}).put()
    assert start(link, tasks, ["default"], drain=True, concurrency=1).end() == 10
    assert [handle.result(5) for handle in handles] == [11, 21]
    assert calls[:4] == [("outer", "one"), "inner", "one", ("left", "one")]
    assert refused.state() is State.DEAD


@pytest.mark.parametrize("bad", [lambda claim: None, 42])
def test_middleware_is_checked(memory: Link, bad: Any) -> None:
    with pytest.raises(BadValue, match="no middleware"):
        Tasks(memory).use(bad)


def test_the_current_claim(link: Link, tasks: Tasks, start: Start) -> None:
    seen: dict[str, Any] = {}

    @tasks.task(keep=60)
    def look(a: int) -> None:
        claim = current_claim()
        assert claim is not None
        assert claim is current_claim()
        seen["plain"] = (claim.id, claim.queue, claim.attempt, dict(claim.headers), claim.body, claim.stopping, bool(claim.lost))
        seen["path"] = Path(claim.path()).read_bytes()
        seen["file"] = claim.path()
        before = claim.until
        claim.extend("5m")
        assert claim.until > before + 200
        claim.progress({"at": 1})
        seen["claim"] = claim
        for verb in (claim.ack, claim.nack, claim.bury):
            with pytest.raises(TypeError, match="the worker settles"):
                verb()

    @tasks.task
    async def alook() -> None:
        claim = current_claim()
        assert claim is not None
        seen["async"] = claim.id
        await claim.aprogress(2)

    handle = look.options(headers={"k": "v"}).put(1)
    other = alook.put()
    assert start(link, tasks, ["default"], drain=True).end() == 0
    assert seen["plain"] == (handle.id, "default", 1, {"k": "v"}, b'{"a":1}', False, False)
    assert seen["path"] == b'{"a":1}'
    assert seen["async"] == other.id
    assert handle.progress() == {"at": 1}
    assert other.progress() == 2
    if link.url == "memory:":
        assert not Path(seen["file"]).exists(), "a temporary body is gone after the run"
    with pytest.raises(Exception, match="changed nothing"):
        seen["claim"].extend()


def test_what_one_job_sets_in_its_context_the_next_never_sees(link: Link, tasks: Tasks, start: Start) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="clean")
    seen: list[str] = []

    @tasks.task
    def plain() -> None:
        seen.append(var.get())
        var.set("dirty")

    @tasks.task
    async def coroutine() -> None:
        seen.append(var.get())
        var.set("dirty")

    for _ in range(5):
        plain.put()
        coroutine.put()
    assert start(link, tasks, ["default"], drain=True, concurrency=1).end() == 0
    assert seen == ["clean"] * 10


def test_events(link: Link, tasks: Tasks, start: Start) -> None:
    events: list[Event] = []
    link.on(events.append)

    @tasks.task(retry=FAST)
    def fails() -> None:
        raise ValueError("no")

    fails.put()
    assert start(link, tasks, ["default"], drain=True).end() == 10
    own = [(event.name, event.count) for event in events if event.name in ("started", "ended", "retried", "buried")]
    assert Counter(own) == {("started", 1): 3, ("ended", 1): 3, ("retried", 1): 2, ("buried", 1): 1}
    (buried,) = [event for event in events if event.name == "buried"]
    assert (buried.queue, buried.error, len(buried.ids)) == ("default", "ValueError: no", 1)


def test_a_listener_that_raises_harms_nothing(link: Link, tasks: Tasks, start: Start) -> None:
    def bad(event: Event) -> None:
        raise RuntimeError(event.name)

    @tasks.task
    def noop() -> None: ...

    link.on(bad)
    noop.put()
    assert start(link, tasks, ["default"], drain=True).end() == 0


@pytest.mark.parametrize(
    "options",
    [{"concurrency": 0}, {"concurrency": True}, {"max_jobs": 0}, {"lease": 0.1}, {"lease": "nonsense"}, {"pool": "fibre"}, {"grace": -1}],
)
def test_options_are_checked(memory: Link, options: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        Worker(memory, Tasks(memory), ["default"], **options)


def test_patterns_and_tasks_are_checked(memory: Link) -> None:
    for patterns in ([], ["!low"], ["a b"]):
        with pytest.raises(BadValue):
            Worker(memory, Tasks(memory), patterns)
    with pytest.raises(BadValue, match="needs tasks"):
        Worker(memory, None, ["default"])


def test_a_worker_that_fails_gives_back_what_it_has_not_started(memory: Link, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of an engine that is no StoreError ends the worker loudly, not silently."""
    tasks = Tasks(memory)

    @tasks.task
    def noop(number: int) -> None: ...

    noop.map(range(3))
    running = start(memory, tasks, ["default"])
    until(lambda: running.worker.counters.done == 3)

    def broken(*args: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(memory.store, "wait", broken)
    memory.store.wake()
    with pytest.raises(ZeroDivisionError):
        running.end()
