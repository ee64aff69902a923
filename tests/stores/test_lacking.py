"""The contract suite on an engine that lacks things: what is declared is seen to be refused, and what is not declared is found out."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from ropeway.store import Feature
from ropeway.testing.contract import Open, StoreContract

from .poor import Poor

_number = itertools.count()
LACKS = frozenset(Feature) - {Feature.STREAM, Feature.DELAY}


class TestPoor(StoreContract):
    """Delays, and nothing else that can be missing."""

    slack = 0.0

    @pytest.fixture
    def open(self) -> Open:
        url = f"memory:poor-{next(_number)}"
        return lambda clock: Poor(url, clock, LACKS)


class TestPoorest(TestPoor):
    """Not even delays."""

    @pytest.fixture
    def open(self) -> Open:
        url = f"memory:poorest-{next(_number)}"
        return lambda clock: Poor(url, clock, frozenset(Feature))


LIAR = '''
"""An engine that declares less than it does, or does less than it declares."""
import pytest
from ropeway.errors import Unsupported
from ropeway.stores import open_store
from ropeway.store import Feature
from ropeway.testing.contract import StoreContract

class Liar:
    def __init__(self, store):
        self._store = store
        self.features = store.features - {Feature.KEYS} | {Feature.STREAM}
    def __getattr__(self, name):
        return getattr(self._store, name)

class TestLiar(StoreContract):
    @pytest.fixture
    def open(self):
        return lambda clock: Liar(open_store("memory:", clock))
'''


def test_an_engine_that_declares_falsely_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "test_liar.py").write_text(LIAR)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path), "-k", "feature_is_there"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    failed = {line.partition("[")[2].partition("]")[0] for line in answer.stdout.splitlines() if line.startswith("FAILED")}
    assert failed == {"keys", "stream"}, answer.stdout
