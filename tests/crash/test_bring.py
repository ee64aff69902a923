"""A carry that is killed at any step and run again: each job once, as it stood, and nothing else is left."""

from __future__ import annotations

import pytest

from ropeway.testing.proof import brings
from ropeway.testing.proof.report import LeftOut, in_ci


def test_a_carry_can_be_killed_anywhere() -> None:
    try:
        outcome = brings.run(20)
    except LeftOut as why:
        if in_ci():
            raise
        pytest.skip(str(why))
    assert outcome.violations == []
    assert outcome.amount.startswith("20 kills")
