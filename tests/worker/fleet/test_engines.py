"""On each engine that processes share: three under a supervisor, one killed in the middle; every job is done, and the list is right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ropeway
from engines import engines, place

from ..conftest import until

pytestmark = pytest.mark.slow

SHOP = """
import os, time
import ropeway
broker = ropeway.connect()

@broker.task(queue="mails")
def nap(number: int) -> None:
    time.sleep(0.1)
    handle = os.open("done", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{number}\\n".encode())
    os.close(handle)
"""
JOBS = 30


@pytest.fixture(params=engines(processes=True))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as url:
        yield url


def test_nothing_is_lost_when_one_of_them_is_killed(url: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    environment = {**os.environ, "ROPEWAY_URL": url}
    words = [sys.executable, "-m", "ropeway", "work", "--app", "shop:broker", "mails", "-j", "3", "-c", "1", "--lease", "5s"]
    with ropeway.connect(url, config=False) as broker:
        with (tmp_path / "told").open("wb") as told:
            supervisor = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=told)
        try:
            until(lambda: len(broker.workers()) == 3, 60)
            for number in range(JOBS):
                broker.queue("mails").put({"number": number}, task="nap")
            until(lambda: (tmp_path / "done").exists(), 60)
            victim = broker.workers()[0]
            os.kill(victim.seen.pid, signal.SIGKILL)
            until(lambda: victim.id not in {member.id for member in broker.workers()}, 60)
            until(lambda: len(set((tmp_path / "done").read_text().split())) == JOBS, 90)
            until(lambda: len(broker.workers()) == 3, 60)
            assert {member.seen.supervisor for member in broker.workers()} == {supervisor.pid}
            until(lambda: not len(broker.queue("mails")) and not broker.counts(["mails"])["mails"].running, 60)
            for member in broker.workers():
                assert "ends when its jobs have" in member.order("quiet", timeout="60s")
            assert supervisor.wait(60) == 0, "all of them were told to end, so none was replaced"
            assert broker.workers() == []
        finally:
            supervisor.kill()
            supervisor.wait()
