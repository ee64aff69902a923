"""The executor, by the letter of concurrent.futures: the questions that CPython's own tests ask of every executor, asked of this one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, CancelledError, Executor, Future
from pathlib import Path
from typing import Any

import pytest

import ropeway
from engines import engines, place
from ropeway import BadBody, BadValue, Broker, RemoteError, StoreError
from worker.conftest import Running


class Gate:
    """Jobs that begin, and end when the test says so."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.go.set()


@pytest.fixture
def ready(broker: Broker, gate: Gate) -> Broker:
    """A broker with tasks, and no worker."""

    @broker.task(name="pow")
    def power(base: int, exponent: int = 2, *, modulus: int | None = None) -> int:
        return pow(base, exponent, modulus)

    @broker.task
    def divide(a: int, b: int) -> float:
        return a / b

    @broker.task
    def held(n: int) -> int:
        gate.begun.release()
        assert gate.go.wait(100)
        return n

    @broker.task(retry=1)
    def bad(n: int) -> None:
        raise ZeroDivisionError(f"of {n}")

    return broker


@pytest.fixture
def working(ready: Broker, start: Callable[..., Running]) -> Broker:
    """The same with a worker of two slots."""
    start(ready.link, ready.tasks, ["default", "other"], concurrency=2)
    return ready


def function(broker: Broker, name: str) -> Callable[..., Any]:
    task = broker.tasks.get(name)
    assert task is not None
    return task.function


# -- submit and map


def test_submit_takes_tasks_and_their_functions(working: Broker) -> None:
    with working.executor("other") as pool:
        assert isinstance(pool, Executor)
        task = working.tasks.get("pow")
        assert task is not None
        first, second = pool.submit(task, 2, 8), pool.submit(function(working, "pow"), 16, exponent=2, modulus=10)
        assert isinstance(first, Future)
        assert (first.result(90), second.result(90)) == (256, 6)
        assert {first.handle.queue, second.handle.queue} == {"other"}
        assert first.done() and not first.running() and not first.cancelled()


def test_what_is_not_registered_is_refused(working: Broker) -> None:
    with working.executor() as pool:
        for stranger in (print, lambda: None, "pow", ropeway.Tasks().task(test_what_is_not_registered_is_refused)):
            with pytest.raises(BadValue, match="is no task of this broker"):
                pool.submit(stranger)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            pool.submit(function(working, "pow"))
        with pytest.raises(BadBody):
            pool.submit(function(working, "pow"), "x")
    with pytest.raises(BadValue, match="keep above 0"):
        working.executor(keep=0)


def test_map_gives_results_in_order(working: Broker) -> None:
    with working.executor() as pool:
        assert list(pool.map(function(working, "pow"), range(10), range(10))) == list(map(pow, range(10), range(10)))
        assert list(pool.map(function(working, "pow"), [])) == []
        assert list(pool.map(function(working, "pow"), range(7), chunksize=3)) == [n * n for n in range(7)]


def test_map_puts_all_in_one_commit_before_anything_is_read(ready: Broker) -> None:
    pool = ready.executor()
    results = pool.map(function(ready, "pow"), range(5))
    assert ready.counts()["default"].ready == 5
    ready.worker("default", drain=True).run()
    assert list(results) == [0, 1, 4, 9, 16]
    pool.shutdown()


def test_map_raises_where_the_job_failed_and_takes_back_the_rest(working: Broker, gate: Gate) -> None:
    with working.executor() as pool:
        results = pool.map(function(working, "divide"), [1, 1, 1], [2, 0, 1])
        assert next(results) == 0.5
        with pytest.raises(TimeoutError):
            list(pool.map(function(working, "held"), range(4), timeout=0.05))
        gate.go.set()


def test_map_errors_are_the_jobs_own(working: Broker) -> None:
    with working.executor() as pool:
        results = pool.map(function(working, "bad"), [1, 2])
        with pytest.raises(ZeroDivisionError, match="of 1"):
            next(results)


def test_map_ahead_of_the_reader(ready: Broker) -> None:
    pool = ready.executor()
    drawn: list[int] = []

    def numbers() -> Iterator[int]:
        for n in range(1000):
            drawn.append(n)
            yield n

    results = pool.map(function(ready, "pow"), numbers(), buffersize=3)
    assert drawn == [0, 1, 2]
    ready.worker("default", drain=True).run()
    assert next(results) == 0
    assert drawn == [0, 1, 2, 3]
    results.close()  # type: ignore[attr-defined]
    assert ready.counts()["default"].ready == 0
    with pytest.raises(BadValue, match="buffersize"):
        pool.map(function(ready, "pow"), [1], buffersize=0)
    pool.shutdown()


