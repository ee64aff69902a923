"""Processes are killed at random, and the ledger shows no loss. ROPEWAY_KILL_JOBS and ROPEWAY_KILL_PROCESSES make it larger."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import servers
from ropeway.testing.kill import Plan, run, shown

pytestmark = pytest.mark.slow

JOBS = int(os.environ.get("ROPEWAY_KILL_JOBS", "2000"))
PROCESSES = int(os.environ.get("ROPEWAY_KILL_PROCESSES", "10"))
ENGINES = {"dir": "dir:{}/spool", "dir os": "dir:{}/spool?durability=os"}


@pytest.mark.timeout(300 + JOBS // 50)
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_random_nothing_is_lost_and_nothing_held_twice(engine: str, tmp_path: Path) -> None:
    before = servers.children()
    (tmp_path / "ledger").mkdir()
    share = JOBS // len(ENGINES)
    plan = Plan(ENGINES[engine].format(tmp_path), PROCESSES, share, kills=share // 25, stops=2, seed=os.getpid(), lease=1.0)
    report = run(plan, tmp_path / "ledger")
    assert report, f"{plan}\n{shown(report)}"
    figures = report.verdict.figures
    assert figures["put.ok"] >= share
    assert figures["kill"] == share // 25
    assert figures["stop"] == 2
    assert figures["ack.ok"] >= share - figures["kill"] * 16, "most were seen to their end"
    assert figures["redelivered"] > 0, "nobody was killed while holding a job: the test saw nothing"
    assert servers.children() == before, "a process was left behind"


def test_the_command_prints_its_figures_and_leaves_nothing() -> None:
    command = [sys.executable, "-m", "ropeway.testing.kill", "--processes", "4", "--jobs", "200", "--kills", "5", "--stops", "0"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    head = answer.stdout.splitlines()[0]
    assert "4 processes, 200 jobs, 5 kills" in head
    assert "All promises held." in answer.stdout
    assert not Path(head.partition("dir:")[2].partition("/spool")[0]).exists()


def stopped(child: psutil.Process) -> bool:
    """Whether the process is stopped now; one that has just been killed is not."""
    try:
        return bool(child.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def test_a_run_that_is_killed_itself_leaves_no_crew_behind() -> None:
    command = [sys.executable, "-m", "ropeway.testing.kill", "--processes", "6", "--jobs", "100000", "--kills", "2000", "--seed", "5"]
    run = psutil.Popen(command, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run.stdout:
        folder = run.stdout.readline().partition("dir:")[2].partition("/spool")[0]
    try:
        deadline = time.monotonic() + 60
        while not any(map(stopped, crew := run.children())):
            assert time.monotonic() < deadline, "nobody was stopped"
            time.sleep(0.01)
    finally:
        run.kill()
        run.wait(60)
    gone, alive = psutil.wait_procs(crew, timeout=60)
    for child in alive:
        child.kill()
    shutil.rmtree(folder)
    assert not alive
    assert gone
