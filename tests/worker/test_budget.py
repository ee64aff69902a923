"""What the product adds to a no-op, held as a ratio to the same work done inline in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Measured 1.5 to 2.2, and 4 to 5 with processes. A busy machine doubles what threads cost.
RATIOS = {"thread": 3.0, "async": 4.5, "process": 9.0, "batches": 3.0}

HERE = Path(__file__).parents[2]


@pytest.mark.parametrize("name", RATIOS)
def test_each_pool_keeps_its_budget(name: str) -> None:
    """In a process of its own: what the tests before have left in this one, threads and garbage, is no cost of a pool."""
    done = subprocess.run([sys.executable, "-m", "bench.worker_budget", name], cwd=HERE, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    floor, cost = json.loads(done.stdout)
    assert cost / floor < RATIOS[name], f"{cost:.1f} us of CPU a job, {cost / floor:.1f} times the floor of {floor:.1f}"
