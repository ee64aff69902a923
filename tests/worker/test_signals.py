"""Workers as processes: stopped, killed and frozen. What each job's state is afterwards, and that no two runs of one overlap."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import DEADLY

from . import program
from .conftest import until

pytestmark = pytest.mark.slow


class Site:
    """A spool folder, a journal, and the workers that a test started on them."""

    def __init__(self, path: Path) -> None:
        self.url = f"dir:{path / 'spool'}?durability=os"
        self.journal = path / "journal"
        self.link = Link(self.url)
        self.tasks = program.build(self.link, str(self.journal))
        self.workers: list[subprocess.Popen[bytes]] = []

    def work(self, **options: Any) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until it works."""
        before = len(self.lines("up"))
        command = [
            sys.executable,
            "-m",
            "worker.program",
            self.url,
            str(self.journal),
            *(f"{k}={str(v).lower()}" for k, v in options.items()),
        ]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        worker = subprocess.Popen(command, env=env, stderr=subprocess.PIPE)
        self.workers.append(worker)
        until(lambda: len(self.lines("up")) > before or worker.poll() is not None)
        return worker

    def lines(self, *words: str) -> list[list[str]]:
        """The lines of the journal that have one of these words."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return [line.split() for line in text.splitlines() if line.split()[2] in words]

    def task(self, name: str) -> Any:
        task = self.tasks.get(name)
        assert task is not None
        return task

    def states(self) -> list[tuple[State, int]]:
        """(state, attempts) of all jobs that are still there."""
        return sorted((entry.state, entry.attempts) for entry in Queue[Any](self.link, "default").browse(limit=None))

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
            if worker.stderr:
                worker.stderr.close()
        self.link.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def ended(worker: subprocess.Popen[bytes], timeout: float = 60.0) -> int:
    return worker.wait(timeout)


def test_sigterm_lets_what_runs_finish_and_gives_back_the_rest(site: Site) -> None:
    site.task("sleep").map([0.5] * 6)
    worker = site.work()
    until(lambda: len(site.lines("begin")) == 2)
    worker.send_signal(signal.SIGTERM)
    assert ended(worker) == 0
    assert len(site.lines("end")) == 2
    assert site.states() == [(State.READY, 0)] * 4
    assert worker.stderr is not None
    assert worker.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_the_grace_the_process_is_gone_before_the_job_is_due(site: Site, number: signal.Signals) -> None:
    site.task("sleep").put(30)
    worker = site.work(grace=0.3)
    until(lambda: site.lines("begin"))
    began = time.monotonic()
    worker.send_signal(number)
    assert ended(worker) == 0
    assert 0.25 < time.monotonic() - began < 20
    assert not site.lines("end")
    assert site.states() == [(State.DELAYED, 0)]


def test_a_second_signal_is_at_once(site: Site) -> None:
    site.task("sleep").map([30] * 4)
    worker = site.work(grace=60)
    until(lambda: len(site.lines("begin")) == 2)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert ended(worker) == 0
    assert time.monotonic() - began < 20
    assert {attempts for _, attempts in site.states()} == {0}


def test_a_third_signal_ends_the_process_whatever_it_is_blocked_in(site: Site) -> None:
    site.task("quick").put()
    worker = site.work(slow_store="60")
    until(lambda: site.lines("quick"))
    time.sleep(0.3)
    began = time.monotonic()
    for _ in range(3):
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    assert ended(worker) == 143
    assert time.monotonic() - began < 30


def test_a_coroutine_is_cancelled_and_due_at_once(site: Site) -> None:
    site.task("asleep").put(30)
    worker = site.work(grace=0.1)
    until(lambda: site.lines("begin"))
    worker.send_signal(signal.SIGTERM)
    assert ended(worker) == 0
    assert site.lines("cancelled")
    assert site.states() == [(State.READY, 0)]


def test_an_idle_worker_ends_at_once(site: Site) -> None:
    worker = site.work()
    time.sleep(0.3)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert ended(worker) == 0
    assert time.monotonic() - began < 20


def test_a_killed_workers_jobs_are_run_by_another(site: Site) -> None:
    """On one host the dead holder is seen, not waited for; every attempt is counted."""
    site.task("sleep").map([0.4] * 4)
    worker = site.work(concurrency=4)
    until(lambda: len(site.lines("begin")) == 4)
    worker.kill()
    worker.wait()
    began = time.monotonic()
    other = site.work(concurrency=4, drain=True)
    until(lambda: len(site.lines("end")) == 4, 20)
    assert time.monotonic() - began < 15, "long before the lease of 30 s is over"
    assert ended(other) == 0
    begun = site.lines("begin")
    assert sorted(line[4] for line in begun) == ["1"] * 4 + ["2"] * 4
    assert site.states() == []


def test_a_poison_job_is_buried_and_its_neighbours_are_not(site: Site) -> None:
    """It kills each worker that runs it. Everything around it is done, each at the cost of no more than an attempt or two."""
    quick, kill = site.task("quick"), site.task("kill")
    quick.map([f"n{n}" for n in range(30)])
    kill.put()
    quick.map([f"m{n}" for n in range(100)])
    deaths = 0
    for _ in range(12):
        worker = site.work(concurrency=4, drain=True)
        code = ended(worker, 30)
        if code >= 0:
            break
        assert code == -signal.SIGKILL
        deaths += 1
    assert deaths == DEADLY
    assert code == 10
    assert len({line[3] for line in site.lines("quick")}) == 130
    (dead,) = Queue[Any](site.link, "default").browse(limit=None)
    assert (dead.state, dead.job.task, dead.error) == (State.DEAD, "kill", "killed 3 workers")
    assert len(site.lines("kill")) == DEADLY


def frozen(site: Site) -> tuple[subprocess.Popen[bytes], list[str]]:
    """A worker that was stopped in its first job with five more in its hand; the ids, the running one's first."""
    freezes = site.task("freezes")
    worker = site.work(lease=1, concurrency=1)
    for _ in range(10):
        freezes.map([0.002] * 40)  # short ones, so that it takes more than one at once
        until(lambda: site.states() == [])
        ids = [handle.id for handle in freezes.map([0.6] + [0.001] * 5)]
        until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)
        if site.states() == [(State.RUNNING, 1)] * 6:
            return worker, ids
        worker.send_signal(signal.SIGCONT)  # it had not taken them all at once
        until(lambda: site.states() == [])
    raise AssertionError("could not catch it with a full hand")


