"""Housekeeping: left-over private queues go, those with an owner stay, and one look is shared by all."""

from __future__ import annotations

from collections.abc import Callable

from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock
from ropeway.worker.fleet.tidying import EACH, SURE, Tidying

from .conftest import Manned


def put(link: Link, name: str) -> None:
    link.store.put([Queue(link, "q")._job(b"x", {})])
    from ropeway.job import Job

    link.store.put([Job(link.new_id(), name, b"x")])


def own(link: Link) -> list[str]:
    return [name for name in link.store.queues() if name.startswith("_")]


def run(tidying: Tidying, clock: FakeClock, seconds: float) -> None:
    for _ in range(int(seconds)):
        clock.advance(1.0)
        tidying.at_times()


def test_what_the_dead_left_behind_goes_and_the_rest_stays(link: Link, clock: FakeClock) -> None:
    link.store.notes.note("worker/alive", b"{}", 1e6)
    link.store.notes.note("reply/caller", b"", 1e6)
    for name in ("_orders.alive", "_orders.dead", "_reply.caller", "_reply.gone", "_all", "_other.x", "mails"):
        put(link, name)
    tidying = Tidying(link, chance=lambda: 0.5)
    run(tidying, clock, EACH - 2)
    assert len(own(link)) == 6
    run(tidying, clock, SURE + 5)
    assert own(link) == ["_all", "_orders.alive", "_other.x", "_reply.caller"]
    assert link.store.counts(("mails",))["mails"].ready == 1


def test_an_owner_who_is_late_keeps_its_queue(link: Link, clock: FakeClock) -> None:
    put(link, "_reply.late")
    tidying = Tidying(link, chance=lambda: 0.5)
    run(tidying, clock, EACH + 1)
    link.store.notes.note("reply/late", b"", 1e6)
    run(tidying, clock, 2 * EACH)
    assert own(link) == ["_reply.late"]


def test_many_workers_look_no_more_often_than_one(link: Link, clock: FakeClock) -> None:
    looks: list[float] = []
    queues = link.store.queues
    link.store.queues = lambda: (looks.append(clock.boot()), queues())[1]  # type: ignore[method-assign]
    crew = [Tidying(link) for _ in range(50)]
    for _ in range(3600):
        clock.advance(1.0)
        for one in crew:
            one.at_times()
    assert 3600 / EACH / 2 <= len(looks) <= 3600 / (EACH / 2) + 1


def test_a_job_that_runs_is_not_taken_from_under_its_worker(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    put(link, "_reply.gone")
    (lent,) = link.store.claim(("_reply.gone",), 1, 1e6, link.holder())
    tidying = Tidying(link, chance=lambda: 0.5)
    run(tidying, clock, EACH + SURE + 5)
    assert link.store.extend([lent.receipt], 10) == [True]
