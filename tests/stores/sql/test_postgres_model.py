"""PostgreSQL against the model, over random lives of jobs."""

from __future__ import annotations

import pytest
from hypothesis import settings

from ropeway.clock import Clock
from ropeway.store import Store
from ropeway.stores import open_store
from ropeway.testing.model import Engine, StoreMachine

from ..test_model import EXAMPLES, LIVES
from .postgres import Place


class PostgresEngine(Engine):
    """A schema, emptied for each life."""

    place: Place

    def __init__(self) -> None:
        self.place.empty()

    def open(self, clock: Clock) -> Store:
        return open_store(f"{self.place.url}&durability=os", clock)

    def leftovers(self) -> list[str]:
        return [str(row) for row in self.place.ask("select id, queue, state from ropeway_job")]


class PostgresMachine(StoreMachine):
    make = PostgresEngine


@pytest.mark.service("postgresql")
@pytest.mark.timeout(300)
def test_random_lives(service_url: str) -> None:
    place = PostgresEngine.place = Place(service_url, "model")
    PostgresMachine.TestCase.settings = settings(LIVES, max_examples=int(EXAMPLES or 12))
    try:
        PostgresMachine.TestCase().runTest()
    finally:
        place.drop()
