"""Runs that last too long, are called back, or lose their lease; and leases that are kept whatever happens beside them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway.clock import SYSTEM
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.tasks import Tasks, current_claim

from .conftest import Running, until
from .fakes import faulty_link

pytestmark = pytest.mark.slow

Start = Callable[..., Running]
FAST = Retry(3, base=0.01)


def test_a_plain_function_times_out(link: Link, tasks: Tasks, start: Start) -> None:
    """In a loop of bytecode at once; one that catches everything has timed out all the same."""
    ended: list[str] = []

    @tasks.task(timeout=1, retry=1)
    def loops() -> None:
        while True:
            pass

    @tasks.task(timeout=1, retry=1)
    def swallows() -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                while time.monotonic() < end:
                    pass
            except BaseException:
                ended.append("swallowed")
                return "well"
        return "late"

    @tasks.task(timeout=60)
    def quick() -> None:
        ended.append("quick")

    bad = [loops.put(), swallows.put()]
    quick.map([]) or quick.put()
    started = time.monotonic()
    running = start(link, tasks, ["default"], drain=True)
    assert running.end() == 10
    assert time.monotonic() - started < 30
    for handle in bad:
        entry = handle.entry()
        assert entry is not None
        assert (entry.state, entry.error, entry.history[-1].outcome) == (State.DEAD, "timed out after 1s", "timeout")
    assert sorted(ended) == ["quick", "swallowed"]


def test_a_timeout_that_races_the_end_settles_once_and_strikes_nobody_else(memory: Link, start: Start) -> None:
    """Runs end just before, at and after their deadline; an exception meant for one must not arrive in the next."""
    tasks = Tasks(memory)
    ended: Counter[int] = Counter()

    @tasks.task(timeout=0.06, retry=1)
    def close(number: int) -> None:
        end = time.monotonic() + 0.03 + (number % 12) * 0.01
        while time.monotonic() < end:
            time.sleep(0.001)
        ended[number] += 1

    @tasks.task(retry=1)
    def bystander(number: int) -> None:
        for _ in range(50):
            pass
        ended[number] += 1

    for number in range(96):
        close.put(number)
        bystander.put(1000 + number)
    running = start(memory, tasks, ["default"], concurrency=8, drain=True)
    assert running.end() == 10
    counters = running.worker.counters
    assert counters.done + counters.buried == counters.ran == 192
    assert (counters.lost, counters.retried) == (0, 0)
    assert all(ended[1000 + number] == 1 for number in range(96)), "a bystander was struck"
    assert max(ended.values()) == 1
    dead = Queue[Any](memory, "default").browse(limit=None)
    assert {(entry.job.task, entry.error) for entry in dead} == {("close", "timed out after 60ms")}
    assert 16 <= len(dead) <= 96
    assert ended[0] == 1, "well before its deadline"


def test_a_function_that_cannot_be_timed_out_is_left_behind(
    link: Link, tasks: Tasks, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs in a call that hears nothing: the job is settled, and another slot stands in."""
    monkeypatch.setattr("ropeway.worker.timeouts.GRACE", 0.2)
    release = threading.Event()
    lock = threading.Lock()
    lock.acquire()

    slots: list[threading.Thread] = []

    @tasks.task(timeout=0.1, retry=1)
    def hangs() -> None:
        slots.append(threading.current_thread())
        try:
            lock.acquire(timeout=20)
        finally:  # the exception strikes as soon as it has the lock
            release.set()

    @tasks.task
    def after() -> None: ...

    handle = hangs.put()
    running = start(link, tasks, ["default"], concurrency=1)
    until(lambda: handle.state() is State.DEAD)
    after.put()
    until(lambda: running.worker.counters.done == 1)
    lock.release()
    assert release.wait(40)
    until(lambda: not slots[0].is_alive())
    counters = running.worker.counters
    assert (counters.done, counters.buried, counters.lost, counters.ran) == (1, 1, 0, 2), "settled once"


