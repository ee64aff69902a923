"""Orders: each does what it says and answers, and what is no order is dropped and told."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from typing import Any

import pytest

from ropeway.errors import BadValue
from ropeway.job import JSON, Job, State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.testing.clock import FakeClock
from ropeway.worker.fleet import orders, workers
from ropeway.worker.judge import Judge
from ropeway.worker.run import Run

from .conftest import Manned


def fill(link: Link, count: int) -> list[str]:
    return [Queue(link, "q").put(b"x").id for _ in range(count)]


def test_an_idle_worker_answers_and_its_queue_is_hidden(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned()
    assert json.loads(one.order("ping")) == {"worker": one.post.id, "said": "here: idle, 0 jobs in hand"}
    assert all(name.startswith("_") for name in link.store.queues())


def test_pause_gives_back_what_has_not_begun_and_resume_takes_it_again(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned(slots=2)
    one.ferry._appetite.mean, one.ferry._appetite._ramp = 1e-4, 100
    fill(link, 10)
    one.go(1)
    assert (len(one.pool.started), len(one.pool.hand)) == (2, 8)
    one.order("pause")
    counts = link.store.counts(("q",))["q"]
    assert (counts.ready, counts.running) == (8, 2), "what runs goes on"
    assert one.member.seen.state == "paused"
    one.pool.finish()
    one.pool.finish()
    one.go(5)
    assert (one.counters.done, len(one.ferry.held)) == (2, 0)
    one.order("resume")
    assert len(one.ferry.held) == 2
    one.go(10)
    assert one.member.seen.state == "busy", "told within some seconds"


def test_a_paused_worker_hears_its_orders_without_asking(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    """It waits for them as an idle one does: nothing is polled."""
    one = manned()
    one.order("pause")
    asked: list[str] = []
    claim = link.store.claim
    link.store.claim = lambda queues, *more: (asked.extend(queues), claim(queues, *more))[1]  # type: ignore[method-assign]
    start = clock.boot()
    one.go(5, 600.0)
    assert clock.boot() - start > 1000
    assert not asked
    one.order("resume")
    assert one.member.seen.state == "idle"


def claims_of_orders(link: Link, clock: FakeClock) -> list[float]:
    """When the store was asked for orders from now on."""
    asked: list[float] = []
    claim = link.store.claim

    def counted(queues: tuple[str, ...], *more: object) -> object:
        if any(name.startswith("_orders.") for name in queues):
            asked.append(clock.boot())
        return claim(queues, *more)  # type: ignore[arg-type]

    link.store.claim = counted  # type: ignore[method-assign, assignment]
    return asked


def test_a_full_worker_sleeps_where_it_is_rung_for_orders(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    one = manned(slots=1)
    fill(link, 2)
    one.go(6)
    asked, waited = claims_of_orders(link, clock), []
    wait = link.store.wait
    link.store.wait = lambda queues, *more: (waited.append(tuple(queues)), wait(queues, *more))[1]  # type: ignore[method-assign]
    start = clock.boot()
    one.go(40, 3600.0)
    assert not asked
    assert set(waited) == {(f"_orders.{one.post.id}",)}
    assert clock.boot() - start == pytest.approx(len(waited), abs=0.1), "a wait each second, in case a ring is lost"
    one.member.send("pause")
    before = clock.boot()
    one.go(1, 3600.0)
    assert "order" in one.ferry.pauses
    assert clock.boot() - before < 0.001


def test_an_outcome_wakes_it_there(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned(slots=1)
    first, second = fill(link, 2)
    one.go(6)
    store, wait = link.store, link.store.wait

    def ends(*args: Any) -> bool:
        one.pool.finish()
        return wait(*args)

    store.wait = ends  # type: ignore[method-assign]
    one.go(1, 3600.0)
    store.wait = wait  # type: ignore[method-assign]
    one.go(2, 0.0)
    assert [run.lent.job.id for run in one.pool.started] == [second]
    assert not Queue(link, "q").browse(ids=[first])


def test_while_jobs_come_and_go_it_looks_four_times_a_second(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    one = manned(slots=1)
    fill(link, 400)
    one.go(2, 0.0)
    asked, start = claims_of_orders(link, clock), clock.boot()
    while clock.boot() - start < 3.0:
        clock.advance(0.01)
        if one.pool.started:
            one.pool.finish()
        one.go(2, 0.0)
    assert len(asked) == pytest.approx(12, abs=2)
    one.member.send("pause")
    before = clock.boot()
    while "order" not in one.ferry.pauses:
        clock.advance(0.01)
        if one.pool.started:
            one.pool.finish()
        one.go(2, 0.0)
    assert clock.boot() - before < 0.3


def test_a_look_that_takes_long_is_taken_less_often(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    one = manned(slots=1)
    fill(link, 900)
    one.go(2, 0.0)
    claim = link.store.claim

    def slow(queues: tuple[str, ...], *more: object) -> object:
        if any(name.startswith("_orders.") for name in queues):
            clock.advance(0.015)
        return claim(queues, *more)  # type: ignore[arg-type]

    link.store.claim = slow  # type: ignore[method-assign, assignment]
    asked, start = claims_of_orders(link, clock), clock.boot()
    while clock.boot() - start < 6.0:
        clock.advance(0.01)
        if one.pool.started:
            one.pool.finish()
        one.go(2, 0.0)
    assert len(asked) == pytest.approx(8, abs=2)


def test_a_wakeup_that_a_job_explains_costs_no_question(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    """The way of a job to an idle worker is as short as before."""
    one = manned()
    one.go(2)
    asked: list[str] = []
    claim = link.store.claim
    link.store.claim = lambda queues, *more: (asked.append(queues[0]), claim(queues, *more))[1]  # type: ignore[method-assign]
    for _ in range(5):
        fill(link, 1)
        while not one.pool.started:
            one.ferry.lap(5.0)
        one.pool.finish(seconds=0.001)
        one.ferry.lap(0.0)
        clock.advance(0.05)
    assert set(asked) == {"q"}


def test_resize_both_ways(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned(slots=1)
    one.ferry._appetite.mean = 1.0
    fill(link, 10)
    one.go(1)
    assert len(one.pool.started) == 1
    assert "4 slots, 1 before" in one.order("resize", slots=4)
    one.go(2)
    assert len(one.pool.started) == 4
    one.order("resize", slots=2)
    for _ in range(3):
        one.pool.finish(seconds=1.0)
    one.go(2)
    assert len(one.ferry.held) == 2
    assert one.member.seen.slots == 2


def test_quiet_ends_when_the_jobs_have(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned(slots=2)
    fill(link, 5)
    one.go(1)
    one.order("quiet")
    assert one.member.seen.state == "quiet"
    assert not one.ferry.finished
    one.pool.finish()
    one.pool.finish()
    one.go()
    assert one.ferry.finished
    assert link.store.counts(("q",))["q"].ready == 3


@pytest.mark.parametrize(("do", "grace"), [("stop", 25.0), ("stop-now", 0.0)])
def test_stop(link: Link, clock: FakeClock, manned: Callable[..., Manned], do: str, grace: float) -> None:
    one = manned(slots=1)
    fill(link, 1)
    one.go(1)
    one.order(do)
    assert one.member.seen.state == "stopping"
    assert one.landing._until - clock.boot() == pytest.approx(grace, abs=6.1)


def test_kill_ends_what_runs_as_a_failed_try_and_the_worker_goes_on(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned(slots=2)
    one.pool.judge = Judge(one.shift, Retry(3, base="1h", jitter=0))
    fill(link, 3)
    one.go(1)
    stoppable, other = one.pool.started

    def stop(run: Run = stoppable) -> None:
        one.pool.finish(run, end=lambda run: one.pool.judge.raised(run, RuntimeError("cancelled")))

    stoppable.stop = stop
    one.pool.stop = lambda run: run.stop is not None and (run.stop(), True)[1]  # type: ignore[method-assign]
    said = one.order("kill")
    assert "1 jobs told to end; 1 run in threads, and cannot be" in said
    (entry,) = Queue(link, "q").browse(ids=[stoppable.lent.job.id])
    assert (entry.state, entry.attempts, entry.error) == (State.DELAYED, 1, "killed by an operator")
    assert entry.history[-1].outcome == "killed"
    assert not other.verdict, "what cannot be ended must end as it likes"
    assert one.ferry.open
    assert len(one.ferry.held) == 2


def test_stacks_name_this_very_test(manned: Callable[..., Manned]) -> None:
    import threading

    said = []
    thread = threading.Thread(target=lambda: said.append(manned().order("stacks")), name="the-walker")
    thread.start()
    thread.join(30)
    assert "thread MainThread" in said[0]
    assert "test_stacks_name_this_very_test" in said[0]


@pytest.mark.parametrize("what", orders.VIEWS)
def test_it_shows_each_view(manned: Callable[..., Manned], what: str) -> None:
    one = manned()
    handle = one.member.send("inspect", what=what)
    one.go()
    entry = handle.entry()
    assert entry is not None
    assert entry.result is not None
    answer = json.loads(entry.result)
    assert answer["worker"] == one.post.id
    assert answer["shown"]["pid"] == os.getpid()
    if what == "state":
        assert one.post.id in [worker["id"] for worker in answer["shown"]["workers"]]
    one.post.leave()
    with pytest.raises(BadValue, match="is no view"):
        orders.check("inspect", what="everything")


HOSTILE = [
    b"",
    b"{",
    b"null",
    b'"stop"',
    b'{"do": "rm -rf /"}',
    b'{"do": "resize"}',
    b'{"do": "resize", "slots": 0}',
    b'{"do": "resize", "slots": 1e9}',
    b'{"do": "resize", "slots": 100000000}',
    b'{"do": "stop", "also": 1}',
    b'{"do": ["stop"]}',
    b'{"do": "\xff"}',
    b"[" * 100_000,
    b'{"do": "\\u001b[31mstop"}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_order_is_dropped_and_told(
    link: Link, manned: Callable[..., Manned], body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    one = manned(slots=3)
    queue = one.ferry.desk.queue  # type: ignore[union-attr]
    job = Job(link.new_id(), queue, body, JSON, keep=60)
    link.store.put([job])
    with caplog.at_level(logging.WARNING, "ropeway.worker"):
        one.go()
    (told,) = [record.getMessage() for record in caplog.records]
    assert f"an order in {queue} was dropped: this is no order" in told
    assert "\33" not in told
    (entry,) = Queue(link, queue).browse()
    assert entry.state is State.DONE
    assert (one.pool.slots, one.ferry.open, one.ferry.pauses, one.landing.state) == (3, True, set(), "")


def test_a_queue_of_orders_that_is_switched_off_disturbs_nobody(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned()
    one.member.send("pause")
    link.store.pause((one.ferry.desk.queue,), claim=True)  # type: ignore[union-attr]
    fill(link, 1)
    one.go(5)
    assert len(one.ferry.held) == 1
    assert not one.ferry.pauses


def test_only_known_orders_are_given(manned: Callable[..., Manned]) -> None:
    member = manned().member
    for wrong in ({"do": "explode"}, {"do": "resize"}, {"do": "resize", "slots": True}, {"do": "resize", "slots": 10_001}):
        with pytest.raises(BadValue, match=r"[Nn]othing was ordered"):
            member.send(**wrong)  # type: ignore[arg-type]
    assert set(orders.ORDERS) > {"pause", "resume", "quiet", "stop", "stop-now", "resize", "stacks", "ping", "kill"}


def test_an_order_that_nobody_reads_is_void_after_a_minute(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    one = manned()
    one.member.send("stop")
    clock.advance(61)
    one.go()
    assert one.landing.state == ""


def test_at_its_end_a_worker_leaves_nothing_behind(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned()
    one.member.send("ping")
    one.post.leave()
    assert workers(link) == []
    assert [name for name in link.store.queues() if name != "q"] == []


def test_an_answer_can_still_be_read_when_the_worker_has_ended(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned()
    handle = one.member.send("stop")
    one.go(4)
    one.member.send("ping")
    one.post.leave()
    assert handle.result(timeout=0) == {"worker": one.post.id, "said": "stops; 0 jobs in hand"}
    assert link.store.counts((handle.queue,))[handle.queue].ready == 0
