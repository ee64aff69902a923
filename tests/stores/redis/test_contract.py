"""The Redis engine under the contract."""

from __future__ import annotations

import pytest

from ropeway.store import Durability, Feature, Store
from ropeway.stores import open_store
from ropeway.testing.contract import Open, StoreContract


class TestRedis(StoreContract):
    slack = 0.0
    counts_missed = False  # Redis keeps some MiB of what is on its way, and cuts off who is slower

    @pytest.fixture
    def open(self, url: str) -> Open:
        return lambda clock: open_store(url, clock)

    @pytest.fixture
    def beside(self, url: str) -> Open:
        return lambda clock: open_store(f"{url}-beside", clock)

    def test_what_it_lacks_is_said(self, store: Store) -> None:
        assert frozenset(Feature) - store.features == {Feature.STREAM, Feature.ATOMIC, Feature.JOIN}
        assert store.durability() in set(Durability)
