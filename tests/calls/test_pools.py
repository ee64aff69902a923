"""The same from every pool: answers, errors, receipts, progress and streams do not depend on what runs the job."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.calls.wire import Started
from ropeway.errors import RemoteError
from ropeway.link import Link
from ropeway.tasks import Tasks
from ropeway.worker import CommandRunner, Worker

from .conftest import LONG
from .functions import register, shared
from .test_calling import task

Serve = Callable[..., Worker]


def included(tasks: Tasks) -> Tasks:
    """What a child process can find, by its module."""
    tasks.include(shared)
    return tasks


@pytest.fixture
def tasks(memory: str) -> Any:
    link = Link(memory, name="caller")
    yield register(Tasks(link))
    link.close()


@pytest.mark.parametrize("pool", ["thread", "async", "process"])
def test_everything_a_caller_hears(pool: str, memory: str, tasks: Tasks, serve: Serve, tmp_path: Path) -> None:
    serve(memory, included, pool=pool, concurrency=2)
    assert task(tasks, "add").call(1, 2, timeout=LONG) == 3
    assert task(tasks, "echo").call("awaited", timeout=LONG) == "awaited"
    assert task(tasks, "pair").call(3, timeout=LONG) == (3, "3")
    with pytest.raises(ValueError, match="no such number") as caught:
        task(tasks, "fail").call("value", timeout=LONG)
    assert 'raise ValueError("no such number")' in caught.value.traceback  # type: ignore[attr-defined]
    with pytest.raises(LookupError):
        task(tasks, "fail").call("missing", timeout=LONG)
    with pytest.raises(RemoteError, match="cannot be carried"):
        task(tasks, "object_result").call(timeout=LONG)
    heard: list[Any] = []
    told = task(tasks, "tell").options(timeout=LONG, on_start=heard.append, on_progress=heard.append).call([1, 2])
    assert told == "told"
    assert isinstance(heard[0], Started)
    assert heard[1:] == [{"at": 1}, {"at": 2}]
    assert list(task(tasks, "upto").stream(100, timeout=LONG)) == list(range(100))
    assert list(task(tasks, "slowly").stream(20, timeout=LONG)) == list(range(20))
    assert list(task(tasks, "stumbles").stream(str(tmp_path / "once"), timeout=LONG)) == [1, 2, 3]
    items = []
    with pytest.raises(ValueError, match="broken off"):
        for item in task(tasks, "breaks").stream(3, timeout=LONG):
            items.append(item)  # noqa: PERF402 - what came before the error counts
    assert items == [0, 1, 2]
    assert task(tasks, "second_time").call(str(tmp_path / "tries"), timeout=LONG) == 1


def test_a_child_that_dies_is_answered_for(memory: str, tasks: Tasks, serve: Serve, tmp_path: Path) -> None:
    serve(memory, included, pool="process", concurrency=1)
    assert task(tasks, "die_once").call(str(tmp_path / "died"), timeout=LONG).endswith("died")


def test_commands_answer_too(memory: str, tmp_path: Path) -> None:
    link, program = Link(memory), tmp_path / "persistent.py"
    lines = ("import sys, json", "for line in sys.stdin:", "    job = json.loads(line)", "    result = {'result': job['body'] * 2}")
    program.write_text("\n".join((*lines, "    print(json.dumps(result), flush=True)")))
    runners = {
        "well": CommandRunner(["cat"], feed="stdin"),
        "badly": CommandRunner(["sh", "-c", "echo oh no >&2; exit 65"]),
        "persistent": CommandRunner([sys.executable, str(program)], persistent=True),
    }
    workers = [Worker(link, None, [name], pool=runner, concurrency=1) for name, runner in runners.items()]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        with Broker(Link(memory), config=False) as broker:
            assert broker.call("anything", ["a"], queue="well", timeout=LONG) is None
            assert broker.call("anything", ["a"], queue="persistent", timeout=LONG) == '["a"]["a"]'
            with pytest.raises(RemoteError, match="exit 65: oh no") as caught:
                broker.call("anything", queue="badly", timeout=LONG)
            assert caught.value.remote_type == ""
    finally:
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join(LONG)
        link.close()