# -- shutdown


def test_nothing_can_be_submitted_after_shutdown(working: Broker) -> None:
    pool = working.executor()
    pool.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(function(working, "pow"), 1)
    with pytest.raises(RuntimeError):
        pool.map(function(working, "pow"), [1])
    pool.shutdown()  # twice is once


def test_the_context_manager_waits(working: Broker) -> None:
    with working.executor() as pool:
        made = [pool.submit(function(working, "pow"), n) for n in range(20)]
    assert all(one.done() for one in made)


def test_shutdown_without_waiting_lets_futures_hear_all_the_same(working: Broker, gate: Gate) -> None:
    pool = working.executor()
    future = pool.submit(function(working, "held"), 3)
    pool.shutdown(wait=False)
    assert not future.done()
    gate.go.set()
    assert future.result(90) == 3


def test_shutdown_may_take_back_what_has_not_begun(working: Broker, gate: Gate) -> None:
    pool = working.executor()
    made = [pool.submit(function(working, "held"), n) for n in range(10)]
    assert gate.begun.acquire(timeout=90) and gate.begun.acquire(timeout=90)
    for one in made[2:]:  # a worker may hold more than it runs; those are not to be had
        one.cancel()
    threading.Timer(0.05, gate.go.set).start()
    pool.shutdown(cancel_futures=True)
    assert all(one.done() for one in made)
    assert [one.result(0) for one in made if not one.cancelled()][:2] == [0, 1]


def test_threads_end_with_the_executor(working: Broker) -> None:
    with working.executor() as pool:
        pool.submit(function(working, "pow"), 1).result(90)
        serving = [thread for thread in threading.enumerate() if thread.name == "ropeway-executor"]
        assert len(serving) == 1
    serving[0].join(90)
    assert not serving[0].is_alive()


# -- cancel, running, done


def test_a_waiting_job_can_be_cancelled(ready: Broker) -> None:
    pool = ready.executor()
    future = pool.submit(function(ready, "pow"), 1)
    called: list[Any] = []
    future.add_done_callback(called.append)
    assert not future.running() and not future.done()
    assert future.cancel() and future.cancel()
    assert future.cancelled() and future.done() and not future.running()
    assert called == [future]
    assert ready.counts()["default"].ready == 0
    for ask in (future.result, future.exception):
        with pytest.raises(CancelledError):
            ask(0)
    assert list(futures.as_completed([future], timeout=0)) == [future]
    pool.shutdown()


def test_a_running_job_cannot(working: Broker, gate: Gate) -> None:
    with working.executor() as pool:
        future = pool.submit(function(working, "held"), 1)
        assert gate.begun.acquire(timeout=90)
        assert future.running() and not future.done()
        assert not future.cancel()
        gate.go.set()
        assert future.result(90) == 1
        assert not future.cancel() and not future.cancelled() and not future.running()


def test_a_job_that_somebody_else_takes_away_is_an_error(ready: Broker) -> None:
    pool = ready.executor()
    future = pool.submit(function(ready, "pow"), 1)
    future.handle.cancel()
    with pytest.raises(RemoteError, match="has left the queue"):
        future.result(90)
    pool.shutdown()


def test_cancelling_and_ending_at_once_end_in_one_way(working: Broker) -> None:
    with working.executor() as pool:
        for n in range(100):
            future = pool.submit(function(working, "pow"), n)
            if future.cancel():
                assert future.cancelled()
            else:
                assert future.result(90) == n * n


# -- result, exception, callbacks


def test_result_and_exception(working: Broker, gate: Gate) -> None:
    with working.executor() as pool:
        fine, bad, held = (pool.submit(function(working, name), 5) for name in ("pow", "bad", "held"))
        assert fine.result(90) == 25
        assert fine.exception(0) is None
        error = bad.exception(90)
        assert isinstance(error, ZeroDivisionError)
        assert isinstance(error, RemoteError)
        assert "raise ZeroDivisionError" in error.traceback
        with pytest.raises(ZeroDivisionError, match="of 5"):
            bad.result(0)
        for ask in (held.result, held.exception):
            with pytest.raises(TimeoutError):
                ask(0.02)
        gate.go.set()


def test_a_result_may_be_none(broker: Broker, start: Callable[..., Running]) -> None:
    @broker.task
    def nothing() -> None: ...

    start(broker.link, broker.tasks, ["default"])
    with broker.executor() as pool:
        assert pool.submit(nothing).result(90) is None


