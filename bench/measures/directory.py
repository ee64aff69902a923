"""The directory engine's measures: jobs put singly and in bulk lie in files of their own or share one, so both are drained."""

from __future__ import annotations

from functools import partial

from ..systems import peers, systems
from .measure import BULK, IDLE, Measure, backlogs, call
from .measure import row as any_row

ENGINE = "directory"
row = partial(any_row, ENGINE)


def measures(full: bool = False) -> list[Measure]:
    """All of them."""
    return [
        put_os(),
        put_full(),
        callers(),
        bulk(),
        singles(),
        batches(),
        idle(),
        call(ENGINE, "full", ["floor", "engine", "ropeway"]),
        backlog("singles", "singly", 1, backlogs(full)),
        backlog("bulk", "in bulk", BULK, backlogs(full)),
        crowd(),
    ]


def put_os() -> Measure:
    rows = [row(name, name, "put", system.puts) for name, system in systems(ENGINE).items()]
    return Measure("put-os", "put one by one, durability=os", "jobs/s", "floor", rows)


def put_full() -> Measure:
    rows = [row(name, name, "put", 300, "full") for name in ("floor", "engine", "ropeway")]
    return Measure("put-full", "put one by one, durability=full (floor: two syncs)", "jobs/s", "floor", rows)


def callers() -> Measure:
    rows = [row("put, os", "ropeway", "put", 3_000), row("put, full", "ropeway", "put", 300, "full")]
    rows += [
        row(f"{tasks} caller{'s' * (tasks > 1)}, {durability}", "ropeway", "aput", count, durability, callers=tasks)
        for tasks, durability, count in ((1, "os", 1_000), (64, "os", 4_000), (1, "full", 300), (64, "full", 3_000))
    ]
    return Measure("aput", "put awaited by so many async callers of one process", "jobs/s", "put, full", rows)


def bulk() -> Measure:
    rows = [
        row(f"{name}, {durability}", name, "put", 10_000, durability, size=BULK)
        for durability in ("os", "full")
        for name in ("floor", "engine", "ropeway")
    ]
    return Measure("bulk", f"put in bulk, {BULK} a call", "jobs/s", "floor, os", rows)


def singles() -> Measure:
    waiting, most = 10_000, 2_000
    rows = [row("floor", "floor", "drain", waiting, most=most)]
    rows += [row(f"engine, limit {limit}", "engine", "drain", waiting, most=most, limit=limit) for limit in (1, 10, 100)]
    rows.append(row("worker", "ropeway", "drain", waiting, most=most))
    rows += [row(name, name, "drain", waiting, most=systems(ENGINE)[name].drains) for name in peers(ENGINE)]
    return Measure("drain-singles", "drain of jobs put one by one, 10,000 waiting", "jobs/s", "floor", rows)


def batches() -> Measure:
    waiting = 20_000
    rows = [row("floor", "floor", "drain", waiting, most=10_000, size=BULK)]
    rows += [
        row(f"engine, limit {limit}", "engine", "drain", waiting, most=most, size=BULK, limit=limit)
        for limit, most in ((1, 1_000), (10, 5_000), (100, 10_000), (500, 10_000))
    ]
    rows.append(row("worker", "ropeway", "drain", waiting, most=10_000, size=BULK))
    return Measure("drain-bulk", f"drain of jobs put {BULK} a call, 20,000 waiting", "jobs/s", "floor", rows)


def idle() -> Measure:
    rows = [row(label, name, "idle", IDLE, at_most=3) for label, name in (("floor", "floor"), ("engine", "engine"), ("worker", "ropeway"))]
    rows.append(row("huey", "huey", "idle", IDLE, at_most=1))
    return Measure("idle", "idle: put in another process to start, 20-50 ms apart", "ms", "floor", rows)


def backlog(name: str, how: str, size: int, counts: tuple[int, ...]) -> Measure:
    """The engine's drain beside a standing backlog."""
    most = 1_000 if size == 1 else 10_000
    rows = [row(f"{count:,}", "engine", "drain", count, size=size, limit=100, most=most) for count in counts]
    return Measure(f"backlog-{name}", f"engine's drain, jobs put {how}, so many waiting", "jobs/s", f"{counts[0]:,}", rows)


def crowd() -> Measure:
    rows = [
        row(f"{how}, {workers} worker{'s' * (workers > 1)}", "ropeway", "crowd", count, size=size, workers=workers, at_most=5)
        for how, size, count in (("bulk", BULK, 60_000), ("singles", 1, 20_000))
        for workers in (1, 2, 4)
    ]
    return Measure("workers", "drain by several worker processes", "jobs/s", "bulk, 1 worker", rows)
