"""The contract of ack, nack and bury: final, fenced, and with the attempt counted and remembered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ...errors import BadValue, Unsupported
from ...job import HISTORY, Attempt, State
from ...store import Ack, Feature, Handback, Query, Store
from ..clock import FakeClock
from .harness import OTHER, Harness, MakeJob, done, needs, put_one, short, standing, take, take_one

GARBAGE = [
    "",
    "x",
    "q/h/x.0.1.0",
    "../../../etc/passwd",
    "a b",
    "\0",
    "0" * 32,
    "ä\U0001f600",
    "\ud800",
    "r" * 100_000,
    "/",
    "//",
    "a/" * 50,
]
SETTLERS: dict[str, Callable[[Store, str], list[bool]]] = {
    "ack": lambda store, receipt: store.ack([Ack(receipt)]),
    "nack": lambda store, receipt: store.nack([Handback(receipt)]),
    "bury": lambda store, receipt: store.bury([Handback(receipt)]),
}
VERBS = SETTLERS | {"extend": lambda store, receipt: store.extend([receipt], 30.0)}


def attempt(number: int, error: str = "ValueError: no") -> Attempt:
    return Attempt(number, 1.5 * number, 1.5 * number + 1, "host:1:w", "failed", error, f"Traceback {number}\n  ä\n")


class Settling(Harness):
    """ack, nack, bury, and receipts that count no more."""

    def test_an_empty_batch_is_no_error(self, store: Store) -> None:
        assert store.ack([]) == store.nack([]) == store.bury([]) == store.extend([], 30.0) == []

    def test_after_ack_the_job_is_gone_for_good(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        done(store, take_one(store, lease=10.0))
        assert standing(store) == {}
        clock.advance(3600)
        assert take(store, 1) == []
        assert standing(store) == {}

    @needs(Feature.DELAY)
    def test_nack_makes_it_due_after_the_delay(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        one = put_one(store, job(body=b"x", headers={"a": "1"}))
        assert store.nack([Handback(take_one(store).receipt, delay=10.0)]) == [True]
        assert standing(store) == {"delayed": 1}
        clock.advance(9.9)
        assert take(store, 1) == []
        clock.advance(0.2)
        again = take_one(store)
        assert (again.job.id, again.job.body, again.job.headers) == (one.id, b"x", {"a": "1"})
        assert (again.attempt, again.deaths) == (2, 0)

    def test_nack_without_delay_is_due_at_once(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        for number in (1, 2, 3):
            lent = take_one(store)
            assert lent.attempt == number
            assert store.nack([Handback(lent.receipt)]) == [True]

    def test_a_restored_attempt_did_not_count(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        store.nack([Handback(take_one(store).receipt)])
        for _ in range(3):
            lent = take_one(store)
            assert (lent.attempt, lent.deaths) == (2, 0)
            store.nack([Handback(lent.receipt, restore=True)])

    @needs(Feature.PRIORITY)
    def test_a_handback_may_change_the_priority(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(body=b"a"))
        put_one(store, job(body=b"b"))
        first, second = take(store, 2)
        store.nack([Handback(first.receipt), Handback(second.receipt, priority=4)])
        again = take(store, 2)
        assert [(one.job.body, one.job.priority) for one in again] == [(b"b", 4), (b"a", 50)]

    def test_bury_keeps_it_as_dead(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        assert store.bury([Handback(take_one(store).receipt)]) == [True]
        assert standing(store) == {"dead": 1}
        clock.advance(10 * 365 * 86400)
        assert take(store, 1) == []
        assert standing(store) == {"dead": 1}

    def test_a_mixed_batch_is_answered_in_its_order(self, store: Store, job: MakeJob) -> None:
        store.put([job() for _ in range(9)])
        lent = take(store, 9)
        done(store, lent[1])
        receipts = [lent[0].receipt, lent[1].receipt, "nonsense", lent[2].receipt, lent[2].receipt]
        assert store.ack([Ack(receipt) for receipt in receipts]) == [True, False, False, True, False]
        assert store.nack([Handback(one.receipt) for one in (lent[0], lent[3], lent[3])]) == [False, True, False]
        assert store.bury([Handback(one.receipt) for one in (lent[4], lent[3], lent[5])]) == [True, False, True]
        assert standing(store) == {"ready": 1, "dead": 2, "running": 3}

    def test_a_whole_batch_is_settled_at_once(self, store: Store, job: MakeJob) -> None:
        store.put([job() for _ in range(100)])
        store.put([job("other") for _ in range(3)])
        lent = take(store, 200, "q", "other")
        assert store.ack([Ack(one.receipt) for one in lent]) == [True] * 103
        assert standing(store) == standing(store, "other") == {}

    @pytest.mark.parametrize("delay", [-1.0, float("nan"), float("inf"), "1", None], ids=short)
    def test_a_bad_delay_is_refused_and_the_claim_stands(self, store: Store, job: MakeJob, delay: float) -> None:
        store.put([job(), job()])
        one, other = take(store, 2)
        with pytest.raises((BadValue, Unsupported)):
            store.nack([Handback(one.receipt), Handback(other.receipt, delay=delay)])
        assert store.ack([Ack(one.receipt), Ack(other.receipt)]) == [True, True]

    @pytest.mark.parametrize("priority", [-1, 100, 1.0, "1"], ids=short)
    def test_a_bad_priority_is_refused_and_the_claim_stands(self, store: Store, job: MakeJob, priority: int) -> None:
        put_one(store, job())
        lent = take_one(store)
        with pytest.raises((BadValue, Unsupported)):
            store.nack([Handback(lent.receipt, priority=priority)])
        done(store, lent)

    # -- fencing

    @pytest.mark.parametrize("after", SETTLERS)
    @pytest.mark.parametrize("verb", VERBS)
    def test_a_settled_claim_counts_no_more(self, store: Store, job: MakeJob, verb: str, after: str) -> None:
        put_one(store, job())
        lent = take_one(store)
        assert SETTLERS[after](store, lent.receipt) == [True]
        before = standing(store)
        assert VERBS[verb](store, lent.receipt) == [False]
        assert standing(store) == before

    @pytest.mark.parametrize("verb", VERBS)
    def test_after_anothers_claim_a_receipt_counts_no_more(self, store: Store, clock: FakeClock, job: MakeJob, verb: str) -> None:
        put_one(store, job())
        late = take_one(store, lease=10.0)
        clock.advance(10 + self.slack)
        holder = take_one(store, lease=10.0, holder=OTHER)
        assert VERBS[verb](store, late.receipt) == [False]
        assert standing(store) == {"running": 1}
        clock.advance(9)
        assert take(store, 1) == [], "the late one changed the lease of the new holder"
        done(store, holder)
        assert VERBS[verb](store, late.receipt) == [False]
        assert standing(store) == {}

    @pytest.mark.parametrize("verb", VERBS)
    def test_the_late_one_may_be_in_another_store_object(
        self, store: Store, second: Store, clock: FakeClock, job: MakeJob, verb: str
    ) -> None:
        put_one(store, job())
        late = take_one(store, lease=10.0)
        clock.advance(10 + self.slack)
        holder = take_one(second, holder=OTHER)
        assert VERBS[verb](store, late.receipt) == VERBS[verb](second, late.receipt) == [False]
        done(second, holder)

    @pytest.mark.parametrize("verb", SETTLERS)
    def test_a_receipt_works_from_another_store_object(self, store: Store, second: Store, job: MakeJob, verb: str) -> None:
        store.put([job() for _ in range(3)])
        lent = take(store, 3)
        assert second.extend([lent[1].receipt], 60.0) == [True]
        assert SETTLERS[verb](second, lent[1].receipt) == [True]
        assert SETTLERS[verb](store, lent[1].receipt) == [False]
        assert store.ack([Ack(lent[0].receipt), Ack(lent[2].receipt)]) == [True, True]

    def test_an_ack_after_the_lease_is_honest(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        """Nobody else has claimed yet: the store may take it or refuse it, but the job does as the answer says."""
        put_one(store, job())
        lent = take_one(store, lease=10.0)
        clock.advance(10 + self.slack)
        accepted = store.ack([Ack(lent.receipt)])[0]
        clock.advance(60)
        assert len(take(store, 1)) == (0 if accepted else 1)

    @pytest.mark.parametrize("verb", VERBS)
    def test_garbage_is_no_receipt(self, store: Store, job: MakeJob, verb: str) -> None:
        put_one(store, job())
        lent = take_one(store)
        half = len(lent.receipt) // 2
        forged = [
            lent.receipt[:-1],
            lent.receipt[half:],
            lent.receipt[:half],
            lent.receipt[::-1],
            f"../q/{lent.receipt}",
            f"{lent.receipt}/..",
        ]
        for receipt in GARBAGE + forged:
            assert VERBS[verb](store, receipt) == [False], ascii(receipt)[:60]
        assert standing(store) == {"running": 1}
        done(store, lent)

    # -- what is remembered

    @needs(Feature.HISTORY, Feature.BROWSE)
    def test_every_attempt_is_remembered(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        for number in (1, 2):
            store.nack([Handback(take_one(store).receipt, attempt=attempt(number))])
        entry = store.browse(Query())[0]
        assert entry.history == [attempt(1), attempt(2)]
        assert (entry.attempts, entry.error) == (2, "ValueError: no")
        store.bury([Handback(take_one(store).receipt, attempt=attempt(3, "OSError: full"))])
        entry = store.browse(Query())[0]
        assert entry.history == [attempt(1), attempt(2), attempt(3, "OSError: full")]
        assert (entry.state, entry.error) == (State.DEAD, "OSError: full")

    @needs(Feature.HISTORY, Feature.BROWSE)
    def test_an_attempt_without_a_number_gets_that_of_its_claim(self, store: Store, job: MakeJob) -> None:
        """Who has nothing but a receipt does not know it."""
        put_one(store, job())
        for _ in range(2):
            store.nack([Handback(take_one(store).receipt, attempt=attempt(0))])
        store.nack([Handback(take_one(store).receipt, restore=True)])
        store.bury([Handback(take_one(store).receipt, attempt=attempt(0, "OSError: full"))])
        assert [(one.number, one.error) for one in store.browse(Query())[0].history] == [
            (1, "ValueError: no"),
            (2, "ValueError: no"),
            (3, "OSError: full"),
        ]

    @needs(Feature.HISTORY, Feature.BROWSE)
    def test_attempts_of_a_batch_are_each_their_own(self, store: Store, job: MakeJob) -> None:
        jobs = [job() for _ in range(4)]
        store.put(jobs)
        lent = take(store, 4)
        store.nack([Handback(one.receipt, attempt=attempt(1, f"E: {place}")) for place, one in enumerate(lent)])
        errors = {entry.job.id: [one.error for one in entry.history] for entry in store.browse(Query())}
        assert errors == {one.id: [f"E: {place}"] for place, one in enumerate(jobs)}

    @needs(Feature.HISTORY, Feature.BROWSE)
    def test_the_last_ten_attempts_are_kept(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        for number in range(1, HISTORY + 4):
            store.nack([Handback(take_one(store).receipt, attempt=attempt(number))])
        assert [one.number for one in store.browse(Query())[0].history] == list(range(4, HISTORY + 4))

    @needs(Feature.HISTORY, Feature.BROWSE)
    def test_a_lost_receipt_adds_nothing_to_the_history(self, store: Store, job: MakeJob) -> None:
        put_one(store, job())
        lent = take_one(store)
        store.nack([Handback(lent.receipt, attempt=attempt(1))])
        store.nack([Handback(lent.receipt, attempt=attempt(2))])
        store.bury([Handback(lent.receipt, attempt=attempt(3))])
        assert store.browse(Query())[0].history == [attempt(1)]

    @needs(Feature.HISTORY, Feature.BROWSE)
    @pytest.mark.parametrize("verb", ["nack", "bury"])
    def test_nor_does_one_that_was_settled_elsewhere(self, store: Store, second: Store, job: MakeJob, verb: str) -> None:
        put_one(store, job())
        lent = take_one(store)
        assert second.nack([Handback(lent.receipt, attempt=attempt(1))]) == [True]
        for late in (store, second):
            assert getattr(late, verb)([Handback(lent.receipt, attempt=attempt(2))]) == [False]
        assert second.browse(Query())[0].history == [attempt(1)]

    @needs(Feature.HISTORY, Feature.BROWSE)
    @pytest.mark.parametrize("verb", ["nack", "bury"])
    def test_a_receipt_twice_in_one_batch_is_remembered_once(self, store: Store, job: MakeJob, verb: str) -> None:
        put_one(store, job())
        lent = take_one(store)
        assert getattr(store, verb)([Handback(lent.receipt, attempt=attempt(number)) for number in (1, 2)]) == [True, False]
        assert store.browse(Query())[0].history == [attempt(1)]

    def test_attempts_need_no_place_to_be_remembered(self, store: Store, job: MakeJob) -> None:
        """A worker always says what happened; an engine without history takes it, and drops it."""
        put_one(store, job())
        assert store.nack([Handback(take_one(store).receipt, attempt=attempt(1))]) == [True]
        assert store.bury([Handback(take_one(store).receipt, attempt=attempt(2))]) == [True]
        assert standing(store) == {"dead": 1}
