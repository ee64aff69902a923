"""Jobs that workers died with: the killer is buried after three deaths, and nobody who stood beside it is."""

from __future__ import annotations

import pytest

from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import DEADLY
from ropeway.store import Feature
from ropeway.testing.clock import FakeClock
from ropeway.worker.run import Run
from ropeway.worker.suspects import PATIENCE, RESPITE

from .fakes import Bench, faulty_link


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def link(clock: FakeClock) -> Link:
    return Link("memory:", clock)


def put(link: Link, *names: str) -> None:
    for name in names:
        Queue(link, "q").put(name.encode())


def die(link: Link, clock: FakeClock, *names: str) -> None:
    """A worker claims these (by body) and dies without a word."""
    queue = Queue[bytes](link, "q")
    ids = [entry.job.id for entry in queue.browse(limit=None) if entry.job.body.decode() in names]
    assert all(link.store.pick("q", ids, 5.0, link.holder()))
    clock.advance(6)


def name(run: Run) -> str:
    return run.lent.job.body.decode()


def names(bench: Bench) -> list[str]:
    return sorted(name(run) for run in bench.pool.started)


def deaths(link: Link) -> dict[str, int]:
    return {entry.job.body.decode(): entry.deaths for entry in Queue[bytes](link, "q").browse(limit=None)}


def test_one_suspect_at_a_time_and_others_beside_it(link: Link, clock: FakeClock) -> None:
    put(link, "a", "b", "c")
    die(link, clock, "a", "b", "c")
    put(link, "x", "y")
    bench = Bench(link, slots=4)
    bench.laps(4)
    assert names(bench) == ["a", "x", "y"]
    assert not bench.pool.hand, "nothing is prefetched beside a suspect"
    assert deaths(link) == {"a": 1, "b": 1, "c": 1, "x": 0, "y": 0}
    bench.pool.finish()
    bench.until(lambda: "b" in names(bench))
    assert "c" not in names(bench)


def test_after_a_second_death_it_runs_alone(link: Link, clock: FakeClock) -> None:
    put(link, "k")
    die(link, clock, "k")
    die(link, clock, "k")
    put(link, "x", "y")
    bench = Bench(link, slots=4)
    bench.laps(4, 0.01)
    assert names(bench) == ["k"]
    assert len(bench.ferry.held) == 1, "the others went back"
    assert link.store.counts()["q"].ready == 2
    bench.pool.finish()
    bench.until(lambda: names(bench) == ["x", "y"])


def test_it_waits_for_others_without_being_held(link: Link, clock: FakeClock) -> None:
    """While it waits to run alone it must not be in the hand of a process that another job may kill."""
    put(link, "x")
    bench = Bench(link, slots=4)
    bench.laps()
    put(link, "k")
    die(link, clock, "k")
    die(link, clock, "k")
    put(link, "y")
    bench.laps(6, 0.01)
    assert "k" not in names(bench)
    assert all(name(run) != "k" for run in bench.ferry.held.values())
    entry = next(entry for entry in Queue[bytes](link, "q").browse() if entry.job.body == b"k")
    assert (entry.state, entry.attempts, entry.deaths) == (State.DELAYED, 2, 2)
    while bench.pool.started:
        bench.pool.finish()
    bench.until(lambda: names(bench) == ["k"])
    bench.pool.finish()
    bench.until(lambda: not bench.ferry.held and not link.store.counts()["q"].ready)


def test_without_pick_it_runs_alone_too(clock: FakeClock) -> None:
    link, faulty = faulty_link("memory:", clock)
    faulty.inner.features = faulty.inner.features - {Feature.PICK}  # type: ignore[misc]
    put(link, "x")
    bench = Bench(link, slots=4)
    bench.laps()
    put(link, "k")
    die(link, clock, "k")
    die(link, clock, "k")
    bench.laps(4, 0.01)
    bench.pool.finish()
    bench.until(lambda: names(bench) == ["k"])
    assert len(bench.ferry.held) == 1


def test_its_patience_has_a_bound(link: Link, clock: FakeClock) -> None:
    """A job of an hour beside it must not keep the worker from everything else."""
    put(link, "long")
    bench = Bench(link, slots=4, lease=10_000)
    bench.laps()
    put(link, "k")
    die(link, clock, "k")
    die(link, clock, "k")
    start = clock.boot()
    bench.laps(3, 0.01)
    put(link, "y")
    bench.laps(3, 0.01)
    assert names(bench) == ["long"]
    bench.until(lambda: "y" in names(bench))
    assert PATIENCE <= clock.boot() - start <= PATIENCE + 5
    bench.pool.finish(bench.pool.started[1])
    put(link, "z")
    bench.until(lambda: "z" in names(bench))
    assert clock.boot() - start < PATIENCE + RESPITE / 2


def test_the_third_death_buries(link: Link, clock: FakeClock) -> None:
    put(link, "k", "x")
    for _ in range(DEADLY):
        die(link, clock, "k")
    bench = Bench(link)
    bench.laps(3)
    assert names(bench) == ["x"]
    dead = next(entry for entry in Queue[bytes](link, "q").browse() if entry.job.body == b"k")
    assert (dead.state, dead.error, dead.history[-1].outcome) == (State.DEAD, "killed 3 workers", "lost")
    assert (bench.counters.buried, bench.counters.failed, bench.counters.ran) == (1, 0, 0)


def test_a_poison_job_among_many_takes_nobody_with_it(link: Link, clock: FakeClock) -> None:
    """400 in the hand, one of them kills its worker each time it starts: only that one is dead at the end."""
    put(link, *(f"n{number}" for number in range(150)), "poison", *(f"m{number}" for number in range(250)))
    done: set[str] = set()
    workers = 0
    while workers < 30 and link.store.counts()["q"].dead + len(done) < 401:
        workers += 1
        bench = Bench(link, slots=4, lease=30.0)
        bench.ferry._appetite.mean, bench.ferry._appetite._ramp = 1e-4, 500
        for _ in range(5000):
            bench.laps(1, 1.0)
            if any(name(run) == "poison" for run in bench.pool.started):
                break  # it is dead: all that it holds is left to the lease
            while bench.pool.started:
                done.add(name(bench.pool.finish(seconds=1e-4)))
                if any(name(run) == "poison" for run in bench.pool.started):
                    break
            if len(done) == 400 and not bench.ferry.held:
                break
        clock.advance(31)
    (dead,) = [entry for entry in Queue[bytes](link, "q").browse(limit=None) if entry.state is State.DEAD]
    assert dead.job.body == b"poison"
    assert dead.error == "killed 3 workers"
    assert len(done) == 400
    assert workers == DEADLY + 1
