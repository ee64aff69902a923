"""SIGTERM at each state of a job, once and twice, in each pool: what runs, what is held, and where each job stands afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue

from . import workshop
from .conftest import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CASES = [("thread", "gated"), ("thread", "agated"), ("async", "agated"), ("async", "gated"), ("process", "gated"), ("process", "agated")]
LIMIT = 60.0


class Site:
    """A spool folder, a journal, and the workers on them."""

    def __init__(self, path: Path) -> None:
        self.url = f"dir:{path / 'spool'}?durability=os"
        self.journal, self.gate = str(path / "journal"), str(path / "gate")
        self.link = Link(self.url)
        self.broker = Broker(self.link, config=False)
        self.broker.include(workshop.tasks)
        self.workers: list[subprocess.Popen[bytes]] = []

    def work(self, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.worker.station", self.url, self.journal]
        command += [f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in options.items()]
        worker = subprocess.Popen(command, cwd=ROOT)
        self.workers.append(worker)
        return worker

    def lines(self, what: str) -> list[list[str]]:
        text = Path(self.journal).read_text() if Path(self.journal).exists() else ""
        return [row for line in text.splitlines() if (row := line.split(" "))[2] == what]

    def entries(self) -> list[Any]:
        return Queue[Any](self.link, "default").browse(limit=None)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    for worker in made.workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait(10)
    made.broker.close()
    workshop.tasks.above = None


def running(site: Site, pool: str, task: str, **options: Any) -> subprocess.Popen[bytes]:
    """A worker that is in two jobs, with six more behind."""
    for number in range(8):
        workshop.tasks.get(task).put(site.journal, site.gate, f"j{number}")  # type: ignore[union-attr]
    worker = site.work(pool=f'"{pool}"', **options)
    until(lambda: len(site.lines("begin")) == 2, LIMIT)
    return worker


@pytest.mark.parametrize(("pool", "task"), CASES)
def test_what_runs_has_the_grace_to_end(site: Site, pool: str, task: str) -> None:
    worker = running(site, pool, task)
    worker.send_signal(signal.SIGTERM)
    until(lambda: [member.seen.state for member in site.broker.workers()] == ["stopping"], LIMIT)
    Path(site.gate).touch()
    assert worker.wait(LIMIT) == 0
    assert len(site.lines("end")) == len(site.lines("begin")) == 2
    assert [(entry.state, entry.attempts, entry.deaths) for entry in site.entries()] == [(State.READY, 0, 0)] * 6


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize(("pool", "task"), CASES)
def test_what_does_not_end_goes_back_uncounted(site: Site, pool: str, task: str, signals: int) -> None:
    """After the grace, or at once after a second signal. What cannot be stopped is due a second later, when its process is gone."""
    worker = running(site, pool, task, grace=0.3 if signals == 1 else 300)
    pids = {int(line[1]) for line in site.lines("begin")}
    worker.send_signal(signal.SIGTERM)
    if signals == 2:
        until(lambda: [member.seen.state for member in site.broker.workers()] == ["stopping"], LIMIT)  # or two may become one
        worker.send_signal(signal.SIGTERM)
    assert worker.wait(LIMIT) == 0
    assert not site.lines("end")
    stays = 2 if task == "gated" and pool != "process" else 0
    entries = site.entries()
    assert {(entry.attempts, entry.deaths) for entry in entries} == {(0, 0)}
    assert sum(entry.state is State.READY for entry in entries) >= 8 - stays
    assert all(entry.state in (State.READY, State.DELAYED) for entry in entries)
    until(lambda: not any(_lives(pid) for pid in pids), LIMIT)
    until(lambda: all(entry.state is State.READY for entry in site.entries()), LIMIT)
    Path(site.gate).touch()
    other = site.work(pool=f'"{pool}"', drain=True)
    assert other.wait(LIMIT) == 0
    assert site.entries() == []
    assert Counter(line[3] for line in site.lines("end")) == {f"j{number}": 1 for number in range(8)}


@pytest.mark.parametrize("pool", ["thread", "async", "process"])
def test_a_worker_that_waits_stops_at_once(site: Site, pool: str) -> None:
    worker = site.work(pool=f'"{pool}"')
    workshop.mark.put(site.journal)
    until(lambda: site.lines("mark") and not site.entries(), LIMIT)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LIMIT) == 0


def test_a_signal_to_the_whole_group_leaves_the_children_their_grace(site: Site) -> None:
    """As systemd and terminals send it: to every process of the service."""
    worker = running(site, "process", "gated")
    children = {int(line[1]) for line in site.lines("begin")}
    for pid in (worker.pid, *children):
        os.kill(pid, signal.SIGTERM)
    until(lambda: [member.seen.state for member in site.broker.workers()] == ["stopping"], LIMIT)
    Path(site.gate).touch()
    assert worker.wait(LIMIT) == 0
    assert len(site.lines("end")) == 2


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
