"""The measures of the engines in a database or a server: how a job was put makes no difference to its drain, so there is one drain."""

from __future__ import annotations

from ..systems import OURS, floors, peers, systems
from .measure import BULK, IDLE, Measure, backlogs, call, row

# what a drain and its fill are held to: as the engine's peers are by default, so that nobody is slowed by a setting it did not choose
DRAINS = {"sqlite": "os", "postgres": "full", "mariadb": "full", "redis": "os"}
DURABILITIES = {"sqlite": ("os", "full"), "postgres": ("full", "os"), "mariadb": ("full",), "redis": ("os", "full")}
CALLS = {"sqlite": "full", "postgres": "full", "mariadb": "full", "redis": "os"}
WAITING = 10_000


def measures(engine: str, full: bool = False) -> list[Measure]:
    """All of them."""
    out = [put(engine, durability) for durability in DURABILITIES[engine]]
    called = call(engine, CALLS[engine], [*(["floor"] if engine in ("sqlite", "redis") else []), "engine", "ropeway"])
    return [*out, callers(engine), bulk(engine), drain(engine), idle(engine), called, backlog(engine, backlogs(full)), crowd(engine)]


def put(engine: str, durability: str) -> Measure:
    """One after the other, each safe before the next."""
    rows = [
        row(engine, name, name, "put", system.puts if durability == "os" else min(system.puts, 1_000), durability)
        for name, system in systems(engine).items()
        if durability in system.durable and system.puts
    ]
    return Measure(f"put-{durability}", f"put one by one, durability={durability}", "jobs/s", "floor", rows)


def callers(engine: str) -> Measure:
    durability = DURABILITIES[engine][0]
    rows = [row(engine, "put", "ropeway", "put", 1_000, durability)]
    rows += [
        row(engine, f"{tasks} caller{'s' * (tasks > 1)}", "ropeway", "aput", count, durability, callers=tasks)
        for tasks, count in ((1, 500), (64, 4_000))
    ]
    return Measure("aput", f"put awaited by so many async callers of one process, durability={durability}", "jobs/s", "put", rows)


def bulk(engine: str) -> Measure:
    """With a peer's own call for many, where it has one."""
    durability = DURABILITIES[engine][0]
    rows = [
        row(engine, name, name, "put", system.bulk, durability, size=BULK)
        for name, system in systems(engine).items()
        if system.bulk and durability in system.durable
    ]
    return Measure("bulk", f"put in bulk, {BULK} a call, durability={durability}", "jobs/s", "floor", rows)


def drain(engine: str) -> Measure:
    """Floors and the engine at three sizes of a claim, then whole workers."""
    durability, rows = DRAINS[engine], []
    for name in (*floors(engine)[:1], "engine"):
        for limit, most in ((1, 1_000), (10, 3_000), (100, 5_000)):
            rows.append(row(engine, f"{name}, limit {limit}", name, "drain", WAITING, durability, most=most, limit=limit, size=BULK))
    rows.append(row(engine, "worker", "ropeway", "drain", WAITING, durability, most=5_000, size=BULK))
    for name in peers(engine):
        system = systems(engine)[name]
        size = BULK if system.bulk else 1
        rows.append(row(engine, name, name, "drain", max(2 * system.drains, 2_000), durability, most=system.drains, size=size))
    title = f"drain, one worker process, {WAITING:,} waiting, durability={durability}"
    return Measure("drain", title, "jobs/s", "floor, limit 100", rows)


def idle(engine: str) -> Measure:
    durability, table = DRAINS[engine], systems(engine)
    rows = [
        row(engine, "worker" if name == "ropeway" else name, name, "idle", IDLE, durability, at_most=1 if table[name].peer else 3)
        for name in table
        if name == "floor" or name in OURS or table[name].waits
    ]
    return Measure("idle", "idle: put in another process to start, 20-50 ms apart", "ms", "floor", rows)


def backlog(engine: str, counts: tuple[int, ...]) -> Measure:
    """The engine's drain beside a standing backlog."""
    rows = [row(engine, f"{count:,}", "engine", "drain", count, DRAINS[engine], size=BULK, limit=100, most=1_000) for count in counts]
    return Measure("backlog", "engine's drain, claims of 100, so many waiting", "jobs/s", f"{counts[0]:,}", rows)


def crowd(engine: str) -> Measure:
    rows = [
        row(
            engine,
            f"{workers} worker{'s' * (workers > 1)}",
            "ropeway",
            "crowd",
            20_000,
            DRAINS[engine],
            size=BULK,
            workers=workers,
            at_most=5,
        )
        for workers in (1, 2, 4)
    ]
    return Measure("workers", "drain by several worker processes", "jobs/s", "1 worker", rows)