def test_a_worker_with_too_many_hanging_slots_ends_to_be_started_anew(
    memory: Link, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ropeway.worker.timeouts.GRACE", 0.1)
    tasks, link = Tasks(memory), memory
    lock, left = threading.Lock(), threading.Semaphore(0)
    lock.acquire()

    @tasks.task(timeout=0.1, retry=1)
    def hangs() -> None:
        try:
            with lock:
                pass
        finally:
            left.release()

    hangs.map([]) or [hangs.put() for _ in range(2)]
    running = start(link, tasks, ["default"], concurrency=2)
    assert running.end(60) == 0
    assert running.worker.post.outgrown
    assert "cannot be ended" in caplog.text
    assert running.worker.counters.buried == 2
    lock.release()
    assert left.acquire(timeout=40) and left.acquire(timeout=40)


def test_a_coroutine_times_out(link: Link, tasks: Tasks, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has begun long before its time is up, or there would be nothing for it to clean up."""
    monkeypatch.setattr("ropeway.worker.background.GRACE", 0.5)
    cleaned: list[str] = []

    @tasks.task(timeout=1, retry=1)
    async def waits() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cleaned.append("up")

    @tasks.task(timeout=1, retry=1)
    async def swallows() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cleaned.append("swallowed")
        return "well"

    @tasks.task(timeout=1, retry=1)
    async def deaf() -> None:
        end = time.monotonic() + 6
        while time.monotonic() < end:
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                pass

    @tasks.task(timeout=60, retry=1)
    async def own() -> None:
        raise TimeoutError("its own")

    handles = [waits.put(), swallows.put(), deaf.put()]
    other = own.put()
    assert start(link, tasks, ["default"], drain=True).end() == 10
    for handle in handles:
        entry = handle.entry()
        assert entry is not None
        assert (entry.state, entry.error) == (State.DEAD, "timed out after 1s")
    entry = other.entry()
    assert entry is not None
    assert (entry.error, entry.history[-1].outcome) == ("TimeoutError: its own", "failed")
    until(lambda: sorted(cleaned) == ["swallowed", "up"])


@pytest.mark.parametrize("link", ["dir"], indirect=True)
def test_a_running_job_is_called_back(link: Link, tasks: Tasks, start: Start) -> None:
    cancelled = threading.Event()

    @tasks.task(retry=5, keep="1h")
    async def waits() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()

    handle = waits.put()
    running = start(link, tasks, ["default"])
    until(lambda: handle.state() is State.RUNNING)
    assert handle.cancel()
    assert cancelled.wait(40)
    until(lambda: handle.state() is None)
    assert running.worker.counters.retried == 0


@pytest.mark.parametrize("link", ["memory"], indirect=True)
def test_a_lost_run_is_told_and_nothing_of_it_is_settled(link: Link, tasks: Tasks, start: Start) -> None:
    """Its lease ends under it (nobody renews here); the newer claim stands."""
    told: list[bool] = []

    @tasks.task
    def slow() -> None:
        claim = current_claim()
        assert claim is not None
        assert not claim.lost and not claim.lost.is_set() and not claim.lost.wait(0.01)
        told.append(claim.lost.wait(60) and bool(claim.lost))

    handle = slow.put()
    running = start(link, tasks, ["default"], lease=1, concurrency=1)
    until(lambda: handle.state() is State.RUNNING)
    keeper = running.worker._keeper
    keeper._end.set()
    until(lambda: keeper._thread is not None and not keeper._thread.is_alive())
    other = until(lambda: link.store.claim(("default",), 1, 30.0, link.holder()))
    keeper.tick()
    until(lambda: running.worker.counters.lost == 1)
    assert told == [True]
    entry = handle.entry()
    assert entry is not None
    assert (entry.state, entry.attempts) == (State.RUNNING, 2)
    assert other[0].job.id == handle.id


@pytest.mark.parametrize("link", ["dir"], indirect=True)
def test_a_job_of_many_leases_runs_once(link: Link, tasks: Tasks, start: Start) -> None:
    runs: list[float] = []

    @tasks.task
    def long() -> None:
        runs.append(time.monotonic())
        time.sleep(4.8)

    handle = long.put()
    workers = [start(link, tasks, ["default"], lease=2) for _ in range(3)]
    until(lambda: sum(running.worker.counters.done for running in workers) == 1)
    assert handle.state() is None
    assert len(runs) == 1


def test_the_keeper_works_while_the_ferry_is_stuck(tmp_path: Path, start: Start) -> None:
    """In a store call that takes three leases: what runs and what has ended keep theirs, nothing runs twice."""
    link, faulty = faulty_link(f"dir:{tmp_path / 'spool'}", SYSTEM)
    tasks = Tasks(link)
    runs: list[str] = []
    ack, slow = faulty.inner.ack, threading.Event()

    def stuck(acks: Any) -> list[bool]:
        if not slow.is_set():
            slow.set()
            threading.Event().wait(6)
        return ack(acks)

    faulty.inner.ack = stuck  # type: ignore[method-assign]

    @tasks.task
    def work(seconds: float) -> None:
        runs.append(f"{seconds}")
        time.sleep(seconds)

    work.put(0.01)
    work.put(5.0)
    workers = [start(link, tasks, ["default"], lease=2, concurrency=2) for _ in range(2)]
    until(lambda: sum(running.worker.counters.done for running in workers) == 2)
    assert sorted(runs) == ["0.01", "5.0"]
    assert [running.worker.counters.lost for running in workers] == [0, 0]
    for running in workers:
        running.worker.stop()
        running.end()
    link.close()


def test_the_keeper_survives_a_call_that_keeps_the_interpreter(memory: Link, start: Start) -> None:
    """Two thirds of a lease may pass without a tick."""
    import ctypes

    link, tasks = memory, Tasks(memory)

    usleep = ctypes.PyDLL(None).usleep  # unlike CDLL, it keeps the GIL
    runs: list[int] = []

    @tasks.task
    def holds() -> None:
        runs.append(1)
        usleep(1_900_000)
        time.sleep(0.01)
        usleep(1_500_000)

    holds.put()
    workers = [start(link, tasks, ["default"], lease=3) for _ in range(2)]
    until(lambda: sum(running.worker.counters.done for running in workers) == 1)
    assert len(runs) == 1
