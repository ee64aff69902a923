"""A connection on each embedded engine, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock

from .faulty import Faulty, Mails, faulty


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "dir"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"dir:{tmp_path}/spool?durability=os"


@pytest.fixture
def link(url: str, clock: FakeClock) -> Iterator[Link]:
    made = Link(url, clock, name="test")
    yield made
    made.close()


@pytest.fixture
def mails(link: Link) -> Queue[object]:
    return Queue(link, "mails")


@pytest.fixture
def pair() -> Iterator[tuple[Mails, Faulty]]:
    link, store = faulty()
    yield Queue(link, "mails"), store
    store.gate.set()
    link.close()
