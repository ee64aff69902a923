"""The keeper: leases are renewed from beside, and a run whose lease is lost is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ropeway.errors import StoreError
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock
from ropeway.worker.journal import Counters, Journal
from ropeway.worker.keeper import OVERTIME, Keeper
from ropeway.worker.run import Run, Shift, Verdict

from .conftest import until
from .fakes import faulty_link


class Kept:
    """A keeper with some claims, on a clock that a test moves."""

    def __init__(self, count: int = 2, lease: float = 30.0) -> None:
        self.clock = FakeClock()
        self.link, self.faulty = faulty_link("memory:", self.clock)
        self.shift = Shift(self.link, lease)
        self.queue: Queue[Any] = Queue(self.link, "q")
        self.handles = self.queue.put_many(range(count))
        lents = self.link.store.claim(("q",), count, lease, self.link.holder())
        self.runs = [Run(lent, self.shift, self.clock.boot(), started=self.clock.boot()) for lent in lents]
        self.stopped: list[Run] = []
        self.keeper = Keeper(self.shift, Journal(self.shift, Counters()), self.held, self.stopped.append)

    def held(self) -> Sequence[Run]:
        return list(self.runs)

    def lease_left(self, run: Run) -> float:
        return run.lent.until - self.clock.boot()


def test_a_tick_renews_what_is_held_in_one_call() -> None:
    kept = Kept(1200)
    kept.clock.advance(20)
    kept.keeper.tick()
    assert kept.faulty.calls.count("extend") == 3
    assert {kept.lease_left(run) for run in kept.runs} == {30.0}
    kept.clock.advance(20)
    assert not kept.link.store.claim(("q",), 1, 30.0, kept.link.holder()), "the first lease was over 10 s ago"


def test_nothing_held_asks_nothing() -> None:
    kept = Kept(1)
    kept.runs.clear()
    kept.keeper.tick()
    kept.keeper.look()
    assert "extend" not in kept.faulty.calls
    assert "notes" not in kept.faulty.calls


def test_a_lost_claim_is_told_and_stopped() -> None:
    kept = Kept(2)
    kept.clock.advance(20)
    assert kept.link.store.extend([kept.runs[1].lent.receipt], 30.0) == [True]
    kept.clock.advance(11)
    (other,) = kept.link.store.claim(("q",), 1, 30.0, kept.link.holder())
    kept.keeper.tick()
    lost = [run for run in kept.runs if run.verdict is Verdict.LOST]
    assert [run.lent.job.id for run in lost] == [other.job.id]
    assert kept.stopped == lost
    assert lost[0].lost


def test_what_has_just_been_settled_is_not_lost() -> None:
    """The answer is False because we acked it while the keeper asked."""
    kept = Kept(1)
    (run,) = kept.runs
    extend = kept.faulty.inner.extend

    def meanwhile(receipts: Sequence[str], lease: float) -> list[bool]:
        from ropeway.store import Ack

        run.ended = kept.clock.boot()
        assert kept.link.store.ack([Ack(run.lent.receipt)]) == [True]
        return extend(receipts, lease)

    kept.faulty.inner.extend = meanwhile  # type: ignore[method-assign]
    kept.keeper.tick()
    assert run.verdict is Verdict.NONE
    assert not kept.stopped


def test_a_store_that_is_away_loses_nothing_before_the_lease_ends() -> None:
    kept = Kept(1)
    (run,) = kept.runs
    kept.faulty.fail("extend", times=4)
    for _ in range(2):
        kept.clock.advance(10)
        with pytest.raises(StoreError):
            kept.keeper.tick()
        assert run.verdict is Verdict.NONE
    kept.clock.advance(11)
    with pytest.raises(StoreError):
        kept.keeper.tick()
    assert run.verdict is Verdict.LOST
    assert kept.stopped == [run]


def test_a_run_that_hangs_past_its_deadline_is_not_kept_for_ever() -> None:
    kept = Kept(1)
    (run,) = kept.runs
    run.deadline = kept.clock.boot() + 5
    kept.clock.advance(5 + OVERTIME - 1)
    kept.keeper.tick()
    assert kept.lease_left(run) == 30.0
    kept.clock.advance(2)
    kept.keeper.tick()
    assert kept.lease_left(run) == 28.0


def test_a_longer_lease_that_the_job_took_itself_is_left_alone() -> None:
    kept = Kept(1)
    (run,) = kept.runs
    assert kept.link.store.extend([run.lent.receipt], 300.0) == [True]
    run.lent.until = kept.clock.boot() + 300
    kept.keeper.tick()
    assert kept.lease_left(run) == 300.0


def test_a_job_called_back_while_it_runs_is_stopped() -> None:
    kept = Kept(2)
    assert kept.handles[0].cancel()
    kept.keeper.look()
    assert not kept.stopped, "runs shorter than a second are not worth the question"
    kept.clock.advance(2)
    kept.keeper.look()
    (stopped,) = kept.stopped
    assert stopped.lent.job.id == kept.handles[0].id
    assert stopped.verdict is Verdict.CANCELLED
    assert kept.link.store.notes.notes("cancel/") == {}


def test_its_thread_ticks_each_third_of_the_lease(memory: Link) -> None:
    kept = Kept(1, lease=30.0)
    clock = FakeClock(autojump=False)
    kept.link.clock = clock
    kept.shift.boot = clock.boot
    kept.keeper.start()
    try:
        for step in range(1, 35):
            clock.until_asleep()
            before = kept.faulty.calls.count("extend")
            clock.advance(1.0)
            if step in (10, 20, 30):
                until(lambda before=before: kept.faulty.calls.count("extend") > before)
            assert kept.faulty.calls.count("extend") <= step // 10
    finally:
        kept.keeper._end.set()
        kept.keeper.close()
    assert kept.faulty.calls.count("extend") == 3
