"""The contract of waiting for ends: `wait` on `ended(queue)`, and its `look`, between threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from ...names import ended
from ...store import Ack, Feature, Handback, Store
from ..clock import FakeClock
from .harness import MakeJob, Open, needs, put_one, take_one
from .still import PATIENCE, Still

Begin = Callable[[], Future[bool]]


class Ends(Still):
    """Who waits for the end of a job is rung by it."""

    @pytest.fixture
    def awaiting(self, here: Store, still: FakeClock) -> Iterator[Begin]:
        """Begins to wait for an end in another thread, and answers when that thread sleeps."""
        pool = ThreadPoolExecutor(1)

        def begin() -> Future[bool]:
            future = pool.submit(here.wait, (ended("q"),), 600.0)
            still.until_asleep(1)
            return future

        yield begin
        still.advance(700)
        pool.shutdown()

    @needs(Feature.KEEP)
    def test_done_and_kept_rings(self, here: Store, awaiting: Begin, job: MakeJob) -> None:
        put_one(here, job(keep=60.0))
        lent = take_one(here)
        waiter = awaiting()
        assert here.ack([Ack(lent.receipt, b"1")]) == [True]
        assert waiter.result(PATIENCE) is True

    def test_death_rings(self, here: Store, awaiting: Begin, job: MakeJob) -> None:
        put_one(here, job())
        lent = take_one(here)
        waiter = awaiting()
        here.bury([Handback(lent.receipt)])
        assert waiter.result(PATIENCE) is True

    @needs(Feature.KEEP)
    def test_it_rings_from_another_store_object(self, here: Store, still: FakeClock, opener: Open, awaiting: Begin, job: MakeJob) -> None:
        if not self.shared:
            pytest.skip("each store object of this engine has a place of its own")
        there = opener(still)
        put_one(there, job(keep=60.0))
        lent = take_one(there)
        waiter = awaiting()
        assert there.ack([Ack(lent.receipt)]) == [True]
        assert waiter.result(PATIENCE) is True

    def test_what_is_due_is_no_end(self, here: Store, still: FakeClock, awaiting: Begin, job: MakeJob) -> None:
        waiter = awaiting()
        put_one(here, job())
        still.until_asleep(1)
        still.advance(601)
        assert waiter.result(PATIENCE) is False

    def test_a_long_name_has_its_ends_too(self, here: Store, job: MakeJob) -> None:
        put_one(here, job("x" * 128))
        assert here.wait([ended("x" * 128)], 0) is False

    def test_look_ends_the_wait_before_it_sleeps(self, here: Store) -> None:
        assert here.wait(["q"], 600.0, lambda: True) is True

    def test_look_is_asked_when_a_ring_can_no_longer_be_missed(self, here: Store, still: FakeClock, job: MakeJob) -> None:
        """A job that ends while it looks: the ring for it counts, though it came before the sleep."""
        jobs = [put_one(here, job()) for _ in range(2)]
        lent = [take_one(here) for _ in jobs]
        looks: list[bool] = []

        def look() -> bool:
            looks.append(True)
            if len(looks) == 1:
                ender = threading.Thread(target=here.bury, args=([Handback(lent[0].receipt)],))
                ender.start()
                ender.join(10)
                return False
            return True

        with ThreadPoolExecutor(1) as pool:
            waiter = pool.submit(here.wait, (ended("q"),), 600.0, look)
            assert waiter.result(PATIENCE) is True
