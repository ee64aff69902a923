"""What the directory engine is held to."""

from __future__ import annotations

from ..systems import peers
from .target import Target, backlog, best_of, calls, idle_pace, late, pace_of, rate, soonest, times

put_pace = pace_of("put-os", "floor", 73_000)  # create, write, close, rename on a journaled ext4
idle_pace_here = idle_pace(0.19)

TARGETS = [
    Target("put one by one, os", 55_000, "jobs/s", rate("put-os", "ropeway"), pace=put_pace),
    Target("... the engine against the floor", 1.0, "x", times(("put-os", "engine"), ("put-os", "floor"))),
    Target("... the engine against dirq (bytes in, bytes stored)", 1.2, "x", times(("put-os", "engine"), ("put-os", "dirq"))),
    Target("put one by one, full, against the floor's two syncs", 0.8, "x", times(("put-full", "ropeway"), ("put-full", "floor"))),
    Target("... 64 async callers against one put after the other", 8, "x", times(("aput", "64 callers, full"), ("aput", "put, full"))),
    Target("put in bulk, os", 250_000, "jobs/s", rate("bulk", "ropeway, os"), pace=put_pace),
    Target("put in bulk, full", 250_000, "jobs/s", rate("bulk", "ropeway, full"), pace=put_pace),
    Target("... os, against the best peer's put", 5, "x", best_of(("bulk", "ropeway, os"), "put-os", peers("directory"))),
    Target("worker, jobs put in bulk", 45_000, "jobs/s", rate("drain-bulk", "worker"), pace=put_pace),
    Target("worker, jobs put singly", 20_000, "jobs/s", rate("drain-singles", "worker"), pace=put_pace),
    Target("... against Huey's file storage", 60, "x", times(("drain-singles", "worker"), ("drain-singles", "huey"))),
    Target("idle put-to-start, p50", 0.4, "ms", late("worker", 0.5), least=False, pace=idle_pace_here),
    Target("idle put-to-start, p99", 1.0, "ms", late("worker", 0.99), least=False, pace=idle_pace_here),
    Target("... p50 against Huey's", 30, "x", soonest("worker", ["huey"])),
    *calls(0.2, 0.6),
    *backlog("backlog-singles", " singles"),
    *backlog("backlog-bulk", " in bulk"),
    Target("four workers against two, jobs put in bulk", 0.9, "x", times(("workers", "bulk, 4 workers"), ("workers", "bulk, 2 workers"))),
    Target(
        "four workers against two, jobs put singly", 0.9, "x", times(("workers", "singles, 4 workers"), ("workers", "singles, 2 workers"))
    ),
]
