"""The contract of leases: one holder until the end, by a clock that nobody sets, and every death is counted."""

from __future__ import annotations

import pytest

from ...errors import BadValue
from ...store import Ack, Feature, Handback, Store
from ..clock import FakeClock
from .harness import HOLDER, OTHER, Harness, MakeJob, done, needs, put_one, put_some, short, standing, take, take_one

NO_LEASE = [0, 0.0, -1.0, float("nan"), float("inf"), "30", None, True]


class Leasing(Harness):
    """The time for which a job is lent."""

    @pytest.mark.parametrize("lease", NO_LEASE, ids=short)
    def test_a_lease_is_a_time(self, store: Store, job: MakeJob, lease: float) -> None:
        put_one(store, job())
        with pytest.raises(BadValue):
            store.claim(["q"], 1, lease, HOLDER)
        assert standing(store) == {"ready": 1}
        lent = take_one(store)
        with pytest.raises(BadValue):
            store.extend([lent.receipt], lease)
        done(store, lent)

    def test_until_is_the_end_of_the_lease_and_rather_early(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        until = take_one(store, lease=30.0).until
        assert clock.boot() + 28.5 <= until <= clock.boot() + 30

    def test_a_lease_that_runs_out_gives_the_job_back(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        one = put_one(store, job())
        first = take_one(store, lease=10.0)
        assert (first.attempt, first.deaths) == (1, 0)
        clock.advance(9)
        assert take(store, 1, holder=OTHER) == []
        clock.advance(1 + self.slack)
        again = take_one(store, holder=OTHER)
        assert (again.job.id, again.attempt, again.deaths) == (one.id, 2, 1)
        assert again.receipt != first.receipt

    def test_every_death_is_counted(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        for deaths in range(4):
            lent = take_one(store, lease=5.0)
            assert (lent.attempt, lent.deaths) == (deaths + 1, deaths)
            clock.advance(5 + self.slack)

    def test_a_wall_clock_that_steps_ends_no_lease(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        lent = take_one(store, lease=60.0)
        for step in (7200, -86400, 30):
            clock.step(step)
            clock.advance(1)
            assert take(store, 1, holder=OTHER) == []
        clock.advance(40)
        done(store, lent)

    def test_a_lease_ends_by_the_boot_clock(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        clock.advance(86400)
        put_one(store, job(due=clock.now() - 5000, created=clock.now() - 5000))
        take_one(store, lease=10.0)
        clock.step(-3600)
        clock.advance(10 + self.slack)
        assert take_one(store, holder=OTHER).deaths == 1

    def test_a_renewed_lease_lasts(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        lent = take_one(store, lease=10.0)
        for _ in range(5):
            clock.advance(8)
            assert store.extend([lent.receipt], 10.0) == [True]
            assert take(store, 1, holder=OTHER) == []
        clock.advance(10 + self.slack)
        assert take_one(store, holder=OTHER).attempt == 2

    def test_renewing_counts_from_now(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        lent = take_one(store, lease=1000.0)
        assert store.extend([lent.receipt], 5.0) == [True]
        clock.advance(5 + self.slack)
        take_one(store, holder=OTHER)

    def test_a_batch_is_renewed_as_one(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_some(store, job, 20)
        lent = take(store, 20, lease=10.0)
        done(store, lent[3])
        clock.advance(8)
        assert store.extend([one.receipt for one in lent], 10.0) == [True, True, True, False, *[True] * 16]
        clock.advance(8)
        assert take(store, 1, holder=OTHER) == []
        assert store.ack([Ack(one.receipt) for one in lent]) == [True, True, True, False, *[True] * 16]

    def test_renewing_some_of_a_batch_shortens_no_others_lease(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        """It may lengthen them: where a batch is one thing to the engine, it is renewed as one."""
        put_some(store, job, 3)
        lent = take(store, 3, lease=1000.0)
        assert store.extend([lent[1].receipt], 5.0) == [True]
        clock.advance(5 + self.slack)
        assert {one.job.id for one in take(store, 3, holder=OTHER)} <= {lent[1].job.id}
        assert store.ack([Ack(lent[0].receipt), Ack(lent[2].receipt)]) == [True, True]

    @needs(Feature.DELAY)
    def test_part_of_a_batch_comes_back_when_its_lease_ends(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        jobs = put_some(store, job, 6)
        lent = take(store, 6, lease=10.0)
        assert [one.job.id for one in lent] == [one.id for one in jobs]
        store.ack([Ack(lent[0].receipt), Ack(lent[4].receipt)])
        store.nack([Handback(lent[2].receipt, delay=500.0)])
        clock.advance(10 + self.slack)
        again = take(store, 6, lease=10.0)
        assert sorted(one.job.id for one in again) == sorted(lent[place].job.id for place in (1, 3, 5))
        assert standing(store) == {"running": 3, "delayed": 1}