def test_a_job_that_is_tried_again_is_not_done(broker: Broker, start: Callable[..., Running]) -> None:
    tries: list[int] = []

    @broker.task(retry=ropeway.Retry(3, base=0))
    def third_time() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise OSError
        return len(tries)

    start(broker.link, broker.tasks, ["default"])
    with broker.executor() as pool:
        assert pool.submit(third_time).result(90) == 3


def test_callbacks(working: Broker, caplog: pytest.LogCaptureFixture) -> None:
    called: list[Any] = []
    told = threading.Event()

    def last(future: Any) -> None:
        called.append(("last", future.result()))
        told.set()

    with working.executor() as pool:
        future = pool.submit(function(working, "pow"), 3)
        future.add_done_callback(lambda future: called.append(("first", future.result())))
        future.add_done_callback(lambda future: 1 / 0)
        future.add_done_callback(last)
        assert told.wait(90)
        assert called == [("first", 9), ("last", 9)]
        future.add_done_callback(called.append)  # at once
        assert called[-1] is future
    assert "exception calling callback" in caplog.text


def test_a_callback_may_wait_for_another_connection_and_submit_more(working: Broker) -> None:
    """Whoever hears of ends for the whole process is not held up by what is called back."""
    last: list[Any] = []
    told = threading.Event()
    with working.executor() as pool:

        def more(future: Any) -> None:
            task = working.tasks.get("pow")
            assert task is not None
            last.append(task.options(keep=60).put(future.result()).result("30s"))
            told.set()

        pool.submit(function(working, "pow"), 3).add_done_callback(more)
        assert told.wait(90)
    assert last == [81]


# -- the functions of the standard library


def test_wait_and_as_completed(working: Broker, gate: Gate) -> None:
    with working.executor() as pool:
        held = pool.submit(function(working, "held"), 1)
        assert gate.begun.acquire(timeout=90)
        fine = pool.submit(function(working, "pow"), 2)
        done, left = futures.wait([held, fine], timeout=90, return_when=FIRST_COMPLETED)
        assert (done, left) == ({fine}, {held})
        bad = pool.submit(function(working, "bad"), 1)
        done, left = futures.wait([held, bad], timeout=90, return_when=FIRST_EXCEPTION)
        assert (done, left) == ({bad}, {held})
        done, left = futures.wait([held, fine], timeout=0.02, return_when=ALL_COMPLETED)
        assert (done, left) == ({fine}, {held})
        with pytest.raises(TimeoutError):
            list(futures.as_completed([held, fine], timeout=0.02))
        gate.go.set()
        assert set(futures.as_completed([held, fine, bad], timeout=90)) == {held, fine, bad}
        assert futures.wait([held, fine, bad], timeout=0).not_done == set()


def test_many_wait_and_nobody_polls(working: Broker) -> None:
    with working.executor() as pool:
        made = [pool.submit(function(working, "pow"), n) for n in range(300)]
        assert [one.result(60) for one in made] == [n * n for n in range(300)]


def test_in_an_event_loop(working: Broker, gate: Gate) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with working.executor() as pool:
            ran = [loop.run_in_executor(pool, function(working, "pow"), n) for n in range(10)]
            assert await asyncio.gather(*ran) == [n * n for n in range(10)]
            with pytest.raises(ZeroDivisionError):
                await loop.run_in_executor(pool, function(working, "bad"), 1)
            gate.go.set()

    asyncio.run(main())


def test_threads_share_one(working: Broker) -> None:
    results: list[int] = []
    with working.executor() as pool:

        def use(n: int) -> None:
            results.append(pool.submit(function(working, "pow"), n).result(60))

        threads = [threading.Thread(target=use, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(results) == [n * n for n in range(20)]


def test_a_closed_connection_is_told(ready: Broker) -> None:
    pool = ready.executor()
    future = pool.submit(function(ready, "pow"), 1)
    ready.close()
    with pytest.raises(StoreError, match="closed"):
        future.result(90)
    pool.shutdown()


@pytest.mark.parametrize("engine", engines())
def test_every_engine(engine: str, tmp_path: Path, start: Callable[..., Running]) -> None:
    with place(engine, tmp_path) as url, ropeway.connect(url, config=False) as broker:

        @broker.task
        def square(n: int) -> int:
            return n * n

        start(broker.link, broker.tasks, ["default"], concurrency=2)
        with broker.executor("default") as pool:
            began = time.monotonic()
            assert list(pool.map(square, range(50))) == [n * n for n in range(50)]
            assert pool.submit(square, 9).result(60) == 81
            assert time.monotonic() - began < 60
