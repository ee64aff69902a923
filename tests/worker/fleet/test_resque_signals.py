"""Resque's set of signals, one test each, with a real worker that has the process to itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ropeway.job import State
from ropeway.queue import Queue
from ropeway.worker.fleet import workers

from ..conftest import until
from ..test_signals import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def state(site: Site) -> str:
    (member,) = workers(site.link)
    return member.seen.state


def test_quit_finishes_all_that_it_holds_then_exits(site: Site) -> None:
    site.task("sleep").map([0.7] * 4)
    worker = site.work(grace=0)
    until(lambda: len(site.lines("begin")) == 2)
    worker.send_signal(signal.SIGQUIT)
    assert worker.wait(60) == 0
    assert len(site.lines("end")) == 2, "no grace cut it short"
    assert site.states() == [(State.READY, 0)] * 2


def test_usr1_ends_the_running_jobs_as_failed_tries_and_the_worker_goes_on(site: Site) -> None:
    site.task("asleep").put(600)
    worker = site.work()
    until(lambda: site.lines("begin"))
    worker.send_signal(signal.SIGUSR1)
    until(lambda: site.lines("cancelled"))
    until(lambda: site.states() != [(State.RUNNING, 1)])
    (entry,) = Queue(site.link, "default").browse()
    assert (entry.history[0].outcome, entry.history[0].error) == ("killed", "killed by an operator")
    assert entry.attempts >= 1
    site.task("quick").put()
    until(lambda: site.lines("quick"))
    assert worker.poll() is None


def test_usr1_leaves_functions_in_threads_alone_since_nothing_can_end_them(site: Site) -> None:
    site.task("sleep").put(0.8)
    worker = site.work()
    until(lambda: site.lines("begin"))
    worker.send_signal(signal.SIGUSR1)
    until(lambda: site.lines("end"))
    until(lambda: site.states() == [])
    assert worker.poll() is None


def test_usr2_pauses_and_cont_resumes(site: Site) -> None:
    site.task("sleep").map([0.6] * 2)
    worker = site.work()
    until(lambda: len(site.lines("begin")) == 2)
    worker.send_signal(signal.SIGUSR2)
    until(lambda: state(site) == "paused")
    site.task("quick").put()
    until(lambda: len(site.lines("end")) == 2)
    until(lambda: site.states() == [(State.READY, 0)])
    assert not site.lines("quick"), "running ones finished, nothing new began"
    worker.send_signal(signal.SIGCONT)
    until(lambda: site.lines("quick"))


def test_ttin_and_ttou_are_a_slot_more_and_a_slot_less(site: Site) -> None:
    worker = site.work(concurrency=1)
    until(lambda: workers(site.link))
    site.task("sleep").map([4.0] * 2)
    until(lambda: len(site.lines("begin")) == 1)
    worker.send_signal(signal.SIGTTIN)
    until(lambda: len(site.lines("begin")) == 2)
    assert not site.lines("end"), "beside the first, not after it"
    worker.send_signal(signal.SIGTTOU)
    until(lambda: workers(site.link)[0].seen.slots == 1)
    worker.send_signal(signal.SIGTTOU)
    until(lambda: site.states() == [])
    site.task("sleep").map([0.3] * 3)
    until(lambda: len(site.lines("end")) == 5)
    begun = [float(line[0]) for line in site.lines("begin")][2:]
    assert all(later - sooner >= 0.28 for sooner, later in pairwise(begun)), "one at a time, and never none"


def test_signals_that_were_ignored_stay_so(site: Site) -> None:
    """As under nohup, which ignores one signal for good."""
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        worker = site.work()
    finally:
        signal.signal(signal.SIGUSR2, before)
    until(lambda: workers(site.link))
    worker.send_signal(signal.SIGUSR2)
    site.task("quick").put()
    until(lambda: site.lines("quick"))
    assert state(site) != "paused"


def test_a_worker_in_another_thread_takes_no_signals(site: Site) -> None:
    numbers = [signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT, signal.SIGTTIN, signal.SIGTTOU]
    before = [signal.getsignal(number) for number in numbers]
    from ropeway.worker import Worker

    worker = Worker(site.link, site.tasks, ("default",), drain=True)
    assert worker.run() == 0
    assert [signal.getsignal(number) for number in numbers] == before
    assert os.getpid() > 1
