"""The contract of looking: counts, queues and browse see everything and change nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ...errors import BadValue
from ...job import Attempt, Job, State
from ...store import Ack, Counts, Entry, Feature, Handback, Query, Store
from ..clock import FakeClock
from .harness import ALL, Harness, MakeJob, needs, put_one, short, standing, take, take_one

FAILED = Attempt(1, 1.0, 2.0, "host:1:w", "failed", "OSError: disk full", "Traceback")


def found(store: Store, **query: object) -> list[str]:
    return [entry.job.id for entry in store.browse(Query(**query))]  # type: ignore[arg-type]


class Looking(Harness):
    """counts, queues, browse."""

    def test_a_store_begins_empty(self, store: Store) -> None:
        assert store.queues() == []
        assert store.counts() == {}

    def test_a_queue_that_is_not_there_counts_zero(self, store: Store) -> None:
        assert store.counts(["nowhere"]) == {"nowhere": Counts()}
        assert store.queues() == []

    def test_queues_are_sorted(self, store: Store, job: MakeJob) -> None:
        store.put([job("b"), job("a.b"), job("B"), job("a")])
        assert store.queues() == ["B", "a", "a.b", "b"]
        assert set(store.counts()) == {"B", "a", "a.b", "b"}

    def test_another_store_object_sees_the_same(self, store: Store, second: Store, job: MakeJob) -> None:
        put_one(store, job())
        assert second.queues() == ["q"]
        assert standing(second) == {"ready": 1}
        take_one(second)
        assert standing(store) == {"running": 1}

    @needs(Feature.DELAY, Feature.KEEP)
    def test_counts_of_every_state(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        self.one_of_each(store, clock, job)
        counts = store.counts(["q"])["q"]
        assert (counts.ready, counts.delayed, counts.running, counts.dead, counts.done) == (2, 1, 1, 1, 1)
        assert counts.exact
        assert store.counts() == {"q": counts}

    @staticmethod
    def one_of_each(store: Store, clock: FakeClock, job: MakeJob) -> dict[State, Job]:
        """One job in each state, and one more that is ready."""
        store.put([job(body=b"done", keep=500.0), job(body=b"dead"), job(body=b"running")])
        lent = take(store, 3, lease=300.0)
        clock.advance(1)
        store.ack([Ack(lent[0].receipt, b"42")])
        store.bury([Handback(lent[1].receipt, attempt=FAILED)])
        rest = [job(body=b"ready"), job(body=b"ready too"), job(body=b"delayed", delay=100.0)]
        for one in rest:
            put_one(store, one)
        states = (State.DONE, State.DEAD, State.RUNNING, State.READY, State.DELAYED)
        return dict(zip(states, [*(one.job for one in lent), rest[0], rest[2]], strict=True))

    def test_oldest_is_the_due_of_the_one_that_waits_longest(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        first = put_one(store, job())
        clock.advance(5)
        put_one(store, job())
        assert store.counts(["q"])["q"].oldest == pytest.approx(first.due, abs=1e-3)
        take(store, 2)
        assert store.counts(["q"])["q"].oldest is None

    @needs(Feature.PRIORITY)
    def test_oldest_is_so_over_all_priorities(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        first = put_one(store, job(priority=90))
        clock.advance(5)
        put_one(store, job(priority=10))
        assert store.counts(["q"])["q"].oldest == pytest.approx(first.due, abs=1e-3)

    # -- browse

    @needs(Feature.BROWSE, Feature.DELAY, Feature.KEEP)
    def test_an_entry_says_where_the_job_stands(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        jobs = self.one_of_each(store, clock, job)
        now = clock.now()
        entries = {entry.job.id: entry for entry in store.browse(ALL)}
        assert len(entries) == 6

        def entry(state: State) -> Entry:
            assert entries[jobs[state].id].state is state
            return entries[jobs[state].id]

        assert entry(State.READY).due == pytest.approx(now, abs=0.01)
        assert entry(State.DELAYED).due == pytest.approx(now + 100, abs=0.01)
        running = entry(State.RUNNING)
        assert running.due == pytest.approx(now + 299, abs=2)
        assert (running.attempts, running.deaths) == (1, 0)
        assert running.holder.endswith(":contract"), "host:pid:name of who holds it"
        assert entry(State.DEAD).due == pytest.approx(now, abs=1)
        assert entry(State.DONE).due == pytest.approx(now + 500, abs=5)
        assert entry(State.DONE).result == b"42"
        assert entry(State.READY).job.body == b"ready"
        assert entry(State.READY).holder == ""
        if Feature.HISTORY in store.features:
            assert (entry(State.DEAD).error, entry(State.DEAD).history) == (FAILED.error, [FAILED])

    @needs(Feature.BROWSE)
    def test_an_entry_has_the_whole_job(self, store: Store, job: MakeJob) -> None:
        one = put_one(store, job(body=b"\0\xff", headers={"a": "ä"}, ttl=50.0, task="t", content_type="x/y"))
        got = store.browse(Query())[0].job
        assert (got.id, got.queue, got.body, got.headers, got.ttl, got.task, got.content_type) == (
            *(one.id, "q", b"\0\xff", {"a": "ä"}, 50.0, "t", "x/y"),
        )

    @needs(Feature.BROWSE)
    def test_looking_changes_nothing(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        jobs = [job() for _ in range(3)]
        store.put(jobs)
        for _ in range(3):
            assert len(store.browse(ALL)) == 3
            assert standing(store) == {"ready": 3}
        lent = take(store, 3)
        assert [one.job.id for one in lent] == [one.id for one in jobs]
        assert {one.attempt for one in lent} == {1}
        store.browse(ALL)
        assert store.ack([Ack(one.receipt) for one in lent]) == [True] * 3

    @needs(Feature.BROWSE, Feature.DELAY, Feature.KEEP)
    @pytest.mark.parametrize("state", State)
    def test_by_state(self, store: Store, clock: FakeClock, job: MakeJob, state: State) -> None:
        jobs = self.one_of_each(store, clock, job)
        assert found(store, states=frozenset({state}))[:1] == [jobs[state].id]
        assert len(found(store, states=frozenset({state}))) == (2 if state is State.READY else 1)
        assert len(found(store, states=frozenset(State) - {state})) == (4 if state is State.READY else 5)
        assert found(store, states=frozenset()) == []

    @needs(Feature.BROWSE)
    def test_by_queue_and_by_id(self, store: Store, job: MakeJob) -> None:
        a, b, c = job("a"), job("b"), job("c")
        store.put([a, b, c])
        assert found(store, queues=("c", "a")) == [a.id, c.id]
        assert found(store, queues=("none",)) == found(store, queues=()) == found(store, ids=()) == []
        assert found(store, ids=(c.id, "0" * 32, a.id, a.id)) == [a.id, c.id]
        assert found(store, ids=(b.id,), queues=("a",)) == []
        assert found(store, ids=("../../x", "", "ä", b.id[:-1], b.id.upper() + "0")) == []

    @needs(Feature.BROWSE, Feature.DELAY, Feature.KEEP)
    def test_by_id_in_every_state(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        for one in self.one_of_each(store, clock, job).values():
            assert found(store, ids=(one.id,)) == [one.id]

    @needs(Feature.BROWSE, Feature.KEYS)
    def test_by_key_and_by_task(self, store: Store, job: MakeJob) -> None:
        keyed, tasked = job(key="k 1"), job(task="mail.send")
        store.put([keyed, tasked, job()])
        assert found(store, key="k 1") == [keyed.id]
        assert found(store, key="k") == []
        assert found(store, task="mail.send") == [tasked.id]
        assert found(store, task="mail") == []

    @needs(Feature.BROWSE)
    def test_by_text(self, store: Store, job: MakeJob) -> None:
        in_body, in_header = job(body="\xff".encode("latin-1") + "grün".encode()), job(headers={"x-tenant": "grünwald"})
        store.put([in_body, in_header, job(body=b"gr")])
        assert found(store, text="grün") == [in_body.id, in_header.id]
        assert found(store, text="grünwald") == [in_header.id]
        assert found(store, text="Grün") == []

    @needs(Feature.BROWSE, Feature.HISTORY)
    def test_by_error(self, store: Store, job: MakeJob) -> None:
        store.put([job(), job(), job()])
        lent = take(store, 3)
        store.bury([Handback(lent[0].receipt, attempt=FAILED), Handback(lent[1].receipt)])
        store.nack([Handback(lent[2].receipt, attempt=FAILED)])
        assert sorted(found(store, error="disk")) == sorted([lent[0].job.id, lent[2].job.id])
        assert found(store, error="disk", states=frozenset({State.DEAD})) == [lent[0].job.id]
        assert found(store, error="disc") == []

    @needs(Feature.BROWSE, Feature.PRIORITY, Feature.DELAY)
    def test_the_order_within_a_queue_and_state(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        late, low, high, first = job(delay=9.0), job(priority=70), job(priority=20), job()
        for one in (low, late, first, high):
            put_one(store, one)
            clock.advance(0.01)
        assert found(store, states=frozenset({State.READY})) == [high.id, first.id, low.id]
        clock.advance(10)
        assert found(store) == [high.id, first.id, late.id, low.id]

    @needs(Feature.BROWSE, Feature.DELAY, Feature.KEEP)
    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_paging_shows_each_once_and_in_order(self, store: Store, clock: FakeClock, job: MakeJob, size: int) -> None:
        self.one_of_each(store, clock, job)
        store.put([job("other", priority=priority) if Feature.PRIORITY in store.features else job("other") for priority in (9, 50, 9)])
        whole = found(store, limit=None)
        assert len(whole) == len(set(whole)) == 9
        assert [entry.job.queue for entry in store.browse(ALL)] == ["other"] * 3 + ["q"] * 6
        paged: list[str] = []
        after = ""
        while page := store.browse(Query(limit=size, after=after)):
            assert len(page) <= size
            paged += [entry.job.id for entry in page]
            after = page[-1].cursor
        assert paged == whole

    @needs(Feature.BROWSE)
    def test_a_page_goes_on_where_the_last_one_ended_whatever_happened(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        jobs = [put_one(store, self.later(clock, job)) for _ in range(6)]
        page = store.browse(Query(limit=3))
        store.delete(Query(ids=(jobs[2].id, jobs[3].id)))
        assert found(store, after=page[-1].cursor) == [jobs[4].id, jobs[5].id]

    @staticmethod
    def later(clock: FakeClock, job: MakeJob) -> Job:
        clock.advance(0.01)
        return job()

    @needs(Feature.BROWSE)
    def test_limits(self, store: Store, job: MakeJob) -> None:
        store.put([job() for _ in range(120)])
        assert len(store.browse(Query())) == 100
        assert len(store.browse(Query(limit=0))) == 0
        assert len(store.browse(ALL)) == 120
        with pytest.raises(BadValue):
            store.browse(Query(limit=-1))

    @needs(Feature.BROWSE)
    @pytest.mark.parametrize("after", ["x", "../../etc", "a/b/c/d/e", "q/0/50/zz/" + "0" * 32, "\0", "ä" * 999], ids=short)
    def test_a_made_up_cursor_is_refused(self, store: Store, job: MakeJob, after: str) -> None:
        put_one(store, job())
        looks: list[Callable[[Query], object]] = [store.browse, store.delete, store.requeue]
        for look in looks:
            with pytest.raises(BadValue):
                look(Query(after=after))
        assert standing(store) == {"ready": 1}
