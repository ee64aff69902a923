"""The contract of lanes: the jobs of one lane in strict order, one at a time, through retries and the deaths of holders."""

from __future__ import annotations

from ...job import Job, State
from ...store import Feature, Handback, Query, Store
from ..clock import FakeClock
from .harness import HOLDER, OTHER, Harness, MakeJob, done, needs, put_one, standing, take, take_one


def _names(store: Store, limit: int = 10) -> list[bytes]:
    """The bodies of what can be claimed now."""
    return [lent.job.body for lent in take(store, limit)]


class Lanes(Harness):
    """LANES."""

    def _row(self, store: Store, job: MakeJob, *bodies: bytes, lane: str = "x") -> list[Job]:
        return [put_one(store, job(body=body, lane=lane)) for body in bodies]

    @needs(Feature.LANES)
    def test_one_at_a_time(self, store: Store, job: MakeJob) -> None:
        self._row(store, job, b"1", b"2", b"3")
        first = take_one(store)
        assert first.job.body == b"1"
        assert store.claim(["q"], 10, 30.0, OTHER) == []
        done(store, first)
        assert _names(store) == [b"2"]

    @needs(Feature.LANES)
    def test_one_batch_takes_one_of_each_lane(self, store: Store, job: MakeJob) -> None:
        self._row(store, job, b"x1", b"x2", lane="x")
        self._row(store, job, b"y1", b"y2", lane="y")
        put_one(store, job(body=b"free 1"))
        put_one(store, job(body=b"free 2"))
        assert _names(store) == [b"x1", b"y1", b"free 1", b"free 2"]

    @needs(Feature.LANES)
    def test_jobs_put_together_too(self, store: Store, job: MakeJob) -> None:
        store.put([job(body=str(i).encode(), lane="x") for i in range(4)])
        seen = []
        for _ in range(4):
            (lent,) = take(store, 10)
            seen.append(lent.job.body)
            done(store, lent)
        assert seen == [b"0", b"1", b"2", b"3"]
        assert standing(store) == {}

    @needs(Feature.LANES)
    def test_a_lane_is_of_its_queue(self, store: Store, job: MakeJob) -> None:
        put_one(store, job("a", lane="x"))
        put_one(store, job("b", lane="x"))
        assert len(take(store, 2, "a", "b")) == 2

    @needs(Feature.LANES)
    def test_any_text_is_a_lane(self, store: Store, job: MakeJob) -> None:
        for lane in ("../x", "a/b", "Ä ö", "x" * 200, "X", "%2F", ":"):
            put_one(store, job(lane=lane))
        assert len(take(store, 20)) == 7

    @needs(Feature.LANES)
    def test_a_retry_keeps_the_lane(self, store: Store, job: MakeJob, clock: FakeClock) -> None:
        self._row(store, job, b"1", b"2")
        store.nack([Handback(take_one(store).receipt, 60.0)])
        assert store.claim(["q"], 10, 30.0, HOLDER) == []
        clock.advance(61)
        again = take_one(store)
        assert again.job.body == b"1"
        store.bury([Handback(again.receipt)])
        assert _names(store) == [b"2"]

    @needs(Feature.LANES)
    def test_what_is_given_back_unrun_keeps_it_too(self, store: Store, job: MakeJob) -> None:
        self._row(store, job, b"1", b"2")
        store.nack([Handback(take_one(store).receipt, restore=True)])
        assert _names(store) == [b"1"]

    @needs(Feature.LANES)
    def test_a_lease_that_ran_out_keeps_it(self, store: Store, job: MakeJob, clock: FakeClock) -> None:
        self._row(store, job, b"1", b"2")
        first = take_one(store, lease=5.0)
        clock.advance(5 + self.slack)
        again = take(store, 10)
        assert [lent.job.body for lent in again] == [b"1"]
        assert store.ack([]) == []
        assert store.nack([Handback(first.receipt)]) == [False], "a voided receipt opens no lane"
        assert store.claim(["q"], 10, 30.0, HOLDER) == []

    @needs(Feature.LANES, Feature.BROWSE)
    def test_deleting_who_holds_it_frees_it(self, store: Store, job: MakeJob) -> None:
        first, _ = self._row(store, job, b"1", b"2")
        store.nack([Handback(take_one(store).receipt, 60.0)])
        assert store.delete(Query(ids=(first.id,))) == 1
        assert _names(store) == [b"2"]

    @needs(Feature.LANES)
    def test_the_ttl_of_who_holds_it_frees_it(self, store: Store, job: MakeJob, clock: FakeClock) -> None:
        put_one(store, job(body=b"1", lane="x", ttl=30.0))
        put_one(store, job(body=b"2", lane="x"))
        store.nack([Handback(take_one(store).receipt, 20.0)])
        clock.advance(31)
        assert _names(store) == [b"2"]

    @needs(Feature.LANES, Feature.BROWSE)
    def test_what_is_held_up_can_be_seen_and_removed(self, store: Store, job: MakeJob) -> None:
        _, second, third = self._row(store, job, b"1", b"2", b"3")
        first = take_one(store)
        assert store.claim(["q"], 10, 30.0, HOLDER) == []
        assert standing(store) == {"ready": 2, "running": 1}
        assert [entry.job.body for entry in store.browse(Query(states=frozenset({State.READY})))] == [b"2", b"3"]
        assert [entry.job.id for entry in store.browse(Query(lane="x", ids=(third.id, first.job.id)))] == [third.id, first.job.id]
        assert store.browse(Query(lane="y")) == []
        assert store.delete(Query(ids=(second.id,))) == 1
        done(store, first)
        assert _names(store) == [b"3"]

    @needs(Feature.LANES, Feature.PICK)
    def test_pick_keeps_the_order_of_a_lane(self, store: Store, job: MakeJob) -> None:
        first, second = self._row(store, job, b"1", b"2")
        (lent,) = store.pick("q", [first.id], 30.0, HOLDER)
        assert lent is not None
        assert store.pick("q", [second.id], 30.0, HOLDER) == [None]
        done(store, lent)
        assert store.pick("q", [second.id], 30.0, HOLDER) != [None]

    @needs(Feature.LANES, Feature.PRIORITY)
    def test_the_next_of_a_lane_is_the_first_by_the_order_of_its_queue(self, store: Store, job: MakeJob) -> None:
        self._row(store, job, b"1", b"2")
        first = take_one(store)
        assert store.claim(["q"], 10, 30.0, HOLDER) == []
        put_one(store, job(body=b"urgent", lane="x", priority=10))
        assert store.claim(["q"], 10, 30.0, HOLDER) == []
        done(store, first)
        assert _names(store) == [b"urgent"]

    @needs(Feature.LANES)
    def test_a_long_lane_holds_up_nobody_else(self, store: Store, job: MakeJob) -> None:
        store.put([job(lane="x") for _ in range(300)])
        first = take_one(store)
        put_one(store, job(body=b"free"))
        for _ in range(20):  # an engine may pass over some of them at a time
            if lent := store.claim(["q"], 10, 30.0, HOLDER):
                break
        assert [one.job.body for one in lent] == [b"free"]
        done(store, first)
        assert len(take(store, 10)) == 1

    @needs(Feature.LANES)
    def test_waiting_for_a_lane_that_is_full(self, store: Store, job: MakeJob) -> None:
        self._row(store, job, b"1", b"2")
        first = take_one(store)
        while store.wait(["q"], 1.0):
            assert store.claim(["q"], 10, 30.0, HOLDER) == []
        done(store, first)
        assert store.wait(["q"], 1.0) is True

    @needs(Feature.LANES, Feature.BROWSE)
    def test_a_dead_job_that_is_requeued_queues_up_again(self, store: Store, job: MakeJob) -> None:
        self._row(store, job, b"1", b"2")
        store.bury([Handback(take_one(store).receipt)])
        second = take_one(store)
        assert second.job.body == b"2"
        assert store.requeue(Query()) == 1
        assert store.claim(["q"], 10, 30.0, HOLDER) == []
        done(store, second)
        assert _names(store) == [b"1"]

    @needs(Feature.LANES)
    def test_the_lane_is_known_to_every_store_object(self, store: Store, second: Store, job: MakeJob) -> None:
        self._row(store, job, b"1", b"2")
        lent = take_one(store)
        assert second.claim(["q"], 10, 30.0, OTHER) == []
        done(second, lent)
        assert [one.job.body for one in second.claim(["q"], 10, 30.0, OTHER)] == [b"2"]
        assert store.claim(["q"], 10, 30.0, HOLDER) == []
