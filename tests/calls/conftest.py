"""For the tests of calls: a place on each engine, a caller there, and workers that answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import engines, place
from ropeway.link import Link
from ropeway.tasks import Tasks
from ropeway.worker import Worker

from .functions import register

LONG = 60.0  # seconds for what takes a moment, unless the machine is very busy


@pytest.fixture(params=engines())
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as made:
        yield made.removesuffix("&bell=off")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[str]:
    with place("memory", tmp_path) as made:
        yield made


@pytest.fixture
def link(url: str) -> Iterator[Link]:
    made = Link(url, name="caller")
    yield made
    made.close()


@pytest.fixture
def tasks(link: Link) -> Tasks:
    """The functions as the caller has them."""
    return register(Tasks(link))


@pytest.fixture
def serve() -> Iterator[Callable[..., Worker]]:
    """Start a worker for the queue "default" of a place, with a connection of its own; it is stopped at the end of the test."""
    started: list[tuple[Worker, threading.Thread, Link]] = []

    def go(url: str, make: Callable[[Tasks], Tasks] = register, **options: Any) -> Worker:
        link = Link(url, name="worker")
        worker = Worker(link, make(Tasks(link)), options.pop("queues", ["default"]), **options)
        thread = threading.Thread(target=worker.run, daemon=True)
        started.append((worker, thread, link))
        thread.start()
        return worker

    yield go
    for worker, _, _ in started:
        worker.stop()
        worker.stop()
    for _, thread, link in started:
        thread.join(20)
        assert not thread.is_alive(), "a worker went on after its test"
        link.close()


def until(condition: Callable[[], Any], timeout: float = LONG) -> Any:
    """Wait until it is true; what it answered."""
    end = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {timeout} s: {condition}"
        time.sleep(0.002)
    return answer
