"""A yard on each embedded engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .yard import Yard


@pytest.fixture(params=["memory:", "dir:{}/spool?durability=os&bell=off", "sqlite:{}/jobs.db?durability=os&bell=off"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path, request.param.format(tmp_path))
    yield yard
    yard.leave()
    yard.link.close()
