"""The contract of keep: done jobs that stay for a while, with their result."""

from __future__ import annotations

import pytest

from ...errors import BadValue, Unsupported
from ...job import State
from ...store import Ack, Feature, Lent, Query, Store
from ..clock import FakeClock
from .harness import Harness, MakeJob, done, needs, put_one, short, standing, take, take_one
from .settling import VERBS


class Keeping(Harness):
    """keep: done jobs that stay, with their result."""

    @needs(Feature.KEEP, Feature.BROWSE)
    def test_a_kept_job_stays_with_its_result_and_is_forgotten(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        one = put_one(store, job(body=b"x", keep=60.0))
        self.finish(store, result=b"\0\xff 42", result_type="application/json")
        assert standing(store) == {"done": 1}
        entry = store.browse(Query())[0]
        assert (entry.job.id, entry.state, entry.result, entry.result_type) == (one.id, State.DONE, b"\0\xff 42", "application/json")
        assert entry.due == pytest.approx(clock.now() + 60, abs=5)
        clock.advance(50)
        assert standing(store) == {"done": 1}
        assert take(store, 1) == []
        clock.advance(20)
        assert standing(store) == {}
        assert store.browse(Query()) == []

    @staticmethod
    def finish(store: Store, **more: object) -> Lent:
        lent = take_one(store)
        done(store, lent, **more)
        return lent

    @needs(Feature.KEEP)
    def test_the_ack_overrides_how_long(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(keep=60.0))
        self.finish(store, keep=0.0)
        assert standing(store) == {}
        put_one(store, job())
        self.finish(store, keep=30.0)
        put_one(store, job(keep=5.0))
        self.finish(store, keep=300.0)
        assert standing(store) == {"done": 2}
        clock.advance(40)
        assert standing(store) == {"done": 1}

    def test_without_keep_no_result_stays(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        self.finish(store, result=b"42", result_type="application/json")
        assert standing(store) == {}

    @needs(Feature.KEEP, Feature.BROWSE)
    def test_results_of_a_batch_are_each_their_own(self, store: Store, job: MakeJob) -> None:
        jobs = [job(keep=60.0) for _ in range(5)]
        store.put(jobs)
        lent = take(store, 5)
        assert store.ack([Ack(one.receipt, b"%d" % place) for place, one in enumerate(lent)]) == [True] * 5
        assert {entry.job.id: entry.result for entry in store.browse(Query())} == {one.id: b"%d" % n for n, one in enumerate(jobs)}

    @needs(Feature.KEEP, Feature.BROWSE)
    def test_a_kept_job_without_a_result(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(keep=60.0))
        self.finish(store)
        assert store.browse(Query())[0].result is None

    @needs(Feature.KEEP)
    def test_a_done_job_is_done_for_every_receipt(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(keep=60.0))
        lent = self.finish(store)
        for verb in VERBS.values():
            assert verb(store, lent.receipt) == [False]
        assert standing(store) == {"done": 1}

    @pytest.mark.parametrize("keep", [-1.0, float("nan"), float("inf"), "1"], ids=short)
    def test_a_bad_keep_is_refused_and_the_claim_stands(self, store: Store, job: MakeJob, keep: float) -> None:
        store.put([job(), job()])
        one, other = take(store, 2)
        with pytest.raises((BadValue, Unsupported)):
            store.ack([Ack(one.receipt), Ack(other.receipt, keep=keep)])
        assert standing(store) == {"running": 2}
        done(store, other)
