"""For the tests of tasks: a broker on the memory engine, and workers that a test can wait for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ropeway
from ropeway import Broker
from worker.conftest import start

__all__ = ["broker", "start"]


@pytest.fixture
def broker() -> Iterator[Broker]:
    with ropeway.connect("memory:", config=False) as made:
        yield made
