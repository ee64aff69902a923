"""The ferry's laps, on the memory engine and a clock that jumps, with a pool that the test plays."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway.errors import BadBody, StoreError
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.store import Ack, Query
from ropeway.testing.clock import FakeClock
from ropeway.worker.judge import Judge
from ropeway.worker.run import End, Run

from .fakes import Bench, faulty_link


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def link(clock: FakeClock) -> Link:
    return Link("memory:", clock)


def fill(link: Link, count: int, queue: str = "q", **options: object) -> list[str]:
    return [Queue(link, queue).put(b"x", **options).id for _ in range(count)]  # type: ignore[arg-type]


def attempts(link: Link, queue: str = "q") -> list[tuple[State, int]]:
    return sorted((entry.state, entry.attempts) for entry in Queue(link, queue).browse())


def test_it_claims_what_fits_and_settles_what_ended(link: Link) -> None:
    bench = Bench(link, slots=4)
    fill(link, 10)
    bench.laps()
    assert (len(bench.pool.started), len(bench.ferry.held)) == (4, 4)
    bench.pool.finish()
    bench.laps(2)
    assert bench.counters.done == 1
    assert len(bench.ferry.held) == 4
    assert link.store.counts()["q"].ready == 5


def test_short_jobs_are_prefetched_and_settled_in_groups(link: Link) -> None:
    link, faulty = faulty_link("memory:", FakeClock())
    bench = Bench(link, slots=2)
    fill(link, 400)
    while bench.counters.done < 400:
        while bench.pool.started:
            bench.pool.finish(seconds=1e-5)
        bench.laps()
    settles = faulty.calls.count("ack")
    assert settles <= 12, f"{settles} acks for 400 tiny jobs"
    assert faulty.calls.count("commit") >= settles - 1, "an ack and the next claim belong in one commit"


def test_outcomes_are_gathered_for_a_moment_while_all_slots_are_busy(clock: FakeClock, link: Link) -> None:
    bench = Bench(link, slots=2)
    bench.ferry._appetite.mean, bench.ferry._appetite._ramp = 1e-4, 100
    fill(link, 100)
    bench.laps()
    bench.pool.finish()
    before = clock.boot()
    bench.laps()  # less than a millisecond since the last turn: it sleeps
    assert bench.counters.done == 0
    assert clock.boot() - before == pytest.approx(0.001)
    bench.laps(2)
    assert bench.counters.done == 1


def test_what_is_stuck_in_the_hand_goes_back_with_its_attempt(clock: FakeClock, link: Link) -> None:
    bench = Bench(link, slots=2)
    bench.ferry._appetite.mean, bench.ferry._appetite._ramp = 1e-4, 50
    fill(link, 30)
    bench.laps()
    assert (len(bench.pool.started), len(bench.pool.hand)) == (2, 28)
    bench.until(lambda: bench.counters.returned)
    assert bench.counters.returned == 28
    assert clock.boot() < 1000 + 0.2
    assert attempts(link) == [(State.READY, 0)] * 28 + [(State.RUNNING, 1)] * 2
    bench.laps(20, 1.0)
    assert bench.counters.returned == 28, "claimed again, to be given back again"


def test_an_empty_queue_is_slept_on_and_a_put_ends_the_sleep(clock: FakeClock, link: Link) -> None:
    bench = Bench(link)
    fill(link, 1, delay="90s")
    start = clock.boot()
    bench.until(lambda: bench.pool.started)
    assert clock.boot() - start == pytest.approx(90, abs=1.1)


def test_patterns_are_read_anew(clock: FakeClock, link: Link) -> None:
    bench = Bench(link, "critical", "*", "!low", slots=8)
    fill(link, 1, "a")
    bench.laps(3, 0.01)
    assert len(bench.pool.started) == 1
    for queue in ("low", "b", "critical"):
        fill(link, 1, queue)
    start = clock.boot()
    bench.until(lambda: len(bench.pool.started) == 3)
    assert [run.lent.job.queue for run in bench.pool.started] == ["a", "critical", "b"]
    assert clock.boot() - start <= 1.0
    assert link.store.counts()["low"].ready == 1


def test_a_stopped_queue_is_waited_for(clock: FakeClock, link: Link) -> None:
    queue = Queue[bytes](link, "q")
    bench = Bench(link, drain=True)
    fill(link, 1)
    queue.pause(claim=True, reason="deploy")
    bench.laps(5, 1.0)
    assert not bench.pool.started
    assert not bench.ferry.finished, "stopped is not empty"
    queue.resume()
    bench.until(lambda: bench.pool.started)


def test_a_drain_ends_when_nothing_is_due_and_no_own_retry_is_out(clock: FakeClock, link: Link) -> None:
    bench = Bench(link, drain=True)
    bench.pool.judge = Judge(bench.shift, Retry(2, base=10, jitter=0))
    fill(link, 1)
    fill(link, 1, delay="1h")
    bench.until(lambda: bench.pool.started)
    assert not bench.ferry.finished
    bench.pool.finish(end=lambda run: bench.pool.judge.failed(run, "no"))
    start = clock.boot()
    bench.until(lambda: bench.pool.started)
    assert clock.boot() - start == pytest.approx(10, abs=1.5)
    bench.pool.finish(end=lambda run: bench.pool.judge.failed(run, "no"))
    bench.until(lambda: bench.ferry.finished)
    assert clock.boot() - start < 20, "it must not wait for the job that somebody put for later"
    assert (bench.counters.retried, bench.counters.buried, bench.counters.failed, bench.counters.ran) == (1, 1, 2, 2)


def test_a_drain_does_not_wait_for_a_retry_that_another_worker_took(clock: FakeClock, link: Link) -> None:
    bench = Bench(link, drain=True)
    bench.pool.judge = Judge(bench.shift, Retry(5, base=10, jitter=0))
    fill(link, 1)
    bench.until(lambda: bench.pool.started)
    bench.pool.finish(end=lambda run: bench.pool.judge.failed(run, "no"))
    bench.until(lambda: bench.counters.retried)
    clock.advance(10)
    assert len(link.store.claim(("q",), 1, 1000.0, link.holder())) == 1
    bench.until(lambda: bench.ferry.finished)


def test_max_jobs_counts_runs(link: Link) -> None:
    bench = Bench(link, slots=2, max_jobs=3)
    fill(link, 10)
    for _ in range(20):
        bench.laps()
        while bench.pool.started:
            bench.pool.finish()
        if bench.ferry.finished:
            break
    assert bench.ferry.finished
    assert bench.counters.ran == 3
    assert attempts(link) == [(State.READY, 0)] * 7


def test_more_than_asked_for_is_given_back(link: Link) -> None:
    """An engine may lend more; max_jobs holds all the same."""
    link, faulty = faulty_link("memory:", FakeClock())
    claim = faulty.inner.claim
    faulty.inner.claim = lambda queues, limit, lease, holder: claim(queues, limit + 3, lease, holder)  # type: ignore[method-assign]
    bench = Bench(link, slots=2, max_jobs=2)
    fill(link, 10)
    bench.until(lambda: len(bench.ferry.held) == 2)
    assert len(bench.pool.started) == 2
    assert attempts(link) == [(State.READY, 0)] * 8 + [(State.RUNNING, 1)] * 2


def test_a_claim_answered_after_the_order_to_stop_goes_back_at_once(link: Link) -> None:
    link, faulty = faulty_link("memory:", FakeClock())
    bench = Bench(link)
    fill(link, 3)
    claim = faulty.inner.claim

    def slow(*args: object) -> object:
        answer = claim(*args)  # type: ignore[arg-type]
        bench.ferry.open = False
        return answer

    faulty.inner.claim = slow  # type: ignore[method-assign,assignment]
    bench.laps(3)
    assert not bench.pool.started
    assert attempts(link) == [(State.READY, 0)] * 3


def test_a_failing_store_is_tried_again_and_nothing_is_forgotten(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    link, faulty = faulty_link("memory:", clock)
    bench = Bench(link)
    fill(link, 2)
    bench.laps()
    bench.pool.finish()
    bench.pool.finish()
    faulty.fail("ack", times=3)
    start = clock.boot()
    bench.until(lambda: bench.counters.done == 2)
    assert 0.2 < clock.boot() - start < 5
    assert faulty.calls.count("ack") == 4
    assert bench.counters.lost == 0
    assert len([r for r in caplog.records if "the store failed" in r.message]) == 1, "one line an outage"


def test_an_ack_that_was_done_but_not_answered_is_no_alarm(clock: FakeClock) -> None:
    """The repetition answers False: perhaps it was ours, and here it was."""
    link, faulty = faulty_link("memory:", clock)
    bench = Bench(link)
    fill(link, 1)
    bench.laps()
    bench.pool.finish()
    faulty.fail("ack", after=True)
    bench.until(lambda: not bench.ferry.held)
    assert (bench.counters.lost, bench.counters.done) == (0, 1)


def test_outcomes_are_given_up_when_their_lease_has_ended(clock: FakeClock) -> None:
    link, faulty = faulty_link("memory:", clock)
    bench = Bench(link, lease=30.0)
    fill(link, 1)
    bench.laps()
    bench.pool.finish()
    faulty.fail("ack", times=1000)
    start = clock.boot()
    bench.until(lambda: not bench.ferry.held)
    assert 29 <= clock.boot() - start <= 40
    assert bench.counters.lost == 1


def test_a_claim_whose_commit_failed_is_handed_back(clock: FakeClock) -> None:
    """Its answer is unknown: what it may have claimed is not started, and not left to its lease either."""
    link, faulty = faulty_link("memory:", clock)
    bench = Bench(link, slots=2)
    fill(link, 4)
    bench.laps()
    for _ in range(2):
        bench.pool.finish()
    faulty.fail("commit")
    bench.laps()
    assert not bench.pool.started
    bench.until(lambda: len(bench.pool.started) == 2)
    assert bench.counters.done == 2
    assert sorted(attempts(link)) == [(State.RUNNING, 1)] * 2
    assert bench.counters.lost == 0


def test_an_outcome_that_the_store_refuses_is_buried_and_harms_no_other(clock: FakeClock) -> None:
    link, faulty = faulty_link("memory:", clock)
    bench = Bench(link, slots=3)
    ids = fill(link, 3)
    bench.laps()
    ack = faulty.inner.ack

    def picky(acks: list[object]) -> list[bool]:
        if any(getattr(one, "result", None) == b"bad" for one in acks):
            raise BadBody("that result is too large")
        return ack(acks)  # type: ignore[arg-type]

    faulty.inner.ack = picky  # type: ignore[method-assign,assignment]
    bench.pool.started[1].result = b"bad"
    for _ in range(3):
        bench.pool.finish()
    bench.until(lambda: not bench.ferry.held)
    assert (bench.counters.done, bench.counters.buried) == (2, 1)
    (dead,) = Queue(link, "q").browse()
    assert dead.job.id == ids[1]
    assert dead.error.startswith("its outcome (done) was refused")
    assert "too large" in dead.error


def test_a_lost_claim_is_counted_and_told(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []
    link.on(lambda event: events.append(event.name))
    bench = Bench(link)
    fill(link, 1)
    bench.laps()
    clock = link.clock
    assert isinstance(clock, FakeClock)
    clock.advance(31)
    (other,) = link.store.claim(("q",), 1, 30.0, link.holder())
    bench.pool.finish()
    bench.until(lambda: not bench.ferry.held)
    assert (bench.counters.lost, bench.counters.done) == (1, 0)
    assert "lost" in events
    assert "its lease was lost" in caplog.text
    assert link.store.ack([Ack(other.receipt)]) == [True], "the newer claim stands"


def test_a_closed_connection_ends_the_ferry(link: Link) -> None:
    bench = Bench(link)
    bench.laps()
    link.close()
    with pytest.raises(StoreError, match="closed"):
        bench.laps(3)


def test_idle_costs_next_to_nothing(clock: FakeClock) -> None:
    """An hour of an idle worker: by name it waits in the store; with a wildcard it looks for new queues now and then."""
    for pattern, limit in (("q", 70), ("*", 3700)):
        link, faulty = faulty_link("memory:", FakeClock())
        fill(link, 1)
        bench = Bench(link, pattern)
        bench.until(lambda bench=bench: bench.pool.started)
        bench.pool.finish()
        bench.until(lambda bench=bench: bench.counters.done)
        faulty.calls.clear()
        start = link.clock.boot()
        while link.clock.boot() < start + 3600:
            bench.ferry.lap()
        assert faulty.calls.count("claim") <= 61
        assert faulty.calls.count("wait") <= limit
        assert faulty.calls.count("queues") <= limit


def test_a_wake_up_that_brings_nothing_is_not_repeated_at_full_speed(clock: FakeClock) -> None:
    link, faulty = faulty_link("memory:", clock)
    faulty.inner.wait = lambda queues, timeout, look=None: True  # type: ignore[method-assign]  # an engine that is wrong for a second
    bench = Bench(link)
    start = clock.boot()
    while clock.boot() < start + 1.0:
        bench.ferry.lap()
    assert faulty.calls.count("claim") < 80


def test_an_order_in_the_pause_after_a_wake_up_that_brought_nothing_is_not_slept_over(clock: FakeClock) -> None:
    link, faulty = faulty_link("memory:", clock)
    wakes = iter([True, True])
    waits: list[float] = []

    def wait(queues: object, timeout: float, look: object = None) -> bool:
        waits.append(timeout)
        return next(wakes, False)

    faulty.inner.wait = wait  # type: ignore[method-assign]
    bench = Bench(link)
    bench.until(lambda: len(waits) == 2)
    bench.laps()  # looks what the second ring was for
    inner, rung = clock.sleep, list[float]()

    def sleep(on: Any, seconds: float) -> bool:
        if not rung and seconds < 1:
            rung.append(seconds)
            bench.inbox.ring()  # the order comes while it pauses, and it is not in the store yet
        return inner(on, seconds)

    clock.sleep = sleep  # type: ignore[method-assign]
    while not rung:
        bench.ferry.lap(60.0)
    assert len(waits) == 2, "it went to sleep in the store with an order under way"


def cycle(bench: Bench, end: End) -> Run:
    bench.laps()
    return bench.pool.finish(end=lambda run: setattr(run, "end", end))


def test_every_end_is_counted_once(link: Link) -> None:
    bench = Bench(link)
    judge = bench.pool.judge
    fill(link, 5, keep="1h")
    bench.until(lambda: len(bench.pool.started) == 4)
    bench.pool.finish(end=lambda run: judge.done(run, 42))
    bench.pool.finish(end=lambda run: judge.failed(run, "x"))
    bench.pool.finish(end=lambda run: judge.refused(run, "never"))
    bench.pool.finish(end=lambda run: run.hand_back(5.0))
    bench.until(lambda: len(bench.pool.started) == 1)
    cycle(bench, End.CANCELLED)
    bench.until(lambda: not bench.ferry.held)
    counters = bench.counters
    assert (counters.done, counters.retried, counters.buried, counters.failed, counters.returned) == (1, 1, 1, 2, 1)
    assert counters.ran == 4
    (done,) = link.store.browse(Query(states=frozenset({State.DONE})))
    assert (done.result, done.result_type) == (b"42", "application/json")


def test_a_claim_that_brought_less_than_it_asked_for_is_not_asked_again(clock: FakeClock) -> None:
    link, faulty = faulty_link("memory:", clock)
    bench = Bench(link, slots=4)
    fill(link, 1)
    bench.laps(2)
    assert len(bench.pool.started) == 1
    assert faulty.calls.count("claim") == 1, "the slot that was just woken goes first"
    fill(link, 2)
    bench.laps(3)
    assert len(bench.pool.started) == 3, "what came meanwhile is found by the wait"
