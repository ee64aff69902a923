"""What the MariaDB engine is held to: the study had no figures of a floor there, so most of it are ratios."""

from __future__ import annotations

from ..figures import Figures
from .target import Target, backlog, calls, late, rate, times


def put_pace(figures: Figures) -> float | None:
    """Unknown."""
    return None


TARGETS = [
    Target("put one by one, full, against a bare committed INSERT", 0.6, "x", times(("put-full", "ropeway"), ("put-full", "floor"))),
    Target("put in bulk, full, against a multi-row INSERT", 0.7, "x", times(("bulk", "ropeway"), ("bulk", "floor"))),
    Target("worker", 20_000, "jobs/s", rate("drain", "worker")),
    Target("idle put-to-start, p50", 1.5, "ms", late("worker", 0.5), least=False),
    Target("idle put-to-start, p99", 4.0, "ms", late("worker", 0.99), least=False),
    *calls(1.0, 3.0),
    *backlog("backlog"),
    Target("four workers against two", 0.9, "x", times(("workers", "4 workers"), ("workers", "2 workers"))),
]
