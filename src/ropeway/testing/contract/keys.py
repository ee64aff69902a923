"""The contract of unique keys: one key, one live job in a queue."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ...names import KEY_LIMIT
from ...store import Feature, Handback, Query, Store
from ..clock import FakeClock
from .harness import ALL, Harness, MakeJob, done, needs, put_one, short, standing, take, take_one

KEYS = ["a", "a/b", "../../etc/passwd", ".", " ", "\n\t", "ä\U0001f600", "%00", "*", "x" * KEY_LIMIT, "schedule:nightly:2027-01-15T03:00"]


class Keys(Harness):
    """key: unique while the job lives."""

    @needs(Feature.KEYS)
    def test_a_taken_key_is_refused_and_nothing_is_stored(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(body=b"first", key="k"))
        assert store.put([job(body=b"second", key="k")]) == [False]
        assert standing(store) == {"ready": 1}
        assert take_one(store).job.body == b"first"

    @needs(Feature.KEYS)
    def test_only_those_refused_are_left_out_of_a_batch(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(key="taken"))
        assert store.put([job(), job(key="taken"), job(key="new"), job(key="new"), job()]) == [True, False, True, False, True]
        assert standing(store) == {"ready": 4}

    @needs(Feature.KEYS)
    def test_the_same_job_again_is_no_conflict(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        one = put_one(store, job(key="k"))
        clock.advance(1)
        assert store.put([one, one]) == [True, True]
        assert standing(store) == {"ready": 1}

    @needs(Feature.KEYS)
    def test_each_queue_has_keys_of_its_own(self, store: Store, job: MakeJob) -> None:
        assert store.put([job("a", key="k"), job("b", key="k")]) == [True, True]

    @pytest.mark.parametrize("key", KEYS, ids=short)
    @needs(Feature.KEYS)
    def test_any_text_is_a_key_and_only_equals_itself(self, store: Store, job: MakeJob, key: str) -> None:
        put_one(store, job(key=key))
        assert store.put([job(key=key)]) == [False]
        assert store.put([job(key=key[:-1] + ("B" if key[-1] != "B" else "C"))]) == [True]
        assert take_one(store).job.key == key

    @needs(Feature.KEYS, Feature.DELAY)
    def test_held_while_delayed_running_and_given_back(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(key="k", delay=60.0))
        assert store.put([job(key="k")]) == [False]
        clock.advance(61)
        lent = take_one(store, lease=10.0)
        assert store.put([job(key="k")]) == [False]
        store.nack([Handback(lent.receipt)])
        assert store.put([job(key="k")]) == [False]
        take_one(store, lease=10.0)
        clock.advance(10 + self.slack)
        assert store.put([job(key="k")]) == [False]
        take_one(store)

    @needs(Feature.KEYS)
    def test_released_by_ack(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        for number in range(3):
            put_one(store, job(body=b"%d" % number, key="k"))
            done(store, take_one(store))
            clock.advance(0.01)
        assert standing(store) == {}

    @needs(Feature.KEYS, Feature.KEEP)
    def test_held_while_kept_as_done(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(key="k", keep=60.0))
        done(store, take_one(store))
        clock.advance(50)
        assert store.put([job(key="k")]) == [False]
        clock.advance(11 + self.slack)
        assert store.put([job(key="k")]) == [True]

    @needs(Feature.KEYS)
    def test_released_by_bury(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(key="k"))
        store.bury([Handback(take_one(store).receipt)])
        assert store.put([job(key="k")]) == [True]

    @needs(Feature.KEYS, Feature.BROWSE)
    def test_a_dead_job_comes_back_only_to_a_free_key(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(body=b"dead", key="k"))
        store.bury([Handback(take_one(store).receipt)])
        put_one(store, job(body=b"live", key="k"))
        assert store.requeue(ALL) == 0
        assert standing(store) == {"ready": 1, "dead": 1}
        done(store, take_one(store))
        assert store.requeue(ALL) == 1
        assert store.put([job(key="k")]) == [False]
        assert take_one(store).job.body == b"dead"

    @needs(Feature.KEYS, Feature.BROWSE)
    def test_released_by_delete(self, store: Store, job: MakeJob) -> None:
        one = put_one(store, job(key="k"))
        assert store.delete(Query(ids=(one.id,))) == 1
        assert store.put([job(key="k")]) == [True]

    @needs(Feature.KEYS)
    def test_released_when_the_ttl_has_removed_it(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(key="k", ttl=10.0))
        clock.advance(11)
        assert take(store, 1) == []
        assert store.put([job(key="k")]) == [True]

    @needs(Feature.KEYS)
    def test_held_by_a_run_whose_ttl_is_over(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(key="k", ttl=10.0))
        lent = take_one(store, lease=60.0)
        clock.advance(20)
        assert store.put([job(key="k")]) == [False]
        done(store, lent)

    @needs(Feature.KEYS)
    def test_of_many_at_once_one_wins(self, store: Store, second: Store, job: MakeJob) -> None:
        for _ in range(10):
            jobs = [job(key="k") for _ in range(8)]
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda place: (store, second)[place % 2].put([jobs[place]]), range(8)))  # noqa: B023
            assert answers.count([True]) == 1
            done(store, take_one(store))
        assert standing(store) == {}
