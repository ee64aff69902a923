"""What the SQLite engine is held to."""

from __future__ import annotations

from ..systems import peers
from .target import Target, backlog, best_of, calls, idle_pace, late, pace_of, rate, times

ENGINE = "sqlite"
put_pace = pace_of("put-os", "floor", 98_000)  # one insert a commit, WAL, synchronous=NORMAL
full_pace = pace_of("put-full", "floor", 28_000)  # the same, FULL
idle_pace_here = idle_pace(0.28)

TARGETS = [
    Target("put one by one, os", 50_000, "jobs/s", rate("put-os", "ropeway"), pace=put_pace),
    Target("... against litequeue", 1.0, "x", times(("put-os", "ropeway"), ("put-os", "litequeue"))),
    Target("... against Huey", 2.5, "x", times(("put-os", "ropeway"), ("put-os", "huey"))),
    Target("put one by one, full", 15_000, "jobs/s", rate("put-full", "ropeway"), pace=full_pace),
    Target("... against litequeue", 1.0, "x", times(("put-full", "ropeway"), ("put-full", "litequeue"))),
    Target("... against Huey", 2.5, "x", times(("put-full", "ropeway"), ("put-full", "huey"))),
    Target("put in bulk, os", 350_000, "jobs/s", rate("bulk", "ropeway"), pace=put_pace),
    Target("... against litequeue's puts in one transaction", 2.5, "x", times(("bulk", "ropeway"), ("bulk", "litequeue"))),
    Target("worker", 45_000, "jobs/s", rate("drain", "worker"), pace=put_pace),
    Target("... against the best peer", 3.8, "x", best_of(("drain", "worker"), "drain", peers(ENGINE))),
    Target("idle put-to-start, p50", 0.4, "ms", late("worker", 0.5), least=False, pace=idle_pace_here),
    Target("idle put-to-start, p99", 1.0, "ms", late("worker", 0.99), least=False, pace=idle_pace_here),
    *calls(0.2, 0.6),
    *backlog("backlog"),
    Target("four workers against two", 0.9, "x", times(("workers", "4 workers"), ("workers", "2 workers"))),
]
