"""MariaDB under the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ropeway.stores import open_store
from ropeway.testing.contract import Caller, Open, StoreContract

from .callers import by_pymysql
from .mariadb import Place, place  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow


@pytest.mark.service("mariadb")
class TestMariadb(StoreContract):
    slack = 0.1
    deaf = 1.0  # of the UDP bell: bells/udp.py, DEAFEST

    @pytest.fixture
    def open(self, place: Place) -> Open:  # noqa: F811
        place.empty()
        return lambda clock: open_store(place.url, clock)

    @pytest.fixture
    def beside(self, place: Place) -> Open:  # noqa: F811
        return lambda clock: open_store(f"{place.url}&namespace=beside", clock)

    @pytest.fixture
    def caller(self, service_url: str) -> Iterator[Caller]:
        one = by_pymysql(service_url)
        yield one
        one.tx.close()  # type: ignore[attr-defined]
