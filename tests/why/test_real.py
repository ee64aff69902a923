"""Whole workers and real processes: killed, stopped by a signal, without the task, with a body that none can read; the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import ropeway
from ropeway.job import State
from ropeway.testing.clock import FakeClock

from .stage import Stage, until

COMMAND = [sys.executable, "-m", "ropeway"]


@pytest.fixture
def spool(tmp_path: Path) -> str:
    return f"dir:{tmp_path}/spool?durability=os"


class Shop:
    """A store, and workers of it as processes of their own, which end with the test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.broker = ropeway.connect(url, config=False)
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        self.started.append(subprocess.Popen([*COMMAND, "-u", self.url, "work", *args], stderr=subprocess.DEVNULL))
        return self.started[-1]

    def why(self, *args: str) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, rows and errors of `ropeway why`."""
        ran = subprocess.run([*COMMAND, "-u", self.url, "why", *args], capture_output=True, text=True, timeout=60, check=False)
        return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()], ran.stderr

    def code(self, job_id: str) -> str:
        return self.broker.why(job_id).causes[0].code

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                kill(process)
            process.wait()
        self.broker.close()


def kill(worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker, and the command that it runs: that would go on."""
    for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)):
        process.kill()
    worker.wait()


@pytest.fixture
def shop(spool: str) -> Iterator[Shop]:
    made = Shop(spool)
    yield made
    made.end()


def test_a_worker_runs_it_is_stopped_and_is_killed(shop: Shop) -> None:
    job = shop.broker.queue("q").put("x").id
    assert shop.code(job) == "no-worker"
    worker = shop.start("q", "-j", "1", "--", "sleep", "600")
    until(lambda: shop.code(job) == "running")
    second = shop.broker.queue("q").put("y").id
    until(lambda: shop.code(second) == "workers-full")
    assert job in shop.broker.why(second).causes[0].text
    worker.send_signal(signal.SIGSTOP)
    until(lambda: shop.code(job) == "holder-halted")
    code, (row,), _ = shop.why(job)
    assert (code, row["id"], row["state"], row["causes"][0]["code"]) == (0, job, "running", "holder-halted")
    assert f"kill -CONT {worker.pid}" in row["causes"][0]["unblock"]
    assert shop.code(second) == "workers-halted"
    kill(worker)
    assert shop.code(job) == "holder-dead"
    assert shop.code(second) == "workers-dead"


def test_what_no_try_can_mend(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import ropeway\nbroker = ropeway.connect()\n@broker.task\ndef bill(number: int) -> None: ...\n")
    store = shop.broker.store
    names = {
        "dead-no-task": ropeway.Job(shop.broker.link.new_id(), "q", b"{}", "application/json", task="unheard"),
        "dead-unreadable": ropeway.Job(shop.broker.link.new_id(), "q", b"{", "application/json", task="bill"),
    }
    store.put(list(names.values()))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "ROPEWAY_URL": shop.url}
    command = [*COMMAND, "work", "q", "--app", "shop:broker", "--drain"]
    subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False, cwd=tmp_path)
    for code, job in names.items():
        found = shop.broker.why(job.id)
        assert (found.state, found.causes[0].code) == (State.DEAD, code), found


def test_a_lease_that_is_over_before_anybody_looks(tmp_path: Path) -> None:
    stage = Stage(f"dir:{tmp_path}/spool?durability=os&bell=off", FakeClock())
    try:
        job = stage.put()
        stage.claim(lease=10.0, holder="web-9:44:own")
        stage.pass_by(15)
        (found,) = stage.why(job).causes
        assert found.code == "lease-over"
        assert "web-9:44:own has lost it" in found.text
        assert "5s ago" in found.text
    finally:
        stage.end()


def test_the_command_line(shop: Shop) -> None:
    queue = shop.broker.queue("q")
    queue.pause(claim=True, reason="deploy \x1b[31m")
    one, two = queue.put("x").id, queue.put("y", delay="1h").id
    code, rows, _ = shop.why(one, two)
    assert code == 0
    assert [[cause["code"] for cause in row["causes"]] for row in rows] == [
        ["claim-stopped", "no-worker"],
        ["claim-stopped", "delayed", "no-worker"],
    ]
    assert "\x1b" not in str(rows)
    code, (row,), _ = shop.why("0" * 12 + "7" + "0" * 19)
    assert (code, row["state"], row["causes"][0]["code"]) == (3, None, "unknown")
    code, (row,), _ = shop.why("--queue", "q")
    assert (code, row["queue"], row["causes"][0]["code"]) == (0, "q", "claim-stopped")
    assert shop.why()[0] == 2
    assert shop.why("nonsense")[0] == 2


def test_a_server_that_does_not_answer() -> None:
    ran = subprocess.run(
        [*COMMAND, "-u", "redis://127.0.0.1:9?timeout=1", "why", "0199b3c0a2f47c0e8d2f5b6a7c8d9e0f"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 5
    assert "ropeway check" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


async def _awaited(url: str, job_id: str) -> list[str]:
    async with ropeway.connect(url, config=False) as broker:
        found = await broker.awhy(job_id)
        queue = await broker.awhy_queue("q")
        return [found.causes[0].code, queue.causes[0].code]


def test_the_awaitable_twin(shop: Shop) -> None:
    import asyncio

    job = shop.broker.queue("q").put("x").id
    assert asyncio.run(_awaited(shop.url, job)) == ["no-worker", "no-worker"]
