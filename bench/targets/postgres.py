"""What the PostgreSQL engine is held to."""

from __future__ import annotations

from ..systems import peers
from .target import Target, backlog, best_of, calls, idle_pace, late, pace_of, rate, soonest, times

ENGINE = "postgres"
put_pace = pace_of("put-full", "floor", 15_500)  # one prepared insert a commit, synchronous_commit on
idle_pace_here = idle_pace(1.27)

TARGETS = [
    Target("put one by one, full", 14_000, "jobs/s", rate("put-full", "ropeway"), pace=put_pace),
    Target("... against the best peer", 4.0, "x", best_of(("put-full", "ropeway"), "put-full", peers(ENGINE))),
    Target("put in bulk, full", 140_000, "jobs/s", rate("bulk", "ropeway"), pace=put_pace),
    Target("... against PgQueuer", 2.0, "x", times(("bulk", "ropeway"), ("bulk", "pgqueuer"))),
    Target("worker", 40_000, "jobs/s", rate("drain", "worker"), pace=put_pace),
    Target("... against PgQueuer at batch 100", 2.0, "x", times(("drain", "worker"), ("drain", "pgqueuer, batch 100"))),
    Target("... against PgQueuer as it is by default", 4.0, "x", times(("drain", "worker"), ("drain", "pgqueuer"))),
    Target("idle put-to-start, p50", 1.3, "ms", late("worker", 0.5), least=False, pace=idle_pace_here),
    Target("idle put-to-start, p99", 2.5, "ms", late("worker", 0.99), least=False, pace=idle_pace_here),
    Target("... p50 against the best peer's", 2.0, "x", soonest("worker", peers(ENGINE))),
    *calls(0.6, 1.5),
    *backlog("backlog"),
    Target("four workers against two", 0.9, "x", times(("workers", "4 workers"), ("workers", "2 workers"))),
]
