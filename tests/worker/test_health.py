"""Health: a worker is well while its store answers it, waits with it, or has renewed what it runs."""

from __future__ import annotations

import threading

import pytest

from ropeway.errors import StoreError
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock
from ropeway.worker.health import is_healthy

from .fakes import Bench, faulty_link


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def link(clock: FakeClock) -> Link:
    return Link("memory:", clock)


def well(bench: Bench, lately: float = 60.0) -> bool:
    return is_healthy(bench.ferry, bench.inbox, bench.link.clock.boot(), lately)


def test_it_is_well_once_the_store_has_answered(link: Link) -> None:
    bench = Bench(link)
    assert not well(bench), "nothing was asked yet"
    bench.laps(2)
    assert well(bench)


def test_a_store_that_fails_is_forgiven_for_a_while(clock: FakeClock) -> None:
    link, store = faulty_link("memory:", clock)
    bench = Bench(link)
    bench.laps(3)
    store.fail("claim", times=1000)
    store.fail("wait", times=1000)
    clock.advance(59)
    bench.laps(1)
    assert well(bench)
    clock.advance(2)
    bench.laps(3)
    assert not well(bench)
    assert well(bench, 3600.0)
    store._failures.clear()
    bench.laps(5)
    assert well(bench)


def test_who_waits_in_the_store_is_well_however_long(link: Link, clock: FakeClock) -> None:
    bench = Bench(link)
    bench.laps(2)
    seen: list[bool] = []

    def wait() -> bool:
        clock.advance(10_000)
        seen.append(well(bench))
        return False

    bench.inbox.sleep_in(wait, lambda: None)
    assert seen == [True]
    assert not well(bench)


def test_a_busy_worker_is_well_while_its_leases_are_renewed(link: Link, clock: FakeClock) -> None:
    bench = Bench(link, slots=1, lease=100.0)
    Queue(link, "q").put(b"x")
    bench.until(lambda: bench.ferry.held)
    clock.advance(90)
    assert well(bench), "the lease still lasts"
    clock.advance(20)
    assert not well(bench), "it was not renewed"


def test_a_worker_says_so_itself() -> None:
    from ropeway.tasks import Tasks
    from ropeway.worker import Worker

    worker = Worker(Link("memory:"), Tasks(), ["q"])
    assert not worker.healthy()
    seen = threading.Event()

    def look() -> None:
        while not worker.healthy("5m"):
            if seen.wait(0.002):
                return
        worker.stop()
        seen.set()

    looker = threading.Thread(target=look)
    looker.start()
    worker.run()
    was = seen.is_set()
    seen.set()
    looker.join()
    assert was
    assert not worker.healthy(), "it has ended"


def test_a_store_error_is_no_answer() -> None:
    link, store = faulty_link("memory:", FakeClock())
    bench = Bench(link)
    store.fail("claim", StoreError("away"), times=50)
    store.fail("wait", StoreError("away"), times=50)
    bench.laps(5)
    assert not well(bench)
