"""The contract of wait and wake: no longer than needed, no shorter than asked."""

from __future__ import annotations

import pytest

from ...store import Feature, Handback, Store
from ..clock import FakeClock
from .harness import Harness, MakeJob, done, needs, put_one, take_one


class Waiting(Harness):
    """wait in one thread: the fake clock jumps to where the sleep ends."""

    def test_what_is_due_is_answered_at_once(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        begun = clock.boot()
        assert store.wait(["empty", "q"], 60.0) is True
        assert clock.boot() == begun

    def test_nothing_due_takes_the_whole_timeout(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job("other"))
        begun = clock.boot()
        assert store.wait(["q"], 60.0) is False
        assert clock.boot() - begun == pytest.approx(60, abs=0.01)

    def test_no_timeout_is_a_look(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        begun = clock.boot()
        assert store.wait(["q"], 0) is False
        put_one(store, job())
        assert store.wait(["q"], 0) is True
        assert clock.boot() == begun

    @needs(Feature.DELAY)
    def test_a_delayed_job_that_comes_due(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(delay=10.0))
        begun = clock.boot()
        assert store.wait(["q"], 60.0) is True
        assert clock.boot() - begun == pytest.approx(10, abs=0.2)
        take_one(store)

    @needs(Feature.DELAY)
    def test_a_job_given_back_with_a_delay(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        store.nack([Handback(take_one(store).receipt, delay=7.0)])
        begun = clock.boot()
        assert store.wait(["q"], 60.0) is True
        assert clock.boot() - begun == pytest.approx(7, abs=0.2)
        assert take_one(store).attempt == 2

    def test_a_lease_that_ends(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        take_one(store, lease=10.0)
        begun = clock.boot()
        assert store.wait(["q"], 60.0) is True
        assert 10 <= clock.boot() - begun <= 10 + self.slack + 0.1
        assert take_one(store).attempt == 2

    def test_a_lease_in_another_store_object_that_ends(self, store: Store, second: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(second, job())
        take_one(second, lease=10.0)
        begun = clock.boot()
        assert store.wait(["q"], 60.0) is True
        assert 10 <= clock.boot() - begun <= 10 + self.slack + 0.1
        assert take_one(store).attempt == 2

    def test_a_lease_that_is_held_wakes_nobody(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        lent = take_one(store, lease=100.0)
        assert store.wait(["q"], 60.0) is False
        done(store, lent)

    @needs(Feature.SWITCHES)
    def test_a_queue_switched_off_has_nothing_due(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        store.pause(["q"], claim=True, reason="x")
        begun = clock.boot()
        assert store.wait(["q"], 20.0) is False
        assert clock.boot() - begun == pytest.approx(20, abs=0.01)
        store.pause(["q"], claim=False)
        assert store.wait(["q"], 20.0) is True

    def test_wake_before_wait_ends_the_next_wait_and_no_other(self, store: Store, clock: FakeClock) -> None:
        store.wake()
        begun = clock.boot()
        assert store.wait(["q"], 60.0) is False
        assert clock.boot() == begun
        assert store.wait(["q"], 5.0) is False
        assert clock.boot() - begun == pytest.approx(5, abs=0.01)

    def test_wake_is_for_its_own_store_object(self, store: Store, second: Store, clock: FakeClock) -> None:
        second.wake()
        begun = clock.boot()
        assert store.wait(["q"], 5.0) is False
        assert clock.boot() - begun == pytest.approx(5, abs=0.01)
