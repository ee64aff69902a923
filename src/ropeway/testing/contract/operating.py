"""The contract of the operator's verbs: requeue, delete, pick, and the two switches."""

from __future__ import annotations

import pytest

from ...errors import BadValue, Stopped
from ...job import State
from ...store import Ack, Feature, Handback, Query, Store
from ..clock import FakeClock
from .harness import ALL, HOLDER, OTHER, Harness, MakeJob, done, needs, put_one, standing, take, take_one
from .looking import FAILED, Looking


def only(*states: State) -> Query:
    return Query(states=frozenset(states), limit=None)


class Operating(Harness):
    """requeue, delete, pick."""

    @needs(Feature.BROWSE)
    def test_requeue_gives_a_dead_job_a_new_life(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        one = put_one(store, job(body=b"x"))
        take_one(store, lease=5.0)
        clock.advance(5 + self.slack)
        lent = take_one(store)
        assert (lent.attempt, lent.deaths) == (2, 1)
        store.bury([Handback(lent.receipt, attempt=FAILED)])
        clock.advance(60)
        assert store.requeue(ALL) == 1
        assert standing(store) == {"ready": 1}
        again = take_one(store)
        assert (again.job.id, again.job.body, again.attempt, again.deaths) == (one.id, b"x", 1, 0)

    @needs(Feature.BROWSE, Feature.DELAY, Feature.KEEP)
    def test_requeue_without_states_means_the_dead(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        Looking.one_of_each(store, clock, job)
        assert store.requeue(ALL) == 1
        assert standing(store) == {"ready": 3, "delayed": 1, "running": 1, "done": 1}
        assert store.requeue(ALL) == 0

    @needs(Feature.BROWSE, Feature.DELAY, Feature.KEEP)
    @pytest.mark.parametrize("state", State)
    def test_requeue_of_each_state(self, store: Store, clock: FakeClock, job: MakeJob, state: State) -> None:
        one = Looking.one_of_each(store, clock, job)[state]
        moves = state in (State.DEAD, State.DONE, State.DELAYED)
        assert store.requeue(Query(ids=(one.id,), states=frozenset({state}))) == int(moves)
        entry = store.browse(Query(ids=(one.id,)))[0]
        assert entry.state is (State.READY if moves else state)
        if moves:
            assert entry.due <= clock.now() + 0.01
            assert one.id in [lent.job.id for lent in take(store, 5)]

    @needs(Feature.BROWSE, Feature.DELAY)
    def test_a_delayed_job_keeps_its_attempts(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        store.nack([Handback(take_one(store).receipt, delay=600.0)])
        assert store.requeue(only(State.DELAYED)) == 1
        assert take_one(store).attempt == 2

    @needs(Feature.BROWSE, Feature.KEEP)
    def test_a_requeued_done_job_has_no_result_any_more(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(keep=60.0))
        done(store, take_one(store), result=b"old")
        assert store.requeue(only(State.DONE)) == 1
        assert store.browse(Query())[0].result is None
        clock.advance(100)
        done(store, take_one(store), result=b"new")
        assert store.browse(Query())[0].result == b"new"

    @needs(Feature.BROWSE)
    def test_requeue_by_error_and_by_limit(self, store: Store, job: MakeJob) -> None:
        store.put([job() for _ in range(6)])
        lent = take(store, 6)
        store.bury([Handback(one.receipt, attempt=FAILED if place % 2 else None) for place, one in enumerate(lent)])
        if Feature.HISTORY in store.features:
            assert store.requeue(Query(error="nothing like it")) == 0
            assert store.requeue(Query(error="disk full", limit=2)) == 2
            assert standing(store) == {"ready": 2, "dead": 4}
        assert store.requeue(Query(limit=1)) == 1

    @needs(Feature.BROWSE, Feature.DELAY, Feature.KEEP)
    @pytest.mark.parametrize("state", State)
    def test_delete_of_each_state(self, store: Store, clock: FakeClock, job: MakeJob, state: State) -> None:
        one = Looking.one_of_each(store, clock, job)[state]
        before = standing(store)
        removed = state is not State.RUNNING
        assert store.delete(Query(ids=(one.id,))) == int(removed)
        after = before | {state.value: before[state.value] - removed}
        assert standing(store) == {name: number for name, number in after.items() if number}
        assert store.delete(Query(ids=(one.id,))) == 0

    @needs(Feature.BROWSE, Feature.DELAY, Feature.KEEP)
    def test_delete_of_all_leaves_what_runs(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        Looking.one_of_each(store, clock, job)
        store.put([job("other"), job("other")])
        assert store.delete(Query(queues=("q",), limit=None)) == 5
        assert standing(store) == {"running": 1}
        assert standing(store, "other") == {"ready": 2}

    @needs(Feature.BROWSE)
    def test_delete_within_a_batch_takes_only_that_one(self, store: Store, job: MakeJob) -> None:
        jobs = [job(body=b"%d" % place) for place in range(6)]
        store.put(jobs)
        assert store.delete(Query(ids=(jobs[2].id, jobs[5].id))) == 2
        lent = take(store, 9)
        assert [(one.job.body, one.attempt) for one in lent] == [(b"%d" % place, 1) for place in (0, 1, 3, 4)]

    @needs(Feature.BROWSE)
    def test_delete_honours_the_limit(self, store: Store, job: MakeJob) -> None:
        jobs = [job() for _ in range(5)]
        store.put(jobs)
        assert store.delete(Query(limit=2)) == 2
        assert [one.job.id for one in take(store, 9)] == [one.id for one in jobs[2:]]

    # -- pick

    @needs(Feature.PICK)
    def test_pick_takes_a_waiting_job_out_of_its_turn(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        jobs = [job(body=b"%d" % place) for place in range(5)]
        store.put(jobs)
        single = put_one(store, job(body=b"single"))
        answers = store.pick("q", [jobs[3].id, single.id, jobs[1].id], 30.0, HOLDER)
        assert [one and (one.job.body, one.attempt) for one in answers] == [(b"3", 1), (b"single", 1), (b"1", 1)]
        assert standing(store) == {"running": 3, "ready": 3}
        assert [one.job.body for one in take(store, 9, holder=OTHER)] == [b"0", b"2", b"4"]
        assert store.ack([Ack(one.receipt) for one in answers if one]) == [True] * 3

    @needs(Feature.PICK, Feature.DELAY)
    def test_pick_takes_a_delayed_one(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        one = put_one(store, job(delay=5000.0))
        picked = store.pick("q", [one.id], 30.0, HOLDER)[0]
        assert picked is not None
        done(store, picked)
        assert standing(store) == {}

    @needs(Feature.PICK, Feature.DELAY, Feature.KEEP)
    def test_pick_of_what_does_not_wait(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        jobs = Looking.one_of_each(store, clock, job)
        before = standing(store)
        ids = [jobs[state].id for state in (State.RUNNING, State.DEAD, State.DONE)]
        assert store.pick("q", [*ids, "0" * 32, "../x", ""], 30.0, HOLDER) == [None] * 6
        assert store.pick("other", [jobs[State.READY].id], 30.0, HOLDER) == [None]
        assert store.pick("q", [], 30.0, HOLDER) == []
        assert standing(store) == before

    @needs(Feature.PICK)
    def test_pick_twice_is_once(self, store: Store, job: MakeJob) -> None:
        one = put_one(store, job())
        answers = store.pick("q", [one.id, one.id], 30.0, HOLDER)
        assert [answer is not None for answer in answers] == [True, False]

    @needs(Feature.PICK, Feature.PRIORITY)
    def test_the_operators_next_one_out(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        jobs = [put_one(store, job()) for _ in range(4)]
        picked = store.pick("q", [jobs[2].id], 30.0, HOLDER)[0]
        assert picked is not None
        assert store.nack([Handback(picked.receipt, restore=True, priority=0)]) == [True]
        lent = take(store, 4)
        assert [one.job.id for one in lent] == [jobs[place].id for place in (2, 0, 1, 3)]
        assert [one.attempt for one in lent] == [1] * 4


class Switches(Harness):
    """pause: two switches a queue, each with its reason."""

    @needs(Feature.SWITCHES)
    def test_put_is_refused_with_the_reason_and_nothing_is_stored(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        store.pause(["q"], put=True, reason="moving house, ä")
        with pytest.raises(Stopped, match="moving house, ä") as caught:
            store.put([job("open"), job("q")])
        assert (caught.value.queue, caught.value.reason) == ("q", "moving house, ä")
        assert standing(store) == {"ready": 1}
        assert standing(store, "open") == {}
        done(store, take_one(store))  # what was there is still handed out

    @needs(Feature.SWITCHES)
    def test_claim_passes_over_a_stopped_queue(self, store: Store, job: MakeJob) -> None:
        store.put([job("a"), job("b")])
        store.pause(["a"], claim=True, reason="deploy")
        assert [one.job.queue for one in take(store, 5, "a", "b")] == ["b"]
        assert take(store, 5, "a", "b") == []
        put_one(store, job("a"))  # still accepted
        assert standing(store, "a") == {"ready": 2}

    @needs(Feature.SWITCHES)
    def test_claim_is_refused_when_all_are_stopped(self, store: Store, job: MakeJob) -> None:
        put_one(store, job("a"))
        store.pause(["a", "b"], claim=True, reason="deploy")
        for queues in (["a"], ["b"], ["a", "b"]):
            with pytest.raises(Stopped, match="deploy") as caught:
                store.claim(queues, 1, 30.0, HOLDER)
            assert caught.value.reason == "deploy"
            assert caught.value.queue in queues
        assert store.claim(["a", "c"], 1, 30.0, HOLDER) == []
        assert standing(store, "a") == {"ready": 1}

    @needs(Feature.SWITCHES)
    def test_what_runs_is_finished_while_stopped(self, store: Store, job: MakeJob) -> None:
        store.put([job(), job(), job()])
        lent = take(store, 3)
        store.pause(["q"], put=True, claim=True, reason="x")
        assert store.extend([lent[0].receipt], 60.0) == [True]
        done(store, lent[0])
        assert store.nack([Handback(lent[1].receipt)]) == [True]
        assert store.bury([Handback(lent[2].receipt)]) == [True]
        assert standing(store) == {"ready": 1, "dead": 1}

    @needs(Feature.SWITCHES)
    def test_the_reasons_are_shown(self, store: Store, job: MakeJob) -> None:
        def shown() -> tuple[str | None, str | None]:
            counts = store.counts(["q"])["q"]
            return counts.put_stopped, counts.claim_stopped

        put_one(store, job())
        assert shown() == (None, None)
        store.pause(["q"], put=True, reason="a\nb")
        assert shown() == ("a\nb", None)
        store.pause(["q"], claim=True, reason="c")
        assert shown() == ("a\nb", "c")
        store.pause(["q"], put=True, claim=True)
        assert shown() == ("", "")
        store.pause(["q"], put=False)
        assert shown() == (None, "")
        store.pause(["q"])
        assert shown() == (None, "")
        store.pause(["q"], put=False, claim=False)
        assert shown() == (None, None)

    @needs(Feature.SWITCHES)
    def test_opened_again_all_is_as_before(self, store: Store, job: MakeJob) -> None:
        one = put_one(store, job())
        store.pause(["q"], put=True, claim=True, reason="x")
        store.pause(["q"], put=False, claim=False)
        put_one(store, job())
        assert take_one(store).job.id == one.id

    @needs(Feature.SWITCHES)
    def test_every_store_object_sees_them_at_once(self, store: Store, second: Store, job: MakeJob) -> None:
        put_one(second, job())
        store.pause(["q"], put=True, claim=True, reason="x")
        with pytest.raises(Stopped):
            second.put([job()])
        with pytest.raises(Stopped):
            second.claim(["q"], 1, 30.0, HOLDER)
        second.pause(["q"], put=False, claim=False)
        put_one(store, job())
        assert len(take(store, 2)) == 2

    @needs(Feature.SWITCHES)
    def test_a_reason_is_text(self, store: Store) -> None:
        with pytest.raises(BadValue):
            store.pause(["q"], put=True, reason=7)  # type: ignore[arg-type]
        assert store.counts(["q"])["q"].put_stopped is None
