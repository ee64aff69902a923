"""MariaDB against the model, over random lives of jobs."""

from __future__ import annotations

import pytest
from hypothesis import settings

from ropeway.clock import Clock
from ropeway.store import Store
from ropeway.stores import open_store
from ropeway.testing.model import Engine, StoreMachine

from ..test_model import EXAMPLES, LIVES
from .mariadb import Place


class MariadbEngine(Engine):
    """Tables of their own, emptied for each life."""

    place: Place

    def __init__(self) -> None:
        self.place.empty()

    def open(self, clock: Clock) -> Store:
        return open_store(self.place.url, clock)


class MariadbMachine(StoreMachine):
    make = MariadbEngine


@pytest.mark.service("mariadb")
@pytest.mark.timeout(600)
def test_random_lives(service_url: str) -> None:
    place = MariadbEngine.place = Place(service_url, "model")
    MariadbMachine.TestCase.settings = settings(LIVES, max_examples=int(EXAMPLES or 15))
    try:
        MariadbMachine.TestCase().runTest()
    finally:
        place.drop()
