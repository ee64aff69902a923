"""SQLite under the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ropeway.stores import open_store
from ropeway.testing.contract import Caller, Open, StoreContract

from .callers import by_apsw, by_sqlite3


class TestSqlite(StoreContract):
    slack = 0.1

    @pytest.fixture
    def open(self, tmp_path: Path) -> Open:
        return lambda clock: open_store(f"sqlite:{tmp_path}/jobs.db?durability=os", clock)

    @pytest.fixture
    def beside(self, tmp_path: Path) -> Open:
        return lambda clock: open_store(f"sqlite:{tmp_path}/jobs.db?durability=os&namespace=beside", clock)

    @pytest.fixture
    def caller(self, tmp_path: Path) -> Iterator[Caller]:
        one = by_apsw(f"{tmp_path}/jobs.db")
        yield one
        one.tx.close()  # type: ignore[attr-defined]


class TestSqliteOfPython(StoreContract):
    """The same by the SQLite that Python brings."""

    slack = 0.1

    @pytest.fixture
    def open(self, tmp_path: Path) -> Open:
        return lambda clock: open_store(f"sqlite:{tmp_path}/jobs.db?durability=os&driver=sqlite3", clock)

    @pytest.fixture
    def caller(self, tmp_path: Path) -> Iterator[Caller]:
        one = by_sqlite3(f"{tmp_path}/jobs.db")
        yield one
        one.tx.close()  # type: ignore[attr-defined]
