"""What the product adds to a no-op, held as a ratio to the same work done inline in the same run."""

from __future__ import annotations

import pytest
from bench.worker_path import Row, anoop, inline, noop, noops, pool

JOBS = 6000
# Measured 1.5 to 2.2, and 4 to 5 with processes. A busy machine doubles what threads cost.
RATIOS = {"thread": 3.0, "async": 4.5, "process": 9.0, "batches": 3.0}


@pytest.mark.parametrize("name", RATIOS)
def test_each_pool_keeps_its_budget(name: str) -> None:
    """CPU of this process and of its children, the least of three rounds that are taken in turn; without the start of the children."""
    task = {"async": anoop, "batches": noops}.get(name, noop)
    kind = "thread" if name == "batches" else name
    floor, own = Row("floor", noop, inline), Row(name, task, pool(kind, {"async": 100, "process": 2}.get(name, 4)))
    own.warm("memory:")
    jobs = 4 * JOBS if name == "process" else JOBS  # so that children which started slower than others do not count for much
    for _ in range(3):
        floor.measure("memory:", jobs)
        own.measure("memory:", jobs)
    least = min(floor.here)
    cost = min(here + beside for here, beside in zip(own.here, own.beside, strict=True))
    assert cost / least < RATIOS[name], f"{cost:.1f} us of CPU a job, {cost / least:.1f} times the floor of {least:.1f}"
