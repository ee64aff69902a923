"""News between two hosts, over TCP where the bell rings over UDP; a host that swallows everything costs the publisher nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bells.hosts import Host, swallow
from bells.test_hosts import hosts, possible  # noqa: F401 - fixtures

HOME = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    begun: list[subprocess.Popen[str]] = []

    def one(host: Host, *words: str) -> subprocess.Popen[str]:
        command = [*host.inside, sys.executable, "-m", "tests.buses.program", str(tmp_path / "spool"), *words]
        begun.append(subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield one
    for process in begun:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.timeout(120)
def test_another_host_hears(hosts: tuple[Host, Host], run: Run) -> None:  # noqa: F811
    here, there = hosts
    near, far = run(here, "listen", "3"), run(there, "listen", "3")
    assert (line(near), line(far)) == ("up", "up")
    assert float(line(run(here, "publish", "1", "2", "3"))) < 30
    for listener in (near, far):
        assert [line(listener) for _ in range(3)] == ["1", "2", "3"]
        assert listener.wait(30) == 0


@pytest.mark.timeout(120)
def test_a_host_that_swallows_everything_holds_up_nobody(hosts: tuple[Host, Host], run: Run) -> None:  # noqa: F811
    here, there = hosts
    near, far = run(here, "listen", "50"), run(there, "listen", "50")
    assert (line(near), line(far)) == ("up", "up")
    swallow(here, there)
    began = time.monotonic()
    publisher = run(here, "publish", *(str(number) for number in range(50)))
    assert float(line(publisher)) < 20, "to publish is to wait for nobody"
    assert [line(near) for _ in range(50)] == [str(number) for number in range(50)]
    assert publisher.wait(30) == 0
    assert time.monotonic() - began < 30
