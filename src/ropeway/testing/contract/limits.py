"""The contract of limits: how many of a queue, and of a lane, are lent out at once, by all holders together."""

from __future__ import annotations

import pytest

from ...errors import BadName, BadValue
from ...store import ANY, Feature, Handback, Limits, Query, Store
from ..clock import FakeClock
from .harness import HOLDER, OTHER, Harness, MakeJob, done, needs, put_one, put_some, standing, take, take_one


class Limiting(Harness):
    """LIMITS."""

    @needs(Feature.LIMITS)
    def test_a_queue_has_none_at_first(self, store: Store, job: MakeJob) -> None:
        put_some(store, job, 2)
        assert store.counts(["q"])["q"].limits == ANY
        store.limit(["q"], Limits(running=2))
        assert store.counts(["q"])["q"].limits == Limits(running=2)

    @needs(Feature.LIMITS)
    def test_no_more_than_that_run(self, store: Store, second: Store, job: MakeJob) -> None:
        store.limit(["q"], Limits(running=3))
        put_some(store, job, 6)
        lent = take(store, 2)
        lent += second.claim(["q"], 10, 30.0, OTHER)
        assert len(lent) == 3
        assert store.claim(["q"], 10, 30.0, HOLDER) == second.claim(["q"], 10, 30.0, OTHER) == []
        done(second, lent[0])
        assert len(take(store, 10)) == 1

    @needs(Feature.LIMITS)
    def test_every_way_out_frees_a_place(self, store: Store, job: MakeJob, clock: FakeClock) -> None:
        store.limit(["q"], Limits(running=1))
        put_some(store, job, 5)
        done(store, take_one(store))
        store.bury([Handback(take_one(store).receipt)])
        store.nack([Handback(take_one(store).receipt, 600.0)])
        take_one(store, lease=5.0)
        assert store.claim(["q"], 10, 30.0, HOLDER) == []
        clock.advance(5 + self.slack)
        assert len(take(store, 10)) == 1

    @needs(Feature.LIMITS)
    def test_other_queues_are_served(self, store: Store, job: MakeJob) -> None:
        store.limit(["q"], Limits(running=1))
        put_some(store, job, 3)
        put_one(store, job("other"))
        assert [lent.job.queue for lent in take(store, 10, "q", "other")] == ["q", "other"]

    @needs(Feature.LIMITS)
    def test_at_the_limit_nothing_is_due(self, store: Store, job: MakeJob) -> None:
        store.limit(["q"], Limits(running=1))
        put_some(store, job, 3)
        lent = take_one(store)
        assert store.wait(["q"], 1.0) is False
        done(store, lent)
        assert store.wait(["q"], 1.0) is True

    @needs(Feature.LIMITS)
    def test_a_limit_can_be_raised_and_taken_away(self, store: Store, job: MakeJob) -> None:
        store.limit(["q"], Limits(running=1))
        put_some(store, job, 6)
        take_one(store)
        store.limit(["q"], Limits(running=3))
        assert len(take(store, 10)) == 2
        store.limit(["q"], ANY)
        assert len(take(store, 10)) == 3

    @needs(Feature.LIMITS)
    def test_a_limit_below_what_runs_lets_it_run(self, store: Store, job: MakeJob) -> None:
        put_some(store, job, 4)
        lent = take(store, 3)
        store.limit(["q"], Limits(running=1))
        for one in lent:
            assert store.claim(["q"], 10, 30.0, HOLDER) == []
            done(store, one)
        assert len(take(store, 10)) == 1

    @needs(Feature.LIMITS, Feature.LANES)
    def test_a_wide_lane(self, store: Store, job: MakeJob) -> None:
        store.limit(["q"], Limits(lane=2))
        for name in ("a", "a", "a", "b", ""):
            put_one(store, job(body=name.encode(), lane=name))
        lent = take(store, 10)
        assert [one.job.body for one in lent] == [b"a", b"a", b"b", b""]
        done(store, lent[0])
        assert [one.job.body for one in take(store, 10)] == [b"a"]

    @needs(Feature.LIMITS, Feature.LANES)
    def test_in_a_wide_lane_a_retry_keeps_no_place(self, store: Store, job: MakeJob) -> None:
        store.limit(["q"], Limits(lane=2))
        store.put([job(body=bytes([number]), lane="a") for number in range(4)])
        for one in take(store, 10):
            store.nack([Handback(one.receipt, 600.0)])
        assert [one.job.body for one in take(store, 10)] == [b"\2", b"\3"]

    @needs(Feature.LIMITS, Feature.LANES)
    def test_widening_a_lane_lets_more_in(self, store: Store, job: MakeJob) -> None:
        store.put([job(lane="a") for _ in range(5)])
        take_one(store)
        assert store.claim(["q"], 10, 30.0, HOLDER) == []
        store.limit(["q"], Limits(lane=3))
        assert len(take(store, 10)) == 2

    @needs(Feature.LIMITS, Feature.LANES)
    def test_both_limits_hold(self, store: Store, job: MakeJob) -> None:
        store.limit(["q"], Limits(running=3, lane=2))
        for name in ("a", "a", "a", "b", "b", "b"):
            put_one(store, job(body=name.encode(), lane=name))
        assert [one.job.body for one in take(store, 10)] == [b"a", b"a", b"b"]

    @needs(Feature.LIMITS, Feature.PICK)
    def test_pick_keeps_to_the_limit(self, store: Store, job: MakeJob) -> None:
        store.limit(["q"], Limits(running=1))
        one, other = put_some(store, job, 2)
        assert store.pick("q", [one.id, other.id], 30.0, HOLDER)[1] is None

    @needs(Feature.LIMITS)
    def test_an_expired_job_is_not_counted(self, store: Store, job: MakeJob, clock: FakeClock) -> None:
        store.limit(["q"], Limits(running=1))
        put_one(store, job(ttl=5.0))
        put_one(store, job(body=b"stays"))
        clock.advance(6)
        assert take_one(store).job.body == b"stays"
        assert standing(store) == {"running": 1}

    @needs(Feature.LIMITS)
    def test_a_limit_that_makes_no_sense(self, store: Store) -> None:
        for limits in (Limits(running=-1), Limits(lane=0), Limits(running=True), Limits(lane=1.5), Limits(running=10**9)):  # type: ignore[arg-type]
            with pytest.raises(BadValue):
                store.limit(["q"], limits)
        with pytest.raises(BadName):
            store.limit(["../q"], ANY)

    @needs(Feature.LIMITS)
    def test_a_limit_survives_its_queue_being_empty(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        store.limit(["q"], Limits(running=1))
        done(store, take_one(store))
        put_some(store, job, 3)
        assert len(take(store, 10)) == 1


class Dropping(Harness):
    """drop: a queue that holds no job can be removed whole."""

    def test_an_empty_queue_leaves(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        put_one(store, job("other"))
        assert store.drop(["q", "never"]) == [False, True]
        done(store, take_one(store))
        assert store.drop(["q"]) == [True]
        assert store.queues() == ["other"]

    @needs(Feature.SWITCHES)
    def test_what_is_dropped_takes_its_switches_along(self, store: Store, job: MakeJob) -> None:
        store.pause(["q"], claim=True, reason="why")
        assert store.drop(["q"]) == [True]
        put_one(store, job())
        assert store.counts(["q"])["q"].claim_stopped is None
        take_one(store)

    @needs(Feature.DELAY, Feature.KEEP)
    def test_no_job_is_ever_dropped(self, store: Store, job: MakeJob) -> None:
        put_one(store, job("delayed", delay=60.0))
        put_one(store, job("running"))
        take_one(store, "running")
        put_one(store, job("done", keep=60.0))
        done(store, take_one(store, "done"))
        put_one(store, job("dead"))
        store.bury([Handback(take_one(store, "dead").receipt)])
        names = ["dead", "delayed", "done", "running"]
        assert store.drop(names) == [False] * 4
        assert store.queues() == names

    def test_a_queue_is_made_anew(self, store: Store, second: Store, job: MakeJob) -> None:
        put_one(store, job())
        done(store, take_one(second))
        assert second.drop(["q"]) == [True]
        put_one(store, job())
        take_one(second)
        assert store.browse(Query()) if Feature.BROWSE in store.features else standing(store) == {"running": 1}
