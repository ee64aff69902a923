"""The bell between two hosts: who is rung, who is left alone, and what is lost on the way."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .boards import FileBoard
from .conftest import Start
from .hosts import Host, connect, missing, received, remove, swallow

SECRET = " correct horse battery"
FAR = "udp://0.0.0.0:4711"
LONG = 60.0
SHORT = 0.5


@pytest.fixture(scope="module")
def possible() -> None:
    why = missing()
    if why and os.environ.get("CI", "").lower() not in {"", "0", "false"}:
        pytest.fail(f"{why} (in CI that is a failure)", pytrace=False)
    if why:
        pytest.skip(why)


@pytest.fixture
def hosts(possible: None) -> Iterator[tuple[Host, Host]]:
    both = connect()
    yield both
    for host in both:
        remove(host)


@pytest.fixture
def board(tmp_path: Path) -> FileBoard:
    return FileBoard(tmp_path / "board")


class Worker:
    """A worker on one host that waits for one job."""

    def __init__(self, start: Start, host: Host, board: FileBoard, bell: str, poll: float, *, toward: str = "") -> None:
        self._board = board
        self.process = start("work", board.path, bell, poll, *([toward] if toward else []), before=host.inside)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def address(self) -> str:
        """Where it listens, once it waits."""
        end = time.monotonic() + 30
        while not (found := self._board.waiting(["mails"], 9)):
            assert time.monotonic() < end
            time.sleep(0.005)
        assert len(found) == 1
        return found[0]

    def took(self) -> float:
        """When it took the job."""
        return float(self.process.communicate(timeout=50)[0])


def put(start: Start, host: Host, board: FileBoard, bell: str) -> tuple[float, int]:
    """When the job was put, and how many still stand on the board after the ring."""
    said: subprocess.Popen[str] = start("put", board.path, bell, before=host.inside)
    when, left = said.communicate(timeout=30)[0].split()
    return float(when), int(left)


@pytest.mark.parametrize("bell", [FAR, FAR + SECRET, "udp://[::]:4711", "udp://10.77.0.1:4711-4712"])
def test_a_put_on_one_host_wakes_a_worker_on_the_other(hosts: tuple[Host, Host], start: Start, board: FileBoard, bell: str) -> None:
    here, there = hosts
    worker = Worker(start, here, board, bell, LONG, toward=there.v6 if "::" in bell else there.v4)
    assert worker.address() in (f"{here.v4}:4711", f"[{here.v6}]:4711")
    when, left = put(start, there, board, bell)
    assert left == 0
    waited = worker.took() - when
    print(f"started after {waited * 1000:.1f} ms")
    assert received(here) == (0 if "::" in bell else 1)
    assert received(there) == 0  # nobody is answered
    assert waited < 10, "that was the poll, not the bell"


def test_the_way_out_tells_the_address(hosts: tuple[Host, Host], start: Start, board: FileBoard) -> None:
    worker = Worker(start, hosts[1], board, FAR, LONG)
    assert worker.address() == f"{hosts[1].v4}:4711"


def test_two_workers_of_a_host_take_two_ports_and_two_jobs(hosts: tuple[Host, Host], start: Start, board: FileBoard) -> None:
    here, there = hosts
    workers = [Worker(start, here, board, FAR, LONG) for _ in range(2)]
    end = time.monotonic() + 30
    while len(board.waiting(["mails"], 9)) < 2:
        assert time.monotonic() < end
        time.sleep(0.005)
    assert sorted(board.waiting(["mails"], 9)) == [f"{here.v4}:4711", f"{here.v4}:4712"]
    last = max(put(start, there, board, FAR)[0] for _ in workers)
    assert all(worker.took() - last < LONG / 10 for worker in workers)


@pytest.mark.parametrize("bell", ["on", "udp://127.0.0.1:4711"])
def test_who_stays_on_its_host_rings_no_other(hosts: tuple[Host, Host], start: Start, board: FileBoard, bell: str) -> None:
    """And the worker there is found by its own poll."""
    here, there = hosts
    worker = Worker(start, here, board, FAR, SHORT)
    assert worker.address() == f"{here.v4}:4711"
    when, left = put(start, there, board, bell)
    assert left == 1
    assert worker.took() - when < LONG / 10
    assert received(here) == 0


def test_loopback_of_the_other_host_is_not_taken_for_ours(hosts: tuple[Host, Host], start: Start, board: FileBoard) -> None:
    here, there = hosts
    worker = Worker(start, here, board, "on", LONG)
    assert worker.address().startswith("127.0.0.1:")
    assert put(start, there, board, "on")[1] == 1
    when, left = put(start, here, board, "on")  # of its own host
    assert left == 0
    assert worker.took() - when < LONG / 10


def test_every_datagram_dropped(hosts: tuple[Host, Host], start: Start, board: FileBoard) -> None:
    """The job starts within one poll."""
    here, there = hosts
    swallow(there, here)
    worker = Worker(start, here, board, FAR, SHORT)
    worker.address()
    when, left = put(start, there, board, FAR)
    assert left == 0  # rung, as far as the putter knows
    assert worker.took() - when < LONG / 10
    assert received(here) == 0


def test_another_secret_wakes_nobody(hosts: tuple[Host, Host], start: Start, board: FileBoard) -> None:
    here, there = hosts
    worker = Worker(start, here, board, FAR + SECRET, SHORT)
    worker.address()
    when, left = put(start, there, board, f"{FAR} another{SECRET}")
    assert left == 0
    assert worker.took() - when < LONG / 10


@pytest.mark.parametrize("address", ["10.77.0.255:9", "255.255.255.255:9", "224.0.0.1:9"])
def test_a_network_is_never_rung(hosts: tuple[Host, Host], start: Start, address: str) -> None:
    """The broadcast address of a network looks like any other: the system knows it, and is not asked to allow it."""
    assert start("ring", address, "far", before=hosts[1].inside).communicate(timeout=30)[0] == "0\n"


def test_a_host_without_a_way_out_says_so(hosts: tuple[Host, Host], start: Start) -> None:
    here = hosts[0]
    subprocess.run([*here.inside, "ip", "route", "del", "default"], check=True)
    child = start("sleep", "0.0.0.0", 0, 1, before=here.inside, errors=True)
    said = child.communicate(timeout=30)[0]
    assert "no route out" in said
    assert child.returncode != 0
