"""Who asks a full worker hears at once what its jobs do: it sleeps where it is rung for orders, and looks often while jobs fly by."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import ropeway
from engines import place
from ropeway.broker import Broker
from ropeway.worker.fleet import Member

from .conftest import until

DEADLINE = 1.0  # seconds from the question to the answer, of which each look takes 0.06 on purpose
ASKED, QUICK = 7, 2  # so many are quicker than the one that counts: the others may fall into bad moments of the machine

SHOP = """
import asyncio, subprocess, threading
import ropeway
broker = ropeway.connect()
lock = threading.Lock()
lock.acquire()

@broker.task(queue="q")
def on_a_lock() -> None:
    lock.acquire()

@broker.task(queue="q")
def in_a_loop() -> None:
    while True:
        sum(range(100))

@broker.task(queue="q")
async def in_an_await() -> None:
    await asyncio.Event().wait()

@broker.task(queue="q")
def in_a_process() -> None:
    subprocess.run(["sleep", "600"])

@broker.task(queue="q")
def again() -> None:
    broker.queue("q").put({}, task="again")
"""

EXPECTED = {
    "on_a_lock": ("waits", "lock"),
    "in_a_loop": ("runs", None),
    "in_an_await": ("waits", "event"),
    "in_a_process": ("waits", "process"),
}


@contextmanager
def work(folder: Path, url: str, slots: int) -> Iterator[None]:
    """A worker process on that store."""
    (folder / "shop.py").write_text(SHOP)
    environment = {**os.environ, "ROPEWAY_URL": url, "XDG_STATE_HOME": str(folder / "state")}
    command = [sys.executable, "-m", "ropeway", "work", "--app", "shop:broker", "q", "-c", str(slots)]
    with open(folder / "out", "wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL, process_group=0)
    try:
        yield
    finally:
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what the jobs have started


def settled(broker: Broker) -> Member:
    """The worker, once all its jobs are named as they should be."""
    member: Member = until(broker.workers)[0]
    until(lambda: _named(member.inspect("jobs", timeout=60)))
    return member


def _named(seen: dict[str, Any]) -> bool:
    does = {row["task"]: row.get("doing", {}) for row in seen["jobs"]}
    return all((does.get(task, {}).get("state"), does.get(task, {}).get("waits_for")) == what for task, what in EXPECTED.items())


def asked(member: Member) -> list[float]:
    """One question behind the other: how long each took, and that each was answered rightly. Sorted."""
    took = []
    for _ in range(ASKED):
        start = time.monotonic()
        seen = member.inspect("jobs", timeout=60)
        took.append(time.monotonic() - start)
        assert _named(seen), seen
    return sorted(took)


@pytest.mark.parametrize(
    "engine",
    [
        "dir",
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
        pytest.param("mysql", marks=pytest.mark.service("mariadb")),
        pytest.param("redis", marks=pytest.mark.service("redis")),
    ],
)
def test_a_full_worker_names_its_jobs_within_a_second(tmp_path: Path, engine: str) -> None:
    with place(engine, tmp_path) as own, ropeway.connect(url := own.removesuffix("&bell=off"), config=False) as broker:
        for name in EXPECTED:
            broker.queue("q").put({}, task=name)
        with work(tmp_path, url, len(EXPECTED)):
            took = asked(settled(broker))
    print(engine, *(f"{one:.3f}" for one in took))
    assert took[QUICK] < DEADLINE, took


def test_so_does_one_through_which_jobs_fly(tmp_path: Path) -> None:
    """Then it never sleeps where it would be rung."""
    url = f"sqlite:{tmp_path}/jobs.db?durability=os"
    with ropeway.connect(url, config=False) as broker:
        for name in EXPECTED:
            broker.queue("q").put({}, task=name)
        for _ in range(4):
            broker.queue("q").put({}, task="again")
        with work(tmp_path, url, len(EXPECTED) + 2):
            took = asked(settled(broker))
    print(*(f"{one:.3f}" for one in took))
    assert took[QUICK] < DEADLINE, took
