"""For the tests of tasks and the worker: links on each engine that is there, and a worker that a test can wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.link import Link
from ropeway.tasks import Tasks
from ropeway.worker import Worker

ENGINES = ["memory", "dir"]


@pytest.fixture(params=ENGINES)
def link(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Link]:
    """A connection of its own, on each engine."""
    made = Link("memory:" if request.param == "memory" else f"dir:{tmp_path / 'spool'}")
    yield made
    made.close()


@pytest.fixture
def memory() -> Iterator[Link]:
    """A connection on the memory engine."""
    made = Link("memory:")
    yield made
    made.close()


@pytest.fixture
def tasks(link: Link) -> Tasks:
    return Tasks(link)


class Running:
    """A worker in a thread."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.code: int | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.code = self.worker.run()
        except BaseException as error:
            self.error = error

    def end(self, timeout: float = 20.0) -> int:
        """Its exit code, once it has ended by itself."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the worker has not ended"
        if self.error:
            raise self.error
        assert self.code is not None
        return self.code


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start a worker in a thread; it is stopped at the end of the test."""
    started: list[Running] = []

    def go(*args: Any, **options: Any) -> Running:
        running = Running(Worker(*args, **options))
        started.append(running)
        return running

    yield go
    for running in started:
        running.worker.stop()
        running.worker.stop()
    for running in started:
        running._thread.join(10)
        assert not running._thread.is_alive(), "a worker went on after its test"


def until(condition: Callable[[], Any], timeout: float = 40.0) -> Any:
    """Wait until it is true; what it answered."""
    end = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {timeout} s: {condition}"
        time.sleep(0.002)
    return answer
