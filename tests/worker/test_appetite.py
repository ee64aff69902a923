"""How many jobs a worker claims."""

from __future__ import annotations

from ropeway.job import Job
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.store import Lent, Limits
from ropeway.testing.clock import FakeClock
from ropeway.worker.appetite import MOST, MOST_BYTES, Appetite
from ropeway.worker.restraint import LOOK, Restraint

from .fakes import Bench


def lents(count: int, size: int = 10, queue: str = "q") -> list[Lent]:
    return [Lent(Job("0" * 32, queue, b"x" * size), "r", 1) for _ in range(count)]


def fed(slots: int, seconds: float, claims: int = 12, size: int = 10) -> Appetite:
    """One that has seen full claims of jobs which took so long."""
    appetite = Appetite(slots)
    for _ in range(claims):
        asked = appetite.want(slots, 0)
        appetite.claimed(asked, lents(asked, size))
        appetite.ended(asked, asked * seconds)
    return appetite


def test_it_starts_with_one_a_slot() -> None:
    assert Appetite(4).want(4, 0) == 4
    assert Appetite(4).want(1, 0) == 1
    assert Appetite(4).want(0, 0) == 0


def test_tiny_jobs_come_in_batches_up_to_the_bound() -> None:
    assert fed(4, 0.00001).want(0, 0) == MOST
    assert fed(4, 0.00001).want(4, 100) == MOST - 100


def test_the_ramp_doubles_with_full_claims_only() -> None:
    appetite, seen = Appetite(4), []
    for _ in range(5):
        asked = appetite.want(4, 0)
        seen.append(asked)
        appetite.claimed(asked, lents(asked))
        appetite.ended(asked, 0.0)
    assert seen == [4, 4, 8, 16, 32]  # the first claim is of a queue unknown until then
    before = appetite.want(4, 0)
    appetite.claimed(before, lents(before - 1))
    assert appetite.want(4, 0) == before


def test_short_jobs_fill_the_window() -> None:
    assert 4 * 45 <= fed(4, 0.001, claims=20).want(0, 0) <= 4 * 55


def test_long_jobs_come_singly() -> None:
    appetite = fed(4, 0.5)
    assert appetite.want(0, 0) == 0
    assert appetite.want(3, 0) == 3


def test_one_slow_job_in_a_hundred_counts() -> None:
    appetite = fed(4, 0.00001)
    appetite.ended(100, 99 * 0.00001 + 10.0)
    assert appetite.want(0, 0) == 0


def test_a_jump_and_another_queue_go_back_to_the_start() -> None:
    appetite = fed(4, 0.00001)
    appetite.ended(1, 0.01)
    assert appetite.want(0, 0) == 4
    appetite = fed(4, 0.00001)
    appetite.claimed(500, lents(500, queue="other"))
    assert appetite.want(0, 0) == 4


def test_being_stuck_ends_the_prefetch() -> None:
    appetite = fed(4, 0.00001)
    appetite.stuck()
    assert appetite.want(0, 0) == 0
    assert appetite.want(2, 0) == 2


def test_caution_ends_the_prefetch() -> None:
    assert fed(4, 0.00001).want(2, 0, cautious=True) == 2
    assert fed(4, 0.00001).want(0, 3, cautious=True) == 0


def test_bodies_are_bounded_in_bytes() -> None:
    mebi = 1 << 20
    assert fed(4, 0.00001, size=mebi).want(0, 0) == MOST_BYTES // mebi
    assert fed(32, 0.00001, size=mebi).want(32, 0) == 32  # what runs at once is the user's choice


def test_an_empty_claim_changes_nothing() -> None:
    appetite = fed(4, 0.001)
    before = appetite.want(0, 0)
    appetite.claimed(before, [])
    assert appetite.want(0, 0) == before


def test_nothing_is_prefetched_where_a_held_job_holds_up_others() -> None:
    """From a queue with lanes, or with a limit, comes what can start at once and no more; from all others tiny jobs come in batches."""
    clock = FakeClock()
    link = Link("memory:", clock)
    queues = {name: Queue[int](link, name) for name in ("plain", "laned", "limited")}
    link.store.limit(["limited"], Limits(running=50))
    for number in range(100):
        queues["plain"].put(number)
        queues["laned"].put(number, lane=f"lane{number % 40}")
        queues["limited"].put(number)
    most = {}
    for name in queues:
        bench = Bench(link, name, slots=4)
        most[name] = 0
        for _ in range(60):
            bench.laps(2)
            most[name] = max(most[name], len(bench.ferry.held))
            while bench.pool.started:
                bench.pool.finish(seconds=0.0001)
    assert most["plain"] > 20
    assert (most["laned"], most["limited"]) == (4, 4)


def test_a_limit_that_is_set_later_is_found() -> None:
    clock = FakeClock()
    link = Link("memory:", clock)
    restraint = Restraint(link)
    Queue[int](link, "q").put(1)
    assert not restraint.holds(["q"])
    link.store.limit(["q"], Limits(running=2))
    assert not restraint.holds(["q"]), "it is not asked each time"
    clock.advance(LOOK + 1)
    assert restraint.holds(["q"])
    link.store.limit(["q"], Limits())
    clock.advance(LOOK + 1)
    assert not restraint.holds(["q"])
