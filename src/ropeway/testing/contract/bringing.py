"""The contract of bring: jobs arrive as they stood in another store, once, whatever has become of them."""

from __future__ import annotations

from typing import Any

import pytest

from ...job import HISTORY, Attempt, Job, State
from ...store import Entry, Feature, Handback, Query, Store
from ..clock import FakeClock
from .harness import ALL, Harness, MakeJob, body_of, done, needs, put_one, standing, take, take_one

DEAD_FOR, KEPT_FOR = 500.0, 600.0


def attempts(count: int, until: float) -> list[Attempt]:
    """A history whose last attempt ended then."""
    return [
        Attempt(number, until - 2 * (count - number) - 1, until - 2 * (count - number), f"h:{number}:w", "failed", f"E: {number}", "T\n  ä")
        for number in range(1, count + 1)
    ]


def stood(job: Job, state: State, due: float, **more: Any) -> Entry:
    """A job as it stood in another store."""
    return Entry(job, state, due, **more)


def kept(entry: Entry) -> dict[str, Any]:
    """What must be the same on both sides."""
    job = entry.job
    fields = ("id", "queue", "content_type", "headers", "priority", "delay", "key", "ttl", "keep", "task", "lane", "once")
    return {field: getattr(job, field) for field in fields} | {
        "body": body_of(job),
        "created": round(job.created * 1e3),
        "state": entry.state,
        "due": round(entry.due, 3),
        "attempts": entry.attempts,
        "deaths": entry.deaths,
        "history": entry.history,
        "error": entry.error,
        "result": (entry.result, entry.result_type),
    }


def everything(job: MakeJob, clock: FakeClock) -> list[Entry]:
    """A job of every state with all that it can have."""
    now = clock.now()
    old: dict[str, Any] = {"created": now - 1000, "due": now - 900}
    all_that_steers: dict[str, Any] = {
        "key": "k/1 ä",
        "ttl": 5e6,
        "keep": 70.0,
        "task": "mail.send",
        "lane": "l 7",
        "headers": {"a": "ä"},
        "delay": 9.5,
    }
    return [
        stood(job(body=b"ready", **old), State.READY, now - 900),
        stood(job(body=b"first", priority=3, content_type="text/plain", **all_that_steers, **old), State.READY, now - 800),
        stood(job(body=b"once", once=True, **old), State.READY, now - 700),
        stood(job(body=b"retried", **old), State.READY, now - 650, attempts=3, deaths=1, history=attempts(2, now - 660)),
        stood(job(body=b"later", **old), State.DELAYED, now + 700, attempts=2, history=attempts(2, now - 60)),
        stood(job(body=b"dead", key="k2", once=True, **old), State.DEAD, now - DEAD_FOR, attempts=5, deaths=3, history=attempts(5, now)),
        stood(job(body=b"done", key="k3", keep=9.0, **old), State.DONE, now + KEPT_FOR, attempts=1, result=b"\0\xff", result_type="x/y"),
        stood(job(body=b"done too", **old), State.DONE, now + KEPT_FOR, attempts=2, history=attempts(1, now)),
    ]


