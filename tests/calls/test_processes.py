"""Caller and worker in processes of their own: answers, a worker that is killed in the middle, and what a killed caller leaves behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines import engines, place
from ropeway.calls.mailroom import mailroom
from ropeway.calls.presence import NOTE, sweep
from ropeway.calls.wire import PREFIX
from ropeway.link import Link
from ropeway.tasks import Tasks
from ropeway.testing.clock import FakeClock

from .conftest import until
from .functions import register
from .test_calling import task

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
PATIENCE = 120.0  # a dead worker is seen in two seconds, on a machine that has nothing else to do

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(params=engines(processes=True))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def start() -> Iterator[Start]:
    """Start program.py; it is stopped at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def go(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"{HERE.name}.program", *words]
        started.append(subprocess.Popen(command, cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield go
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def test_a_worker_elsewhere_answers(url: str, link: Link, tasks: Tasks, start: Start) -> None:
    worker = start(url)
    assert task(tasks, "who").call(timeout=PATIENCE) == worker.pid
    assert [task(tasks, "add").call(n, n, timeout=PATIENCE) for n in range(20)] == [2 * n for n in range(20)]
    assert list(task(tasks, "upto").stream(200, timeout=PATIENCE)) == list(range(200))
    with pytest.raises(ValueError, match="no such number"):
        task(tasks, "fail").call("value", timeout=PATIENCE)


def test_another_answers_when_one_is_killed_in_the_middle(url: str, tasks: Tasks, start: Start, tmp_path: Path) -> None:
    workers = [start(url), start(url)]
    heard: list[int] = []
    options = task(tasks, "die_once").options(timeout=PATIENCE, on_start=lambda receipt: heard.append(receipt.attempt))
    answer = options.call(str(tmp_path / "died"))
    dead = [worker for worker in workers if worker.poll() is not None]
    assert len(dead) == 1
    assert answer == f"{dead[0].pid} died"
    assert heard[-1] == 2


def test_what_a_killed_caller_left_is_removed(url: str, start: Start) -> None:
    """Its note outlives it; when that is over, whoever calls next clears up."""
    dead = start(url, "call")
    assert dead.stdout is not None
    queue, _ = dead.stdout.readline().split()
    start(url)
    link = Link(url)
    until(lambda: link.store.counts([queue])[queue].ready == 2, PATIENCE)  # receipt and answer are there, and nobody takes them
    dead.kill()
    dead.wait()
    assert sweep(link.store) == 0
    assert queue in link.store.queues()
    [key] = link.store.notes.notes(NOTE)
    link.store.notes.forget(key)  # as it does itself, two minutes later
    assert task(register(Tasks(link)), "add").call(5, timeout=PATIENCE) == 5
    assert queue not in link.store.queues()
    assert list(link.store.notes.notes(NOTE)) == [NOTE + mailroom(link).queue.removeprefix(PREFIX)]
    link.close()


def test_the_note_is_renewed_while_calls_are_made(tmp_path: Path) -> None:
    clock = FakeClock(autojump=False)
    with place("memory", tmp_path) as url:
        link = Link(url, clock)
        room = mailroom(link)
        for _ in range(10):
            room.prepare()
            assert room.ready
            assert len(link.store.notes.notes(NOTE)) == 1
            clock.advance(100)
        clock.advance(100)
        assert not room.ready
        assert not link.store.notes.notes(NOTE)
        room.prepare()
        assert len(link.store.notes.notes(NOTE)) == 1
        link.close()


def test_a_fork_has_a_mailroom_of_its_own(tmp_path: Path) -> None:
    with place("memory", tmp_path) as url:
        link = Link(url)
        first = mailroom(link)
        link.forked()  # as in the child, right after a fork
        assert mailroom(link) is not first
        assert mailroom(link).queue != first.queue
        link.close()
        first.close()
