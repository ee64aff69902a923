"""Pause everything: no worker starts a job, running ones finish, late comers see it too; and it is undone at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import ropeway
from engines import engines, place
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock
from ropeway.worker.fleet import switch
from ropeway.worker.fleet.presence import IDLE

from ..conftest import until
from .conftest import Manned


def test_all_stop_and_all_go_on(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    busy, idle = manned("a", slots=1), manned("b")
    Queue(link, "a").put_many([1, 2])
    busy.go(1)
    assert switch.pause(link, "deploy") == 2
    before = clock.boot()
    idle.go()
    busy.go()
    assert clock.boot() - before < 15
    Queue(link, "b").put(3)
    idle.go()
    busy.pool.finish()
    busy.go()
    assert (busy.counters.done, busy.pool.started, idle.pool.started) == (1, [], [])
    assert [one.member.seen.state for one in (busy, idle)] == ["paused", "paused"]
    late = manned("b")
    late.go()
    assert not late.pool.started, "it started while everything is paused"
    assert switch.paused(link.store) == "deploy"
    assert switch.resume(link) == 3
    for one in (busy, idle, late):
        one.go()
    assert len(busy.pool.started) == 1
    assert len(idle.pool.started) + len(late.pool.started) == 1
    assert switch.paused(link.store) is None


def test_an_order_that_is_lost_costs_a_note_s_time(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    one = manned()
    link.store.notes.note(switch.SWITCH, b"x", 1e6)  # and nobody is told
    clock.advance(IDLE + 1)
    one.go()
    Queue(link, "q").put(1)
    one.go()
    assert not one.pool.started


def test_what_was_told_to_one_stays_when_the_store_goes_on(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned()
    one.order("pause")
    switch.pause(link)
    one.go()
    assert "still paused, since the whole store is" in one.order("resume")
    one.order("pause")
    switch.resume(link)
    one.go()
    assert one.ferry.pauses == {"order"}


def test_a_drain_waits_for_the_switch(link: Link, clock: FakeClock) -> None:
    """Paused is not empty."""
    switch.pause(link)
    Queue(link, "q").put(1)
    one = Manned(link)
    one.ferry._drain = True
    one.go(20)
    assert not one.ferry.finished


@pytest.mark.parametrize("engine", engines())
def test_on_each_engine(engine: str, tmp_path: Path) -> None:
    with place(engine, tmp_path) as url, ropeway.connect(url, config=False) as broker:
        assert broker.paused() is None
        broker.pause("deploy")
        assert broker.paused() == "deploy"
        ran: list[int] = []

        @broker.task(queue="q")
        def job(number: int) -> None:
            ran.append(number)

        job.put(1)
        worker = broker.worker("q", max_jobs=1)
        import threading

        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        until(lambda: [member.seen.state for member in broker.workers()] == ["paused"])
        assert not ran
        (member,) = broker.workers()
        assert member.order("ping", timeout="30s") == "here: paused, 0 jobs in hand"
        broker.resume()
        thread.join(60)
        assert ran == [1]
        assert broker.workers() == []
        assert not [name for name in broker.queues() if name.startswith("_all")]
