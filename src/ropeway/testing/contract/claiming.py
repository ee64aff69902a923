"""The contract of claim: in order, never early, counted, and one holder at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ...errors import BadValue
from ...store import Ack, Feature, Handback, Holder, Store
from ..clock import FakeClock
from .harness import HOLDER, OTHER, Harness, MakeJob, done, needs, put_one, put_some, standing, take, take_one


class Claiming(Harness):
    """claim, and what a lease means."""

    def test_an_empty_queue_gives_nothing_at_once(self, store: Store) -> None:
        assert store.claim(["q", "never-seen"], 10, 30.0, HOLDER) == []
        assert store.claim([], 10, 30.0, HOLDER) == []

    def test_first_put_first_out(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        ids = []
        for number in range(40):
            ids.append(put_one(store, job()).id)
            clock.advance(0.001 * (number % 3))
        ids += [one.id for one in put_some(store, job, 40)]
        out: list[str] = []
        while lent := store.claim(["q"], 7, 30.0, HOLDER):
            assert len(lent) <= 7
            out += [one.job.id for one in lent]
        assert out == ids

    def test_of_two_due_at_once_the_smaller_id_is_first(self, store: Store, job: MakeJob) -> None:
        early, late = job(), job()
        put_one(store, late)
        put_one(store, early)
        assert [one.job.id for one in take(store, 2)] == [early.id, late.id]

    @needs(Feature.PRIORITY)
    def test_low_numbers_first_and_in_order_among_equals(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        for priority in (90, 50, 10, 50, 0, 99, 10):
            put_one(store, job(body=b"%d" % priority, priority=priority))
            clock.advance(0.01)
        lent = take(store, 10)
        assert [one.job.body for one in lent] == [b"0", b"10", b"10", b"50", b"50", b"90", b"99"]
        assert [one.job.due for one in lent[1:5]] == sorted(one.job.due for one in lent[1:3]) + sorted(one.job.due for one in lent[3:5])

    @needs(Feature.PRIORITY)
    def test_an_urgent_job_is_in_the_very_next_claim(self, store: Store, job: MakeJob) -> None:
        put_some(store, job, 20)
        take_one(store)
        for _ in range(5):
            urgent = put_one(store, job(priority=3))
            assert take_one(store).job.id == urgent.id

    def test_queues_in_the_order_they_are_asked(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        for name in ("b", "a", "c", "a"):
            put_one(store, job(name))
            clock.advance(0.01)
        assert [one.job.queue for one in take(store, 9, "a", "c", "b")] == ["a", "a", "c", "b"]

    def test_the_limit_is_a_limit(self, store: Store, job: MakeJob) -> None:
        put_some(store, job, 10)
        assert 1 <= len(store.claim(["q"], 3, 30.0, HOLDER)) <= 3
        for limit in (0, -1):
            with pytest.raises(BadValue):
                store.claim(["q"], limit, 30.0, HOLDER)

    def test_what_is_claimed_is_running_and_nobody_elses(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        take_one(store)
        assert standing(store) == {"running": 1}
        assert take(store, 1, holder=OTHER) == []

    def test_nobody_elses_in_another_store_object_either(self, store: Store, second: Store, job: MakeJob) -> None:
        put_some(store, job, 2)
        first, other = take_one(store), take_one(second, holder=OTHER)
        assert first.job.id != other.job.id
        assert take(store, 1) == take(second, 1) == []
        assert standing(store) == standing(second) == {"running": 2}

    def test_a_receipt_is_a_word(self, store: Store, job: MakeJob) -> None:
        put_some(store, job, 30)
        receipts = [one.receipt for one in take(store, 30)]
        assert len(set(receipts)) == 30
        for receipt in receipts:
            assert receipt.isascii()
            assert receipt.isprintable()
            assert " " not in receipt
            assert 16 <= len(receipt) <= 1024

    def test_the_holders_name_is_any_text(self, store: Store, job: MakeJob) -> None:
        """It is for people, and comes from outside: it must break neither the store nor the receipt."""
        for name in ("", "a b/../c\n", "\0", "ä" * 500, "x" * 5000):
            put_one(store, job())
            lent = take_one(store, holder=Holder(name))
            assert not set(lent.receipt) & set(" \n\0")
            done(store, lent)
        assert standing(store) == {}

    # -- delay

    @needs(Feature.DELAY)
    def test_never_early(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(delay=10.0))
        for wait in (0, 5, 4.9):
            clock.advance(wait)
            assert take(store, 1) == []
            assert standing(store) == {"delayed": 1}
        clock.advance(0.2)
        assert standing(store) == {"ready": 1}
        take_one(store)

    @needs(Feature.DELAY)
    def test_one_that_comes_due_takes_its_place_by_due(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        delayed = put_one(store, job(delay=10.0))
        before = put_one(store, job(delay=5.0))
        clock.advance(20)
        now = put_one(store, job())
        assert [one.job.id for one in take(store, 3)] == [before.id, delayed.id, now.id]

    @needs(Feature.DELAY)
    def test_delays_of_all_lengths(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        delays = [0.05, 1.0, 59.0, 61.0, 3600.0, 86400.0, 30 * 86400.0, 366 * 86400.0]
        jobs = [job(delay=delay) for delay in delays]
        store.put(jobs[::-1])
        for one in jobs:
            clock.advance(max(0.0, one.due - 0.01 - clock.now()))
            assert take(store, 1) == []
            clock.advance(0.02)
            lent = take_one(store)
            assert lent.job.id == one.id
            done(store, lent)

    @needs(Feature.DELAY)
    def test_a_wall_clock_set_back_makes_nothing_early(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(delay=10.0))
        clock.step(-100)
        clock.advance(20)
        assert take(store, 1) == []
        clock.advance(91)
        take_one(store)

    @needs(Feature.DELAY)
    def test_nor_what_was_due_before_it_was_set_back(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(delay=10.0))
        clock.advance(11)
        assert standing(store) == {"ready": 1}
        clock.step(-100)
        assert take(store, 1) == []
        clock.advance(101)
        take_one(store)

    # -- ttl

    def test_a_job_past_its_ttl_is_not_handed_out(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(body=b"stale", ttl=10.0))
        fresh = put_one(store, job(ttl=30.0))
        clock.advance(11)
        assert [one.job.id for one in take(store, 5)] == [fresh.id]
        assert standing(store) == {"running": 1}

    @needs(Feature.DELAY)
    def test_a_ttl_that_ends_before_the_delay(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(ttl=10.0, delay=20.0))
        clock.advance(30)
        assert take(store, 1) == []
        assert standing(store) == {}

    def test_a_ttl_stops_no_run(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(ttl=10.0))
        lent = take_one(store, lease=60.0)
        clock.advance(30)
        done(store, lent)

    def test_a_job_given_back_after_its_ttl_is_gone(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(ttl=10.0))
        lent = take_one(store, lease=60.0)
        clock.advance(30)
        assert store.nack([Handback(lent.receipt)]) == [True]
        assert take(store, 1) == []
        assert standing(store) == {}

    # -- many at once

    def test_threads_never_share_a_job(self, store: Store, job: MakeJob) -> None:
        put_some(store, job, 150)
        for _ in range(50):
            put_one(store, job())

        def work(_: int) -> list[str]:
            mine = []
            while lent := store.claim(["q"], 5, 30.0, HOLDER):
                mine += [one.job.id for one in lent]
                assert all(store.ack([Ack(one.receipt) for one in lent]))
            return mine

        with ThreadPoolExecutor(6) as pool:
            out = [job_id for mine in pool.map(work, range(6)) for job_id in mine]
        assert len(out) == len(set(out)) == 200
        assert standing(store) == {}
