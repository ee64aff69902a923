"""The supervisor with real processes that only pretend to work: started, counted, replaced, signalled, reloaded, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import until

pytestmark = pytest.mark.slow

PRETEND = str(Path(__file__).with_name("pretend.py"))
RUN = """
import sys
from ropeway.worker.fleet.supervisor import Supervisor
from ropeway.worker.fleet import supervisor
supervisor.FIRST_PAUSE, supervisor.LONGEST_PAUSE, supervisor.DYING, supervisor.LATE = 0.2, 0.4, 0.5, 0.5
count, drain, grace, silence, *command = sys.argv[1:]
said = lambda text: print(text, file=sys.stderr, flush=True)
more = {"grace": float(grace), "silence": float(silence), "say": said, "on_ready": lambda: said("ready")}
sys.exit(Supervisor(command, int(count), drain=drain == "drain", **more).run())
"""


class Site:
    """A supervisor as a process, and what its workers wrote."""

    def __init__(self, path: Path) -> None:
        self.journal = path / "journal"
        self.plan = path / "plan"
        self.plan.write_text("")
        self.told = path / "told"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, count: int = 2, plan: str = "", *, drain: bool = False, grace: float = 20, silence: float = 60) -> int:
        self.plan.write_text(plan)
        words = [
            str(count),
            "drain" if drain else "-",
            str(grace),
            str(silence),
            sys.executable,
            PRETEND,
            str(self.journal),
            str(self.plan),
        ]
        with self.told.open("ab") as told:
            self.process = subprocess.Popen([sys.executable, "-c", RUN, *words], stderr=told)
        return self.process.pid

    def lines(self, *words: str) -> list[list[str]]:
        text = self.journal.read_text() if self.journal.exists() else ""
        rows = [line.split() for line in text.splitlines()]
        return [row for row in rows if not words or row[1] in words]

    def pids(self, *words: str) -> list[int]:
        return [int(row[0]) for row in self.lines(*words)]

    def ready(self, count: int) -> list[int]:
        until(lambda: len(self.lines("ready")) >= count)
        return self.pids("ready")

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, timeout: float = 60) -> int:
        assert self.process is not None
        code = self.process.wait(timeout)
        for pid in self.pids("born"):
            assert not alive(pid), f"worker {pid} is left over"
        return code

    def says(self, text: str) -> bool:
        return text in self.told.read_text()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    for pid in made.pids("born"):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_so_many_run_and_sigterm_ends_them_all(site: Site) -> None:
    site.start(3)
    pids = site.ready(3)
    until(lambda: site.says("ready"))
    assert len(set(pids)) == 3
    site.send(signal.SIGTERM)
    assert site.end() == 0
    assert Counter(row[2] for row in site.lines("got")) == {"SIGTERM": 3}


def test_one_that_dies_is_replaced(site: Site) -> None:
    site.start(2)
    first, second = site.ready(2)
    os.kill(first, signal.SIGKILL)
    assert site.ready(3)[2] not in (first, second)
    assert site.says(f"worker {first} ended (SIGKILL); another starts")
    assert alive(second)
    site.send(signal.SIGINT)
    assert site.end() == 0


def test_one_that_dies_again_and_again_is_replaced_ever_more_slowly(site: Site) -> None:
    site.start(1, "die")
    until(lambda: len(site.lines("ready")) >= 4)
    told = site.told.read_text()
    assert "another starts in" in told
    assert told.count("another starts\n") == 1, "only the first time at once"
    site.plan.write_text("")
    until(lambda: alive(site.pids("ready")[-1]) and "die" not in site.lines("born")[-1])
    site.send(signal.SIGTERM)
    assert site.end() == 0


def test_one_that_falls_silent_is_ended_and_tells_where_it_stood(site: Site) -> None:
    site.start(1, "hang", silence=4.5)
    first, second = site.ready(2)
    assert not alive(first)
    assert site.says(f"worker {first} has not been heard for")
    assert site.says("Current thread"), "the stacks at the abort"
    assert alive(second)
    site.send(signal.SIGTERM)
    assert site.end() == 0


def test_a_first_worker_that_cannot_start_ends_it_all_with_its_code(site: Site) -> None:
    site.start(2, "broken")
    assert site.end() == 3
    assert len(site.lines("born")) <= 2, "nothing is tried again"
    assert not site.says("ready")


@pytest.mark.parametrize(("plan", "code"), [("exit=0", 0), ("exit=10", 10)])
def test_a_drain_ends_when_all_have(site: Site, plan: str, code: int) -> None:
    site.start(2, plan, drain=True)
    assert site.end() == code
    assert len(site.lines("born")) == 2
    assert site.says("ready")


def test_one_that_wants_to_be_started_anew_is(site: Site) -> None:
    site.start(1, "again")
    second = site.ready(2)[1]
    assert alive(second)
    assert not site.says("ended")
    site.send(signal.SIGTERM)
    assert site.end() == 0


def test_one_that_was_told_to_end_is_not_replaced(site: Site) -> None:
    site.start(2)
    first, second = site.ready(2)
    os.kill(first, signal.SIGTERM)
    until(lambda: site.says(f"worker {first} was told to end"))
    os.kill(second, signal.SIGTERM)
    assert site.end() == 0
    assert len(site.lines("born")) == 2


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT])
def test_what_is_for_the_workers_is_passed_on(site: Site, number: signal.Signals) -> None:
    site.start(2)
    site.ready(2)
    site.send(number)
    until(lambda: [row[2] for row in site.lines("got")] == [number.name] * 2)
    site.send(signal.SIGQUIT)
    assert site.end() == 0
    assert Counter(row[2] for row in site.lines("got")) == {number.name: 2, "SIGQUIT": 2}


def test_hangup_starts_the_new_ones_before_the_old_ones_end(site: Site) -> None:
    site.start(2)
    old = site.ready(2)
    site.plan.write_text("new")
    site.send(signal.SIGHUP)
    new = site.ready(4)[2:]
    until(lambda: len(site.lines("end")) == 2)
    assert sorted(site.pids("end")) == sorted(old)
    assert all(row[2:] == ["SIGQUIT"] for row in site.lines("got"))
    assert all(alive(pid) for pid in new)
    site.send(signal.SIGTERM)
    assert site.end() == 0


def test_new_code_that_does_not_start_changes_nothing(site: Site) -> None:
    site.start(1)
    (old,) = site.ready(1)
    site.plan.write_text("broken")
    site.send(signal.SIGHUP)
    until(lambda: site.says("did not start (exit 3); the old one goes on"))
    assert alive(old)
    assert not site.lines("got")
    site.plan.write_text("")
    site.send(signal.SIGHUP)
    site.ready(2)
    until(lambda: not alive(old))
    site.send(signal.SIGTERM)
    assert site.end() == 0


def test_more_and_fewer(site: Site) -> None:
    site.start(1)
    site.ready(1)
    site.send(signal.SIGTTIN)
    site.ready(2)
    site.send(signal.SIGTTOU)
    until(lambda: len(site.lines("end")) == 1)
    site.send(signal.SIGTTOU)  # the last one stays
    site.send(signal.SIGUSR1)
    until(lambda: any(row[2] == "SIGUSR1" for row in site.lines("got")))
    assert len(site.lines("end")) == 1
    site.send(signal.SIGTERM)
    assert site.end() == 0


def test_one_that_does_not_stop_is_killed_after_the_grace(site: Site) -> None:
    site.start(2, "stubborn", grace=0.5)
    site.ready(2)
    site.send(signal.SIGTERM)
    assert site.end() == 143
    assert not site.lines("end")


def test_the_third_order_to_stop_kills(site: Site) -> None:
    site.start(1, "stubborn", grace=300)
    site.ready(1)
    for count in range(1, 3):
        site.send(signal.SIGTERM)
        until(lambda: len(site.lines("got")) == count)  # noqa: B023
    site.send(signal.SIGTERM)
    assert site.end() == 143


def test_workers_end_when_their_supervisor_is_killed(site: Site) -> None:
    pid = site.start(2)
    pids = site.ready(2)
    os.kill(pid, signal.SIGKILL)
    until(lambda: len(site.lines("orphaned")) == 2)
    until(lambda: not any(alive(one) for one in pids))
