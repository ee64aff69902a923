"""One pool beside the floor, for the test of the budget: prints both, CPU microseconds a job, as JSON.

    .venv/bin/python -m bench.worker_budget thread|async|process|batches

CPU of this process and of its children, the least of three rounds that are taken in turn; without the start of the children.
"""

from __future__ import annotations

import json
import sys

from .worker_path import Row, anoop, inline, noop, noops, pool

JOBS = 6000
ROUNDS = 3


def measured(name: str) -> tuple[float, float]:
    """What the floor takes, and what that pool takes."""
    task = {"async": anoop, "batches": noops}.get(name, noop)
    kind = "thread" if name == "batches" else name
    floor, own = Row("floor", noop, inline), Row(name, task, pool(kind, {"async": 100, "process": 2}.get(name, 4)))
    own.warm("memory:")
    jobs = 4 * JOBS if name == "process" else JOBS  # so that children which started slower than others do not count for much
    for _ in range(ROUNDS):
        floor.measure("memory:", jobs)
        own.measure("memory:", jobs)
    return min(floor.here), min(here + beside for here, beside in zip(own.here, own.beside, strict=True))


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
