"""What the Redis engine is held to."""

from __future__ import annotations

from ..systems import peers
from .target import Target, backlog, best_of, calls, idle_pace, late, pace_of, rate, times

ENGINE = "redis"
put_pace = pace_of("put-os", "floor", 34_000)  # one Lua call a job: counter, hash, list
idle_pace_here = idle_pace(0.31)
LOSE = ("huey", "taskiq, list")  # these hand a job out and forget it: a crash loses it

TARGETS = [
    Target("put one by one, os", 38_000, "jobs/s", rate("put-os", "ropeway"), pace=put_pace),
    Target("awaited, one caller", 20_000, "jobs/s", rate("aput", "1 caller"), pace=put_pace),
    Target("awaited, 64 callers", 120_000, "jobs/s", rate("aput", "64 callers"), pace=put_pace),
    Target("put in bulk, os", 300_000, "jobs/s", rate("bulk", "ropeway"), pace=put_pace),
    Target("... against RQ", 16.0, "x", times(("bulk", "ropeway"), ("bulk", "rq"))),
    Target("worker", 40_000, "jobs/s", rate("drain", "worker"), pace=put_pace),
    Target(
        "... against the best peer that acknowledges",
        6.0,
        "x",
        best_of(("drain", "worker"), "drain", [name for name in peers(ENGINE) if name not in LOSE]),
    ),
    Target("idle put-to-start, p50", 0.5, "ms", late("worker", 0.5), least=False, pace=idle_pace_here),
    Target("idle put-to-start, p99", 0.9, "ms", late("worker", 0.99), least=False, pace=idle_pace_here),
    *calls(0.25, 0.7),
    *backlog("backlog"),
    Target("four workers against two", 0.9, "x", times(("workers", "4 workers"), ("workers", "2 workers"))),
]
