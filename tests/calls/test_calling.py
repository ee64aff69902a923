"""A call and its answer, on every engine: results, errors as what they were, deadlines, and calls that do not mix."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.calls.mailroom import mailroom
from ropeway.calls.wire import PREFIX
from ropeway.errors import BadBody, BadValue, Conflict, RemoteError, RopewayError, Stopped, StoreError, Timeout
from ropeway.job import State
from ropeway.link import Link
from ropeway.store import Query
from ropeway.tasks import Tasks
from ropeway.worker import Worker

from .conftest import LONG, until
from .functions import Missing

pytestmark = pytest.mark.slow

Serve = Callable[..., Worker]


def task(tasks: Tasks, name: str) -> Any:
    found = tasks.get(name)
    assert found is not None
    return found


def test_a_call_is_answered(url: str, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    assert task(tasks, "add").call(1, b=2, timeout=LONG) == 3
    assert task(tasks, "add").options(timeout=LONG).call(1) == 1
    assert task(tasks, "nothing").call(timeout="1m") is None
    assert task(tasks, "pair").call(7, timeout=LONG) == (7, "7")
    assert task(tasks, "echo").call("an answer", timeout=LONG) == "an answer"
    assert task(tasks, "large").call(100_000, timeout=LONG) == "x" * 100_000


def test_the_error_is_what_it_was(url: str, link: Link, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    fail = task(tasks, "fail").options(timeout=LONG)
    with pytest.raises(ValueError, match="no such number") as caught:
        fail.call("value")
    error = caught.value
    assert isinstance(error, RemoteError)
    assert (error.remote_type, error.message) == ("ValueError", "no such number")
    assert 'raise ValueError("no such number")' in error.traceback
    assert "worker" in str(error)  # where it was
    with pytest.raises(KeyError):
        fail.call("key")
    with pytest.raises(UnicodeDecodeError):
        fail.call("unicode")
    with pytest.raises(LookupError) as base:  # what it is derived from is known, if it is not itself
        fail.call("missing")
    assert base.value.remote_type.endswith("functions.Missing")  # type: ignore[attr-defined]
    with pytest.raises(RemoteError) as odd:
        fail.call("odd")
    assert type(odd.value) is RemoteError
    dead = Query(queues=("default",), states=frozenset({State.DEAD}))
    until(lambda: len(link.store.browse(dead)) == 5)  # each is there to be looked at, at once or a moment after the answer


def test_an_error_of_ones_own_is_caught_once_it_is_named(memory: str, serve: Serve) -> None:
    from .functions import register

    serve(memory)
    link = Link(memory)
    tasks = register(Tasks(link))
    tasks.errors(Missing)
    with pytest.raises(Missing, match="it is not in the box"):
        task(tasks, "fail").call("missing", timeout=LONG)
    handle = task(tasks, "fail").options(keep="1h").put("missing")
    with pytest.raises(Missing):
        handle.result(LONG)
    link.close()


def test_a_task_that_nobody_knows(url: str, link: Link, tasks: Tasks, serve: Serve) -> None:
    serve(url, lambda tasks: tasks)
    with pytest.raises(RemoteError, match="no task 'add' is registered") as caught:
        task(tasks, "add").call(1, timeout=LONG)
    assert caught.value.remote_type == "UnknownTask"
    [dead] = until(lambda: link.store.browse(Query(queues=("default",), states=frozenset({State.DEAD}))))
    assert dead.job.task == "add"
    assert "'add'" in dead.error


def test_calls_do_not_mix(url: str, tasks: Tasks, serve: Serve) -> None:
    """From many threads and an event loop of one connection at once."""
    serve(url)
    add, wrong = task(tasks, "add"), []

    def caller(first: int) -> None:
        for n in range(first, first + 10):
            try:
                if (answer := add.call(n, n, timeout=LONG)) != 2 * n:
                    wrong.append((n, answer))
            except RopewayError as error:
                wrong.append((n, error))

    async def callers() -> list[int]:
        return await asyncio.gather(*(add.acall(n, 1000, timeout=LONG) for n in range(40)))

    threads = [threading.Thread(target=caller, args=(100 * n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    assert asyncio.run(callers()) == [n + 1000 for n in range(40)]
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert not wrong
    calls = [add.begin(n, timeout=LONG) for n in range(5)]
    assert [call.result() for call in reversed(calls)] == [4, 3, 2, 1, 0]


def test_nobody_answers_and_the_job_is_never_run(url: str, link: Link, tasks: Tasks, serve: Serve, tmp_path: Path) -> None:
    late = tmp_path / "late"
    with pytest.raises(Timeout, match="No worker holds it") as caught:
        task(tasks, "second_time").call(str(late), timeout="50ms")
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(Timeout):
        asyncio.run(task(tasks, "second_time").acall(str(late), timeout="50ms"))
    assert link.store.counts(["default"])["default"].ready == 0
    serve(url)
    assert task(tasks, "add").call(1, timeout=LONG) == 1  # what came after was run
    assert not late.exists()


def test_a_late_answer_is_dropped_and_counted(url: str, link: Link, tasks: Tasks, serve: Serve) -> None:
    call = task(tasks, "add").begin(1, timeout=LONG)
    call.forget()
    serve(url)
    deadline = time.monotonic() + LONG
    while not mailroom(link).dropped:  # whoever waits for an answer takes in all that have come; nobody says which comes first
        assert task(tasks, "add").call(2, timeout=LONG) == 2
        assert time.monotonic() < deadline


def test_a_run_that_is_tried_again_answers_at_last(url: str, tasks: Tasks, serve: Serve, tmp_path: Path) -> None:
    serve(url)
    assert task(tasks, "second_time").call(str(tmp_path / "tries"), timeout=LONG) == 1


def test_a_next_try_after_the_deadline_is_not_waited_for(url: str, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    with pytest.raises(ValueError, match="hopeless"):
        task(tasks, "never").call("hopeless", timeout=LONG)  # the next try would be in an hour


def test_what_cannot_be_carried(url: str, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    with pytest.raises(RemoteError, match="its result cannot be carried"):
        task(tasks, "object_result").call(timeout=LONG)
    with pytest.raises(BadBody, match="do not fit"):
        task(tasks, "add").call("one", timeout=LONG)
    with pytest.raises(TypeError):
        task(tasks, "add").call(1, 2, 3, timeout=LONG)


def test_a_queue_that_refuses_says_so_at_once(url: str, link: Link, tasks: Tasks) -> None:
    link.store.pause(("default",), put=True, reason="closing time")
    with pytest.raises(Stopped, match="closing time"):
        task(tasks, "add").call(1, timeout=LONG)
    with pytest.raises(Stopped, match="closing time"):
        asyncio.run(task(tasks, "add").acall(1, timeout=LONG))


def test_a_key_that_is_taken(url: str, link: Link, tasks: Tasks) -> None:
    task(tasks, "add").options(key="one").put(1)
    with pytest.raises(Conflict):
        task(tasks, "add").options(key="one", timeout=LONG).call(1)


def test_called_by_name(url: str, link: Link, serve: Serve) -> None:
    serve(url)
    with Broker(Link(url), config=False) as broker:
        assert broker.call("add", [1, 2], timeout=LONG) == 3
        assert broker.call("add", kwargs={"a": 1, "b": 5}, timeout=LONG) == 6
        assert broker.call("add", (1,), {"b": 5}, queue="default", timeout=LONG) == 6
        assert broker.call("nothing", timeout=LONG) is None
        with pytest.raises(RemoteError, match="do not fit"):
            broker.call("add", ["one"], timeout=LONG)
        with pytest.raises(RemoteError, match="nobody"):
            broker.call("nobody", timeout=LONG)
        with pytest.raises(BadBody, match="nothing was put"):
            broker.call("add", [object()])
        with pytest.raises(TypeError, match="no option 'delay'"):
            broker.call("add", [1], delay=1)  # type: ignore[call-arg]
        assert asyncio.run(broker.acall("add", [4], timeout=LONG)) == 4


def test_its_queue_leaves_with_the_connection(url: str, serve: Serve) -> None:
    from .functions import register

    serve(url)
    link, looker = Link(url), Link(url)
    assert task(register(Tasks(link)), "add").call(1, timeout=LONG) == 1
    name = mailroom(link).queue
    assert name.startswith(PREFIX)
    assert len(looker.store.notes.notes("reply/")) == 1
    link.close()
    assert name not in looker.store.queues()
    assert not looker.store.notes.notes("reply/")
    looker.close()


def test_the_connection_is_closed_under_a_call(url: str, serve: Serve) -> None:
    from .functions import register

    link = Link(url)
    tasks, errors = register(Tasks(link)), []

    def caller() -> None:
        try:
            task(tasks, "add").call(1, timeout=LONG)
        except StoreError as error:
            errors.append(error)

    async def awaits() -> None:
        waiting = asyncio.ensure_future(task(tasks, "add").acall(1, timeout=LONG))
        while len(mailroom(link)._calls) < 2:
            await asyncio.sleep(0.002)
        await asyncio.sleep(0)
        await asyncio.to_thread(link.close)
        with pytest.raises(StoreError, match="closed"):
            await waiting

    thread = threading.Thread(target=caller)
    thread.start()
    until(lambda: link.mailroom is not None and mailroom(link)._calls)
    asyncio.run(awaits())
    thread.join(LONG)
    assert len(errors) == 1


def test_a_cancelled_call_is_called_back(memory: str) -> None:
    from .functions import register

    link = Link(memory)
    tasks = register(Tasks(link))

    async def main() -> None:
        waiting = asyncio.ensure_future(task(tasks, "add").acall(1, timeout=LONG))
        while not link.store.counts(["default"])["default"].ready:
            await asyncio.sleep(0.002)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        while link.store.counts(["default"])["default"].ready:
            await asyncio.sleep(0.002)

    asyncio.run(main())
    assert not mailroom(link)._calls
    link.close()


# What may be said about a call


def test_two_meanings_of_timeout(memory: str, serve: Serve) -> None:
    from .functions import register

    serve(memory)
    link = Link(memory)
    tasks = register(Tasks(link))
    for name in ("patient", "anything"):
        with pytest.raises(TypeError, match="could mean either; nothing was put"):
            task(tasks, name).call(timeout=5)
    assert task(tasks, "patient").options(timeout=LONG).call(timeout=5) == 5
    assert task(tasks, "patient").options(timeout=LONG).call(5) == 5
    assert task(tasks, "anything").options(timeout=LONG).call(timeout=5) == {"timeout": 5}
    with pytest.raises(TypeError, match="two timeouts"):
        task(tasks, "add").options(timeout=1).call(1, timeout=2)
    with pytest.raises(BadValue, match="above 0"):
        task(tasks, "add").call(1, timeout=0)
    for option in ({"delay": 1}, {"ttl": 5}, {"keep": 5}, {"on_conflict": "keep"}):
        with pytest.raises(TypeError, match="a call takes no"):
            task(tasks, "add").options(**option).call(1)
    with pytest.raises(TypeError, match="not for put"):
        task(tasks, "add").options(timeout=1).put(1)
    with pytest.raises(TypeError, match="nothing to stream"):
        next(task(tasks, "add").stream(1))
    link.close()


def test_a_pause_holds_up_calls_and_lets_running_ones_answer(url: str, link: Link, tasks: Tasks, serve: Serve) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(tasks: Tasks) -> Tasks:
        @tasks.task
        def add(a: int, b: int = 0) -> int:
            begun.set()
            assert go.wait(LONG)
            return a + b

        return tasks

    serve(url, slow)
    running = task(tasks, "add").begin(1, timeout=LONG)
    assert begun.wait(LONG)
    link.store.pause(("default",), claim=True, reason="deploy")
    with pytest.raises(Timeout, match="No worker holds it"):
        task(tasks, "add").call(2, timeout="100ms")
    go.set()
    assert running.result() == 1
    link.store.pause(("default",), claim=False)
    assert task(tasks, "add").call(3, timeout=LONG) == 3
