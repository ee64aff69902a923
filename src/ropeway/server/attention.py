"""What needs a look: backlogs nobody serves, leases that are over, silent workers, dead jobs, switches that are off. Else nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.responses import Response

from ..broker import Broker
from ..durations import spoken
from ..job import State
from ..names import matching
from ..store import Counts, Entry, Query
from ..worker.fleet import Notice
from ..worker.fleet.members import present
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Role

OLD = 30.0  # seconds that a job may wait before it is told that nobody takes it
OVER = 5.0  # seconds after which a lease that has ended should have been noticed
SILENT = 3.0  # notes that a worker has let pass
LOOKED = 200  # running jobs that one look reads

Row = dict[str, Any]


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""

    async def attention(call: Call) -> Response:
        asking.query(call, ())
        counts = await broker.acounts()
        names = [name for name in call.grant.seen(list(counts)) if not name.startswith("_")]
        rows = await asyncio.to_thread(_look, broker, {name: counts[name] for name in names})
        return said({"attention": rows})

    return [Door("GET", "/v1/attention", Role.OBSERVE, attention, says="What needs a look; nothing when all is well", changes=False)]


def _look(broker: Broker, counts: dict[str, Counts]) -> list[Row]:
    now = broker.link.clock.now()
    workers = present(broker.store)
    running: list[Entry] = []
    if any(one.running for one in counts.values()):
        query = Query(queues=tuple(counts), states=frozenset({State.RUNNING}), limit=LOOKED)
        running = broker.store.browse(query)
    paused = broker.paused()
    return list(wanting(counts, workers, running, now, paused))


def wanting(
    counts: dict[str, Counts], workers: Sequence[Notice], running: Sequence[Entry], now: float, paused: str | None
) -> Iterator[Row]:
    """The rows, gravest first: `kind`, `text`, `do` (what helps), and the queue or worker that it is about."""
    if paused is not None:
        yield {"kind": "paused", "text": f"Everything is paused: {paused or 'no reason given'}", "do": "ropeway resume --all"}
    for name, one in counts.items():
        if one.ready and one.oldest is not None and now - one.oldest > OLD and one.claim_stopped is None and not one.running:
            waited = f"the first of them for {spoken(now - one.oldest)}"
            if not _served(name, workers):
                text = f"{_jobs(one.ready, 'job')} waiting in {name}, {waited}, and no worker takes any from there"
                yield {"kind": "unserved", "queue": name, "text": text, "do": f"ropeway work {name} -- COMMAND"}
    for entry in running:
        if now - entry.due > OVER:
            who = entry.holder or "its holder"
            text = f"The lease of job {entry.job.id} in {entry.job.queue} ended {spoken(now - entry.due)} ago; {who} is silent"
            yield {"kind": "stalled", "queue": entry.job.queue, "job": entry.job.id, "text": text, "do": "It goes to the next who claims"}
    for worker in workers:
        if worker.every and now - worker.at > SILENT * worker.every:
            text = f"Worker {worker.id} has been silent for {spoken(now - worker.at)}, with {_jobs(worker.held, 'job')} in hand"
            yield {"kind": "silent", "worker": worker.id, "text": text, "do": f"ropeway workers --stacks {worker.id}"}
    for name, one in counts.items():
        if one.dead:
            yield {"kind": "dead", "queue": name, "text": f"{_jobs(one.dead, 'dead job')} in {name}", "do": f"ropeway requeue -Q {name}"}
    for name, one in counts.items():
        for switch, reason in (("claims", one.claim_stopped), ("puts", one.put_stopped)):
            if reason is not None:
                text = f"{name} is switched off for {switch}: {reason or 'no reason given'}"
                yield {"kind": "switched", "queue": name, "text": text, "do": f"ropeway resume {name}"}


def _served(queue: str, workers: Sequence[Notice]) -> bool:
    return any(queue in worker.queues or queue in matching(worker.patterns, [queue]) for worker in workers)


def _jobs(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