def test_a_frozen_worker_starts_nothing_when_it_thaws(site: Site) -> None:
    """Stopped past its lease with jobs in the hand: another runs them, and its late ack changes nothing."""
    worker, ids = frozen(site)
    try:
        time.sleep(1.2)
        other = site.work(drain=True)
        until(lambda: any(line[3] == ids[0] and line[1] == str(other.pid) for line in site.lines("begin")), 60)
    finally:
        worker.send_signal(signal.SIGCONT)
    assert ended(other) == 0
    until(lambda: site.states() == [])
    worker.send_signal(signal.SIGTERM)
    assert ended(worker) == 0
    runs = sorted((line[3], line[4]) for line in site.lines("begin") if line[3] in ids)
    assert runs == sorted([(ids[0], "1"), *((job, "2") for job in ids)]), "what was in the hand at the freeze was started at the thaw"
    (down,) = [line for line in site.lines("down") if line[1] == str(worker.pid)]
    lost, expired = (int(word.partition("=")[2].rstrip(",")) for word in down if word.startswith(("lost=", "expired=")))
    # The run that was on its way is told; the hand is counted as expired, or goes back on void receipts when the stop comes first.
    assert lost >= 1
    assert lost + expired <= 6


def intervals(site: Site) -> dict[str, list[tuple[float, float]]]:
    """From begin to end of each run; a run without an end lasted until its process was gone, which the test bounds by the next line."""
    out: dict[str, list[tuple[float, float]]] = {}
    opened: dict[tuple[str, str], float] = {}
    for when, pid, what, job, *_ in site.lines("begin", "end", "cancelled"):
        if what == "begin":
            opened[pid, job] = float(when)
        else:
            out.setdefault(job, []).append((opened.pop((pid, job)), float(when)))
    return out


def test_workers_come_and_go_and_every_job_is_done_once_by_each_count(site: Site) -> None:
    """A rolling deploy: workers are told to stop at any moment, others take over; nothing is lost, no attempt is charged."""
    handles = site.task("sleep").map([0.05] * 60)
    current = site.work(concurrency=4, grace=5)
    for _ in range(3):
        time.sleep(0.25)
        following = site.work(concurrency=4, grace=5)
        current.send_signal(signal.SIGTERM)
        assert ended(current) == 0
        current = following
    until(lambda: site.states() == [], 20)
    current.send_signal(signal.SIGTERM)
    assert ended(current) == 0
    done = intervals(site)
    assert set(done) == {handle.id for handle in handles}
    assert all(len(runs) == 1 for runs in done.values()), "run again though its worker was stopped cleanly"
    assert {line[4] for line in site.lines("begin")} == {"1"}


def test_a_run_out_of_a_main_thread_leaves_the_signals_alone(site: Site) -> None:
    before = signal.getsignal(signal.SIGTERM), sys.getswitchinterval()
    site.task("quick").put()
    from ropeway.worker import Worker

    worker = Worker(site.link, site.tasks, ("default",), drain=True)
    assert worker.run() == 0
    assert (signal.getsignal(signal.SIGTERM), sys.getswitchinterval()) == before
