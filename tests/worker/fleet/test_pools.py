"""Orders to real workers of each pool: killed, resized, paused, looked into."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ropeway
from ropeway.job import State
from ropeway.worker import CommandRunner, Worker
from ropeway.worker.fleet import Member

from ..conftest import until

POOLS = ["async", "process", "command"]
tasks = ropeway.Tasks()


@tasks.task(queue="q")
async def wait_long() -> None:
    await asyncio.sleep(600)


@tasks.task(queue="q")
def sleep_long() -> None:
    time.sleep(600)


class Site:
    """A worker of one pool in a thread, on a folder, with two long jobs."""

    def __init__(self, pool: str, path: Path) -> None:
        self.broker = ropeway.connect(f"dir:{path}/spool?durability=os", config=False)
        self.broker.include(tasks)
        self.queue = self.broker.queue("q")
        for _ in range(2):
            if pool == "command":
                self.queue.put("x")
            else:
                (wait_long if pool == "async" else sleep_long).put()
        options = {"concurrency": 1, "grace": 0}
        if pool == "command":
            self.worker = Worker(self.broker.link, None, ("q",), pool=CommandRunner(["sleep", "600"]), **options)  # type: ignore[arg-type]
        else:
            self.worker = self.broker.worker("q", pool=pool, **options)  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.worker.run, daemon=True)

    def member(self) -> Member:
        return until(lambda: self.broker.workers())[0]

    def close(self) -> None:
        self.worker.stop()
        self.worker.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()
        self.broker.close()


@pytest.fixture(params=POOLS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = Site(request.param, tmp_path)
    made.thread.start()
    yield made
    made.close()


def running(site: Site) -> list[str]:
    return [entry.job.id for entry in site.queue.browse(state="running")]


def test_a_pool_follows(site: Site) -> None:
    (first,) = until(lambda: running(site))
    member = site.member()
    assert member.order("ping", timeout="60s").startswith("here: ")
    assert member.order("resize", slots=2, timeout="60s") == "2 slots, 1 before"
    both = until(lambda: found if len(found := running(site)) == 2 else None)
    until(lambda: len([run for run in site.worker.running if run.started]) == 2)
    member.order("pause", timeout="60s")
    said = member.order("kill", timeout="60s")
    assert said == "2 jobs told to end"
    until(lambda: not running(site))
    entries = {entry.job.id: entry for entry in site.queue.browse()}
    assert set(entries) == set(both) >= {first}
    for entry in entries.values():
        assert entry.state in (State.DELAYED, State.READY)
        assert entry.history[-1].error.startswith("killed")
        assert entry.attempts == 1
    member.order("resume", timeout="60s")
    assert until(lambda: running(site)), "the worker goes on"
