"""One report of everything that is counted: the jobs, the fleet, each worker and each queue, over five minutes, an hour and a day."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .errors import Unsupported
from .history.reading import gather, total
from .history.scale import quantile
from .history.sums import Cell, Sums
from .link import Link
from .metrics import STATES
from .store import Counts
from .worker.fleet.members import ever, present
from .worker.fleet.notice import Notice
from .worker.fleet.switch import paused

WINDOWS = {"5m": 300.0, "1h": 3600.0, "24h": 86400.0}


def report(link: Link, may_see: Callable[[str], bool] = lambda _: True) -> dict[str, Any]:
    """The numbers as one value for JSON. `may_see`: queues of which nothing is to be told are left out, also of the sums. Blocks on the
    store."""
    store, now = link.store, link.clock.now()
    names = [name for name in store.queues() if may_see(name) and not name.startswith("_")]
    counts = store.counts(names) if names else {}
    past = {name: _seen(gather(link, span), may_see) for name, span in WINDOWS.items()}
    try:
        workers, ever_there, why = present(store), ever(store), paused(store)
    except Unsupported:
        workers, ever_there, why = [], 0, None
    return {
        "at": now,
        "jobs": {state: sum(getattr(one, state) for one in counts.values()) for state in STATES},
        "oldest_seconds": max((_age(one, now) for one in counts.values()), default=0.0),
        "windows": {name: window(total(cells.values()), WINDOWS[name]) for name, cells in past.items()},
        "paused": why,
        "fleet": _fleet(workers, ever_there),
        "workers": [_worker(one, now, may_see) for one in workers],
        "queues": {name: _queue(name, counts[name], past, now) for name in names},
    }


def window(sums: Sums, span: float) -> dict[str, Any]:
    """What ended in a span of time: numbers, rates a second, and percentiles in seconds (None where nothing was run)."""
    shares = {
        f"{what}_p{percent}": None if (value := quantile(counts, percent / 100)) is None else round(value, 6)
        for what, counts in (("wait", sums.wait), ("run", sums.run))
        for percent in (50, 95)
    }
    return {
        "claimed": sums.claimed, "done": sums.done, "failed": sums.failed, "dead": sums.dead, "lost": sums.lost, "expired": sums.expired,
        "done_per_second": round(sums.done / span, 6), "failed_per_second": round((sums.failed + sums.dead) / span, 6),
        "run_seconds": round(sums.run_seconds, 6), "wait_seconds": round(sums.wait_seconds, 6), **shares,
    }  # fmt: skip


def _seen(cells: dict[Cell, Sums], may_see: Callable[[str], bool]) -> dict[Cell, Sums]:
    return {cell: sums for cell, sums in cells.items() if may_see(cell[1])}


def _age(counts: Counts, now: float) -> float:
    return round(max(0.0, now - counts.oldest), 3) if counts.oldest is not None else 0.0


def _queue(name: str, counts: Counts, past: dict[str, dict[Cell, Sums]], now: float) -> dict[str, Any]:
    row: dict[str, Any] = {state: getattr(counts, state) for state in STATES}
    row |= {"oldest_seconds": _age(counts, now), "put_stopped": counts.put_stopped, "claim_stopped": counts.claim_stopped}
    row["windows"] = {
        span: window(total(sums for cell, sums in cells.items() if cell[1] == name), WINDOWS[span]) for span, cells in past.items()
    }
    return row


def _fleet(workers: Iterable[Notice], ever_there: int) -> dict[str, Any]:
    there = list(workers)
    slots = sum(one.slots for one in there)
    return {
        "workers": len(there),
        "ever": max(ever_there, len(there)),
        "gone": max(0, ever_there - len(there)),
        "hosts": len({one.host for one in there}),
        "slots": slots,
        "running": sum(one.running for one in there),
        "held": sum(one.held for one in there),
        "assigned": sum(one.totals.get("claimed", 0) for one in there),
        "utilisation": round(sum(one.utilisation * one.slots for one in there) / slots, 4) if slots else 0.0,
        "memory": sum(one.memory for one in there),
        "started": min((one.started for one in there), default=None),
    }


def _worker(one: Notice, now: float, may_see: Callable[[str], bool]) -> dict[str, Any]:
    """A worker. `assigned`: jobs that it ever claimed; `priority`: its nice value, 0 for most; times are seconds."""
    return {
        "id": one.id, "name": one.name, "host": one.host, "pid": one.pid, "priority": one.priority, "version": one.version,
        "started": one.started, "uptime": round(max(0.0, now - one.started), 3), "state": one.state, "pool": one.pool,
        "queues": [name for name in one.queues if may_see(name)], "slots": one.slots, "running": one.running, "held": one.held,
        "assigned": one.totals.get("claimed", 0), "totals": one.totals, "memory": one.memory, "cpu": one.cpu, "idle": one.idle,
        "utilisation": one.utilisation, "claimed": one.claimed, "answered": one.answered, "at": one.at,
    }  # fmt: skip
