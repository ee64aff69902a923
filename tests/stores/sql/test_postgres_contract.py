"""PostgreSQL under the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ropeway.stores import open_store
from ropeway.testing.contract import Caller, Open, StoreContract

from .callers import by_psycopg
from .postgres import Place

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole() -> Iterator[list[Place]]:
    """One schema for the module: to make one costs more than a test."""
    places: list[Place] = []
    yield places
    for one in places:
        one.drop()


@pytest.mark.service("postgresql")
class TestPostgres(StoreContract):
    slack = 0.1
    counts_missed = False  # PostgreSQL keeps what is on its way, up to 8 GB

    @pytest.fixture
    def open(self, service_url: str, whole: list[Place]) -> Open:
        if not whole:
            whole.append(Place(service_url, "contract"))
        whole[0].empty()
        return lambda clock: open_store(whole[0].url, clock)

    @pytest.fixture
    def beside(self, open: Open, whole: list[Place]) -> Open:  # noqa: A002
        return lambda clock: open_store(f"{whole[0].url}&namespace=beside", clock)

    @pytest.fixture
    def caller(self, service_url: str) -> Iterator[Caller]:
        one = by_psycopg(service_url)
        yield one
        one.tx.close()  # type: ignore[attr-defined]
