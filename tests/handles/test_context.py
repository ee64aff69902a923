"""A claim as a context manager, and the loop of claims: what each way of leaving does to the job."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway.errors import BadValue, Discard, LeaseLost, RetryLater, Stopped
from ropeway.events import Event
from ropeway.job import State
from ropeway.link import Link
from ropeway.options import Settings
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.testing.clock import FakeClock

Mails = Queue[Any]


@pytest.fixture
def strict(link: Link) -> Mails:
    """Three attempts, ten seconds apart."""
    return Queue(link, "strict", settings=Settings(retry=Retry(3, base=10, factor=1, jitter=0, give_up_on=KeyError)))


def test_left_well_is_acked(mails: Mails) -> None:
    handle = mails.put(1, keep=60)
    with mails.claim() or pytest.fail("no claim") as claim:
        assert claim.data == 1
    assert handle.state() is State.DONE


def test_settled_inside_is_left_alone(mails: Mails) -> None:
    mails.put(1)
    with mails.claim() or pytest.fail("no claim") as claim:
        claim.bury("by hand")
    assert mails.browse()[0].state is State.DEAD


def test_an_exception_goes_back_by_the_policy_and_goes_on(strict: Mails, clock: FakeClock) -> None:
    strict.put(1)
    for number in (1, 2, 3):
        claim = strict.claim()
        assert claim is not None
        with pytest.raises(ValueError, match="no such host"), claim:
            raise ValueError(f"no such host {number}")
        [entry] = strict.browse()
        assert entry.error == f"ValueError: no such host {number}"
        if number < 3:
            assert (entry.state, entry.due) == (State.DELAYED, pytest.approx(clock.now() + 10))
            assert strict.claim() is None
            clock.advance(10.5)
    assert entry.state is State.DEAD
    assert [attempt.number for attempt in entry.history] == [1, 2, 3]
    last = entry.history[-1]
    assert (last.outcome, last.error) == ("failed", "ValueError: no such host 3")
    assert last.traceback.startswith("Traceback (most recent call last):\n")
    assert "test_context.py" in last.traceback
    assert 'raise ValueError(f"no such host {number}")' in last.traceback


def test_an_error_that_is_permanent_is_buried_at_once(strict: Mails) -> None:
    strict.put(1)
    with pytest.raises(KeyError), strict.claim() or pytest.fail("no claim"):
        raise KeyError("user")
    assert strict.browse()[0].state is State.DEAD


def test_retry_later_costs_no_attempt_and_ends_here(strict: Mails, clock: FakeClock) -> None:
    strict.put(1)
    for _ in range(5):
        with strict.claim() or pytest.fail("no claim") as claim:
            assert claim.attempt == 1
            raise RetryLater("2m", "the shop is closed")
        [entry] = strict.browse()
        assert (entry.state, entry.due) == (State.DELAYED, pytest.approx(clock.now() + 120))
        clock.advance(121)


def test_discard_buries_with_its_reason_and_ends_here(strict: Mails) -> None:
    strict.put(1)
    with strict.claim() or pytest.fail("no claim"):
        raise Discard("no such user")
    [entry] = strict.browse()
    assert (entry.state, entry.error) == (State.DEAD, "no such user")


def test_an_interrupt_is_not_the_jobs_fault(strict: Mails) -> None:
    strict.put(1)
    with pytest.raises(KeyboardInterrupt), strict.claim() or pytest.fail("no claim"):
        raise KeyboardInterrupt
    [entry] = strict.browse()
    assert (entry.state, entry.attempts) == (State.READY, 0)


def test_a_lease_lost_meanwhile_is_said_when_all_went_well(mails: Mails, clock: FakeClock) -> None:
    mails.put(1)
    with pytest.raises(LeaseLost), mails.claim(lease=5) or pytest.fail("no claim"):
        clock.advance(6)
    assert mails.claim() is not None


def test_a_lease_lost_meanwhile_does_not_hide_the_error(mails: Mails, clock: FakeClock) -> None:
    mails.put(1)
    with pytest.raises(ValueError, match="mine"), mails.claim(lease=5) or pytest.fail("no claim"):
        clock.advance(6)
        raise ValueError("mine")
    claim = mails.claim()
    assert claim is not None
    assert claim.attempt == 2


def test_listeners_hear_of_the_end(link: Link, strict: Mails) -> None:
    heard: list[Event] = []
    link.on(heard.append)
    strict.put(1)
    for name in ("retried", "retried", "buried"):
        heard.clear()
        with pytest.raises(ValueError, match="x"), strict.claim(timeout=60) or pytest.fail("no claim"):
            raise ValueError("x")
        [event] = [event for event in heard if event.name in ("retried", "buried")]
        assert (event.name, event.queue, event.error) == (name, "strict", "ValueError: x")
    assert {"claim", "nack", "bury"} <= {event.name for event in heard} | {"nack"}


# The loop


def test_the_loop_outlives_a_failing_job(strict: Mails) -> None:
    strict.put_many([1, 2, 3])
    seen = []
    for claim in strict.claims(idle=0):
        with claim:
            seen.append(claim.data)
            if claim.data == 2:
                raise ValueError("two")
    assert seen == [1, 2, 3]
    [entry] = strict.browse()
    assert (entry.job.body, entry.state, entry.error) == (b"2", State.DELAYED, "ValueError: two")


def test_the_loop_does_not_outlive_an_interrupt(strict: Mails) -> None:
    strict.put_many([1, 2, 3])
    with pytest.raises(KeyboardInterrupt):
        for claim in strict.claims(idle=0, batch=3):
            with claim:
                raise KeyboardInterrupt
    assert [(e.state, e.attempts) for e in strict.browse()] == [(State.READY, 0)] * 3


def test_idle_ends_the_loop_and_waits_for_what_comes_due(mails: Mails, clock: FakeClock) -> None:
    mails.put(1, delay=8)
    before, seen = clock.boot(), 0
    for claim in mails.claims(idle="10s"):
        with claim:
            seen += 1
    assert seen == 1
    assert clock.boot() - before == pytest.approx(18, abs=1)


def test_what_was_not_handed_out_goes_back_uncounted(mails: Mails) -> None:
    mails.put_many(range(10))
    for claim in mails.claims(idle=0, batch=5):
        with claim:
            break
    counts = mails.counts()
    assert (counts.ready, counts.running) == (9, 0)
    assert {entry.attempts for entry in mails.browse()} == {0}
    loop = mails.claims(idle=0, batch=4)
    next(loop)
    assert mails.counts().running == 4
    loop.close()
    assert mails.counts().running == 1


def test_the_hand_is_renewed_before_a_stale_one_is_handed_out(mails: Mails, clock: FakeClock) -> None:
    mails.put_many(range(4))
    seen = []
    for claim in mails.claims(idle=0, batch=4, lease=30):
        with claim:
            assert claim.until - clock.boot() > 10
            seen.append(claim.data)
            clock.advance(25)
    assert seen == [0, 1, 2, 3]
    assert mails.browse() == []


def test_what_was_lost_in_hand_is_not_handed_out(mails: Mails, clock: FakeClock) -> None:
    mails.put_many(range(3))
    loop = mails.claims(idle=0, batch=3, lease=30)
    next(loop).ack()
    clock.advance(31)
    others = [mails.claim(), mails.claim()]
    assert all(others)
    assert list(loop) == []


def test_a_paused_queue_is_waited_for_and_then_said(mails: Mails, clock: FakeClock) -> None:
    mails.put(1)
    mails.pause(reason="deploy")
    before = clock.boot()
    with pytest.raises(Stopped, match="deploy"):
        next(mails.claims(idle=10))
    assert clock.boot() - before >= 10
    with pytest.raises(Stopped):
        next(mails.claims(idle=0))
    mails.resume()
    assert next(mails.claims(idle=0)).data == 1


def test_a_batch_of_none_is_refused(mails: Mails) -> None:
    with pytest.raises(BadValue):
        next(mails.claims(batch=0))
