"""Places for the tests of the databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .postgres import Place


@pytest.fixture
def schema(service_url: str) -> Iterator[Place]:
    """A schema of this test's own in PostgreSQL."""
    made = Place(service_url)
    yield made
    made.drop()