class Bringing(Harness):
    """bring."""

    def test_an_empty_batch_of_the_brought_is_no_error(self, store: Store) -> None:
        assert store.bring([]) == []

    def test_a_job_that_only_waited_waits_here(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        now = clock.now()
        one = job(body=b"x", headers={"a": "ä"}, created=now - 50, due=now - 40)
        assert store.bring([stood(one, State.READY, now - 40)]) == [True]
        lent = take_one(store)
        assert (lent.job.id, lent.job.body, lent.job.headers, lent.attempt, lent.deaths) == (one.id, b"x", {"a": "ä"}, 1, 0)
        assert lent.job.created == pytest.approx(now - 50, abs=1e-5)
        assert lent.job.due == pytest.approx(now - 40, abs=1e-5)
        done(store, lent)
        assert standing(store) == {}

    @needs(Feature.BROWSE, Feature.PRIORITY, Feature.DELAY, Feature.KEYS, Feature.KEEP, Feature.HISTORY)
    def test_everything_is_as_it_was(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        entries = everything(job, clock)
        for entry in entries:
            entry.error = entry.history[-1].error if entry.history else ""
        wanted = [kept(entry) for entry in entries]
        assert store.bring(entries) == [True] * len(entries)
        assert standing(store) == {"ready": 4, "delayed": 1, "dead": 1, "done": 2}
        found = {entry.job.id: entry for entry in store.browse(ALL)}
        assert [kept(found[entry.job.id]) for entry in entries] == wanted
        assert [kept(entry) for entry in entries] == wanted, "what was given was changed"

    @needs(Feature.BROWSE, Feature.PRIORITY, Feature.DELAY, Feature.KEYS, Feature.KEEP, Feature.HISTORY)
    def test_what_the_store_shows_can_be_brought_to_the_next(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        """There and back: shown, deleted, brought back, it is the same."""
        entries = everything(job, clock)
        store.bring(entries)
        shown = store.browse(ALL)
        assert store.delete(ALL) == len(entries)
        assert standing(store) == {}
        assert store.bring(shown) == [True] * len(entries)
        assert [kept(entry) for entry in store.browse(ALL)] == [kept(entry) for entry in shown]

    @needs(Feature.BROWSE)
    def test_one_that_was_running_waits_with_its_attempt_counted(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        now = clock.now()
        one = job(created=now - 50, due=now - 40)
        assert store.bring([stood(one, State.RUNNING, now + 30, attempts=2, deaths=1, holder="elsewhere:1:w")]) == [True]
        entry = store.browse(ALL)[0]
        assert (entry.state, entry.attempts, entry.deaths, entry.holder) == (State.READY, 2, 1, "")
        assert entry.due == pytest.approx(now - 40, abs=1e-5)
        lent = take_one(store)
        assert (lent.attempt, lent.deaths) == (3, 1)

    @needs(Feature.PRIORITY)
    def test_they_come_out_in_the_order_of_their_moments(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        """By (priority, due, id), among those that are here, whatever they have behind them and in whatever batches they came."""
        then = clock.now() - 60
        jobs = [job(body=b"%d" % n) for n in range(8)]
        rows = [
            (7, 50, 0.0, 0), (1, 50, 0.0, 2), (0, 50, 0.0, 0), (2, 50, 0.0, 0), (3, 50, 1.0, 0), (6, 10, 30.0, 1), (4, 50, 2.0, 0),
            (5, 50, 2.0, 0),
        ]  # fmt: skip
        entries = []
        for number, priority, after, count in rows:
            one = jobs[number]
            one.priority, one.created = priority, then
            entries.append(stood(one, State.READY, then + after, attempts=count))
        put_one(store, job(body=b"here"))
        assert store.bring(entries[:5]) + store.bring(entries[5:]) == [True] * 8
        assert [lent.job.body for lent in take(store, 9)] == [b"6", b"0", b"1", b"2", b"7", b"3", b"4", b"5", b"here"]

    @needs(Feature.DELAY)
    def test_a_delayed_one_comes_due_at_its_own_moment(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        now = clock.now()
        store.bring([stood(job(created=now - 100), State.DELAYED, now + 50)])
        assert take(store, 1) == []
        clock.advance(49)
        assert take(store, 1) == []
        clock.advance(1.1)
        assert take_one(store).attempt == 1

    @needs(Feature.DELAY)
    def test_the_state_follows_the_moment(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        """It was delayed when it was looked at; its moment has come since."""
        store.bring([stood(job(), State.DELAYED, clock.now() - 1)])
        assert standing(store) == {"ready": 1}

    def test_a_moment_that_nobody_told_is_now(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        store.bring([stood(job(), State.READY, 0.0)])
        lent = take_one(store)
        assert lent.job.created == pytest.approx(clock.now(), abs=0.01)
        assert lent.job.due == pytest.approx(clock.now(), abs=0.01)

    def test_a_ttl_goes_on_running(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        now = clock.now()
        store.bring([stood(job(ttl=40.0, created=now - 50), State.READY, now - 50)])
        assert take(store, 1) == []
        store.bring([stood(job(ttl=40.0, created=now - 30), State.READY, now - 30)])
        clock.advance(5)
        assert take_one(store).attempt == 1

    # -- what becomes of them

    @needs(Feature.BROWSE, Feature.HISTORY)
    def test_the_history_goes_on(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        now = clock.now()
        store.bring([stood(job(), State.READY, now - 5, attempts=12, history=attempts(12, now - 6))])
        lent = take_one(store)
        assert lent.attempt == 13
        clock.advance(1)
        last = Attempt(13, now, clock.now(), "w", "failed", "E: 13")
        store.bury([Handback(lent.receipt, attempt=last)])
        entry = store.browse(ALL)[0]
        assert [one.number for one in entry.history] == [*range(14 - HISTORY, 14)]
        assert (entry.attempts, entry.error) == (13, "E: 13")

    @needs(Feature.BROWSE, Feature.KEYS)
    def test_a_dead_one_is_as_dead_as_any(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        now = clock.now()
        one = job(key="k", once=True, body=b"x")
        store.bring([stood(one, State.DEAD, now - 50, attempts=3, deaths=3)])
        assert take(store, 1) == []
        assert store.put([job(id=one.id, once=True, key="k")]) == [True], "its id is known"
        assert standing(store) == {"dead": 1}
        other = put_one(store, job(key="k"))  # but its key is free
        assert store.requeue(ALL) == 0
        done(store, take_one(store))
        assert store.requeue(ALL) == 1
        assert store.put([job(key="k")]) == [False]
        lent = take_one(store)
        assert (lent.job.id, lent.attempt, lent.deaths, lent.job.body) == (one.id, 1, 0, b"x")
        assert lent.job.id != other.id
        done(store, lent)
        assert store.put([job(key="k")]) == [True]

    @needs(Feature.BROWSE, Feature.KEEP, Feature.KEYS)
    def test_a_done_one_is_forgotten_at_its_moment(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        now = clock.now()
        store.bring([stood(job(key="k", keep=999.0), State.DONE, now + 50, attempts=1, result=b"42")])
        assert store.put([job(key="k")]) == [False]
        clock.advance(48)
        assert store.browse(ALL)[0].result == b"42"
        clock.advance(7)
        assert standing(store) == {}
        assert store.put([job(key="k")]) == [True]

    @needs(Feature.BROWSE, Feature.KEEP)
    def test_a_done_one_whose_time_is_over_is_forgotten_at_once(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        assert store.bring([stood(job(), State.DONE, clock.now() - 1, result=b"42"), stood(job(), State.DONE, 0.0)]) == [True, True]
        assert store.browse(ALL) == []

    @needs(Feature.BROWSE, Feature.KEEP)
    def test_the_ended_can_be_requeued_and_deleted(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        now = clock.now()
        jobs = [job(body=b"%d" % n) for n in range(4)]
        states = (State.DEAD, State.DONE, State.DEAD, State.DONE)
        store.bring([stood(one, state, now + 99 * (state is State.DONE), result=b"r") for one, state in zip(jobs, states, strict=True)])
        assert store.delete(Query(ids=(jobs[0].id, jobs[1].id))) == 2
        assert store.requeue(Query(states=frozenset({State.DEAD, State.DONE}))) == 2
        for lent in take(store, 3):
            assert lent.attempt == 1
            done(store, lent)
        assert standing(store) == {}

    def test_whoever_waits_is_woken(self, store: Store, second: Store, clock: FakeClock, job: MakeJob) -> None:
        store.bring([stood(job(), State.READY, clock.now() - 1)])
        assert second.wait(["q"], 0.0)
        assert take_one(second).attempt == 1
