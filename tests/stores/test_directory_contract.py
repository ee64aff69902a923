"""The directory engine under the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropeway.stores import open_store
from ropeway.testing.contract import Open, StoreContract


class TestDirectory(StoreContract):
    knows_ids = False  # an id is only looked for when the same Job object is put again, or when the job says `once`

    @pytest.fixture
    def open(self, tmp_path: Path) -> Open:
        return lambda clock: open_store(f"dir:{tmp_path}/spool?durability=os", clock)

    @pytest.fixture
    def beside(self, tmp_path: Path) -> Open:
        return lambda clock: open_store(f"dir:{tmp_path}/spool?durability=os&namespace=beside", clock)
