"""The proof of the model test: of the faults that can be planted around an engine it finds each."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropeway.stores import open_store
from ropeway.testing.faults import FAULTS, broken, plant
from ropeway.testing.model import finding

pytestmark = pytest.mark.timeout(900)  # it is all computing: slow on a busy machine, and never stuck


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    assert finding(fault), f"{fault} survived: {broken(fault)}"


def test_each_fault_says_what_it_breaks() -> None:
    assert len(FAULTS) >= 12
    for fault in FAULTS:
        assert broken(fault), fault
        assert "\n" not in broken(fault), fault


def test_a_fault_goes_around_any_store() -> None:
    store = plant("nack-loses", open_store("memory:"))
    assert store.counts() == {}
    with pytest.raises(KeyError):
        plant("nothing", store)


def test_the_guide_names_them_all() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "engines.md").read_text()
    assert [line for line in guide.splitlines() if line.startswith("| `") and line.count("`") == 2 and "ropeway." not in line] == [
        f"| `{fault}` | {broken(fault)} |" for fault in FAULTS
    ]
