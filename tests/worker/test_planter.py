"""The planter in real workers: one run a tick whatever dies, a store that is away, and what it costs while there is nothing to do."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engines import engines, place
from ropeway.broker import Broker
from ropeway.errors import BadValue, StoreError, Unsupported
from ropeway.link import Link
from ropeway.schedule import NEEDS, QUEUE
from ropeway.schedules import Schedules
from ropeway.tasks import Tasks
from ropeway.worker import Worker
from ropeway.worker.planter import Planter

from .conftest import Running, until

PROGRAM = Path(__file__).with_name("scheduled.py")
LIMIT = 100.0  # seconds: a busy machine starts ten interpreters slowly


class Fleet:
    """Workers as processes of their own."""

    def __init__(self, url: str, out: Path) -> None:
        self.url = url
        self.out = out
        self.planters: list[subprocess.Popen[bytes]] = []  # their queue is empty: all they do is to plant
        self.runners: list[subprocess.Popen[bytes]] = []

    def start(self, queue: str, into: list[subprocess.Popen[bytes]]) -> None:
        into.append(subprocess.Popen([sys.executable, PROGRAM, self.url, queue, self.out], stdout=subprocess.PIPE))

    def kill_one(self, among: list[subprocess.Popen[bytes]]) -> None:
        one = among.pop(random.randrange(len(among)))
        one.kill()
        self._gone(one)

    def ticks(self) -> dict[str, set[str]]:
        """The ticks that ran, each with the ids of the jobs that ran for it; each job by its first try only."""
        out: dict[str, set[str]] = {}
        firsts = []
        for line in self.out.read_text().splitlines() if self.out.exists() else ():
            tick, job_id, attempt = line.split()
            out.setdefault(tick, set()).add(job_id)
            firsts += [(tick, job_id)] if attempt == "1" else []
        assert len(firsts) == len(set(firsts)), "a job had two first runs"
        return out

    def end(self) -> None:
        for one in (*self.planters, *self.runners):
            one.kill()
            self._gone(one)

    def _gone(self, one: subprocess.Popen[bytes]) -> None:
        one.wait(20)
        assert one.stdout
        one.stdout.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("engine", engines(processes=True))
def test_ten_workers_one_run_a_tick_while_planters_are_killed(engine: str, tmp_path: Path) -> None:
    with place(engine, tmp_path) as url:
        fleet = Fleet(url.replace("&bell=off", ""), tmp_path / "ticks")
        try:
            for _ in range(2):
                fleet.start("ticks", fleet.runners)
            for _ in range(8):
                fleet.start("nothing", fleet.planters)
            until(lambda: len(fleet.ticks()) >= 2, LIMIT)
            for _ in range(6):
                seen = len(fleet.ticks())
                fleet.kill_one(fleet.planters)
                until(lambda: len(fleet.ticks()) > seen, LIMIT)  # noqa: B023 - asked at once
            fleet.kill_one(fleet.runners)
            fleet.start("ticks", fleet.runners)
            seen = len(fleet.ticks())
            until(lambda: len(fleet.ticks()) >= seen + 3, LIMIT)
            ticks = fleet.ticks()
        finally:
            fleet.end()
        assert all(len(jobs) == 1 for jobs in ticks.values()), f"two jobs for one tick: {ticks}"
        moments = sorted(datetime.fromisoformat(tick) for tick in ticks)
        while moments and moments[-1] - moments[0] > timedelta(seconds=len(moments) - 1):
            moments.pop()  # the last may have begun out of their order
        assert len(moments) >= 8, f"ticks are missing: {sorted(ticks)}"


@pytest.fixture(params=engines())
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    with place(request.param, tmp_path) as url:
        link = Link(url)
        made = Broker(link, config=False)
        if not link.store.features >= NEEDS:
            made.cron("every 1s")(lambda: None)
            with pytest.raises(Unsupported, match="keeps no schedules: it lacks edit"):
                made.worker("q").run()
            made.close()
            pytest.skip("refused, as this engine has no EDIT")
        yield made
        made.close()


def test_a_schedule_in_the_code_runs(broker: Broker, start: Callable[..., Running]) -> None:
    ran: list[tuple[int, str]] = []
    there = threading.Event()

    @broker.cron("every 1s", args=(7,))
    @broker.task(queue="q")
    def beat(n: int, *, word: str = "x") -> None:
        ran.append((n, word))
        if len(ran) >= 3:
            there.set()

    start(broker.link, broker.tasks, ["q"])
    assert there.wait(40)
    assert ran[:3] == [(7, "x")] * 3
    (schedule,) = broker.schedules.browse()
    assert (schedule.name, schedule.source, schedule.task) == ("beat", "code", "beat")


def test_an_idle_worker_hears_of_a_schedule_at_once(broker: Broker, start: Callable[..., Running]) -> None:
    """Its own look would come half a minute later."""
    ran = threading.Event()
    broker.task(queue="q", name="go")(lambda: ran.set())
    before = broker.task(queue="q", name="before")(lambda: None)
    start(broker.link, broker.tasks, ["q"])
    assert before.options(keep=60).put().wait(40)  # so it is there, and idle from now on
    began = time.monotonic()
    broker.schedules.add("s", "every 2s", "q", task="go")
    assert ran.wait(40)
    assert time.monotonic() - began < 25


def test_jobs_cost_no_look_at_the_schedules(start: Callable[..., Running]) -> None:
    link = Link("memory:")
    store: Any = link.store
    looks: list[object] = []

    def count(name: str) -> None:
        verb = getattr(store, name)

        def counted(*args: Any, **more: Any) -> Any:
            looks.extend([args] if QUEUE in repr(args) else [])
            return verb(*args, **more)

        setattr(store, name, counted)

    count("browse")
    count("claim")
    broker = Broker(link, config=False)
    task = broker.task(queue="q", name="nothing")(lambda: None)
    start(link, broker.tasks, ["q"])
    for _ in range(300):
        assert task.options(keep=60).put().wait(40)
    assert 1 <= len(looks) <= 30, f"{len(looks)} looks for 300 jobs, one by one"
    broker.close()


def test_a_store_that_is_away_for_a_while(start: Callable[..., Running]) -> None:
    link = Link("memory:")
    store: Any = link.store
    told: list[str] = []
    away, tried = True, threading.Event()
    browse = store.browse

    def fails(query: Any) -> Any:
        if away and query.queues == (QUEUE,):
            tried.set()
            raise StoreError("away")
        return browse(query)

    Schedules(link).add("s", "every 1s", "q", 1)
    store.browse = fails
    planter = Planter(link, lambda: False, lambda text, *more: told.append(text % more))
    watched: list[tuple[str, ...]] = []
    planter.watch = watched.append
    planter.start()
    try:
        assert tried.wait(20)
        away = False
        until(lambda: link.store.counts(["q"])["q"].ready, 40)
        assert len(told) == 1
        assert "tried again" in told[0]
        assert (watched[0], watched[-1]) == ((), (QUEUE,)), "the ferry is not to wake for what nobody takes"
    finally:
        planter.close()
        link.close()


def test_a_paused_worker_plants_nothing() -> None:
    link = Link("memory:")
    Schedules(link).add("s", "every 1s", "q", 1)
    resting = True
    planter = Planter(link, lambda: resting, pytest.fail)
    planter.look()
    assert link.store.queues() == [QUEUE]
    resting = False
    end = time.monotonic() + 20
    while "q" not in link.store.queues():
        assert time.monotonic() < end
        link.clock.sleep(threading.Event(), min(0.05, planter.look()))
    link.close()


def test_a_worker_ends_at_once_with_its_planter_asleep() -> None:
    link = Link("memory:")
    broker = Broker(link, config=False)
    before = threading.active_count()
    assert Worker(link, broker.tasks, ["q"], drain=True).run() == 0
    assert not [t for t in threading.enumerate() if t.name == "ropeway-planter"], before
    link.close()


def test_the_program_of_these_tests_is_there() -> None:
    assert os.access(PROGRAM, os.R_OK)


def test_schedules_of_a_registry_that_is_included() -> None:
    tasks = Tasks()
    tasks.cron("@daily")(tasks.task(queue="q", name="daily")(lambda: None))
    with pytest.raises(BadValue, match="a schedule daily in this program"):
        tasks.cron("@hourly", name="daily")(tasks.task(name="other")(lambda: None))
    with pytest.raises(BadValue, match="3 fields"):
        tasks.cron("* * *", name="wrong")(tasks.task(name="third")(lambda: None))
    broker = Broker(Link("memory:"), config=False)
    broker.include(tasks)
    twice = Tasks()
    twice.cron("@daily")(twice.task(queue="q")(daily))
    with pytest.raises(BadValue, match="daily"):
        broker.include(twice)
    assert broker.worker("q", drain=True).run() == 0
    until(lambda: [schedule.name for schedule in broker.schedules.browse()] == ["daily"])
    broker.close()


def daily() -> None: ...
