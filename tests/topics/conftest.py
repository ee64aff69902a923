"""For the tests of topics: a place on each engine, connections to it, and workers of a program."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import engines, place
from ropeway.broker import Broker
from ropeway.link import Link
from ropeway.testing.clock import FakeClock
from ropeway.worker import Worker

LONG = 60.0  # seconds for what takes a moment, unless the machine is very busy


@pytest.fixture(params=engines())
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[str]:
    with place("memory", tmp_path) as made:
        yield made


@pytest.fixture
def connect() -> Iterator[Callable[..., Broker]]:
    """Connections that are closed at the end of the test."""
    made: list[Broker] = []

    def connect(url: str, clock: FakeClock | None = None) -> Broker:
        made.append(Broker(Link(url, clock) if clock else Link(url), config=False))
        return made[-1]

    yield connect
    for broker in made:
        broker.close()


@pytest.fixture
def broker(url: str, connect: Callable[..., Broker]) -> Broker:
    return connect(url)


@pytest.fixture
def serve() -> Iterator[Callable[..., Worker]]:
    """Start a worker of a broker's program; it is stopped at the end of the test, if not before."""
    started: list[tuple[Worker, threading.Thread]] = []

    def go(broker: Broker, *queues: str, **options: Any) -> Worker:
        worker = broker.worker(*(queues or ("default",)), **options)
        thread = threading.Thread(target=worker.run, daemon=True)
        started.append((worker, thread))
        thread.start()
        return worker

    yield go
    for worker, _ in started:
        worker.stop()
        worker.stop()
    for _, thread in started:
        thread.join(20)
        assert not thread.is_alive(), "a worker went on after its test"


def until(condition: Callable[[], Any], timeout: float = LONG) -> Any:
    """Wait until it is true; what it answered."""
    end = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {timeout} s: {condition}"
        time.sleep(0.002)
    return answer
