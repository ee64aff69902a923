"""Many processes on one database: killed at random, and seen by their neighbours when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Holder, Query
from ropeway.stores import open_store
from ropeway.testing.kill import Plan, run, shown

from . import postgres
from .mariadb import Place

ENGINES = [
    "sqlite",
    pytest.param("mariadb", marks=pytest.mark.service("mariadb")),
    pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
]
JOBS = int(os.environ.get("ROPEWAY_KILL_JOBS", "600"))

CHILD = """
import sys, time
from ropeway.store import Holder
from ropeway.stores import open_store
store = open_store(sys.argv[1])
assert len(store.claim(["q"], 2, 600.0, Holder("child", bound=sys.argv[2] == "bound"))) == 2
print("holds", flush=True)
time.sleep(600)
"""


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh place on the engine."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/jobs.db"
        return
    place: Place | postgres.Place
    if request.param == "mariadb":
        place = Place(os.environ["ROPEWAY_TEST_MARIADB"], "processes")
    else:
        place = postgres.Place(os.environ["ROPEWAY_TEST_POSTGRESQL"], "processes")
    yield place.url
    place.drop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_killed_at_random_nothing_is_lost_and_nothing_held_twice(url: str, tmp_path: Path) -> None:
    before = servers.children()
    (tmp_path / "ledger").mkdir()
    plan = Plan(url, 8, JOBS, kills=JOBS // 25, stops=2, seed=os.getpid(), lease=1.0)
    report = run(plan, tmp_path / "ledger")
    assert report, f"{plan}\n{shown(report)}"
    assert report.verdict.figures["put.ok"] >= JOBS
    assert report.verdict.figures["redelivered"] > 0, "nobody was killed while holding a job: the test saw nothing"
    assert servers.children() == before, "a process was left behind"


def holding(url: str, bound: str) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, url, bound], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "holds\n"
    return child


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_who_dies_on_this_host_gives_his_jobs_back_at_once(url: str) -> None:
    """Long before the lease of 600 s ends; a worker that sleeps meanwhile is woken."""
    store = open_store(url)
    new_id = IdMaker(time.time_ns, os.urandom)
    store.put([Job(new_id(), "q", b"%d" % number) for number in range(2)])
    child = holding(url, "bound")
    assert store.wait(["q"], 0.1) is False
    child.send_signal(signal.SIGKILL)
    child.wait()
    began = time.monotonic()
    assert store.wait(["q"], 30.0) is True
    lent = store.claim(["q"], 5, 30.0, Holder("me"))
    assert time.monotonic() - began < 10
    assert [(one.job.body, one.attempt, one.deaths) for one in lent] == [(b"0", 2, 1), (b"1", 2, 1)]
    history = store.browse(Query())[0].history
    assert [(one.worker, one.outcome) for one in history] == [("child", "lost")]
    assert store.ack([Ack(one.receipt) for one in lent]) == [True, True]
    assert store.notes.notes("") == {}
    store.close()
    assert child.stdout is not None
    child.stdout.close()


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_a_receipt_that_outlives_its_process_is_left_alone(url: str) -> None:
    store = open_store(url)
    new_id = IdMaker(time.time_ns, os.urandom)
    store.put([Job(new_id(), "q") for _ in range(2)])
    child = holding(url, "free")
    child.kill()
    child.wait()
    assert store.wait(["q"], 2.5) is False
    assert store.counts()["q"].running == 2
    store.close()
    assert child.stdout is not None
    child.stdout.close()
