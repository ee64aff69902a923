"""Receipts that outlive their process: settled by others, one of which is killed before each of its calls.

A taker claims, unbound, and goes home. A second process settles by receipt what it can and is killed at it; a third settles the rest, as if
nothing had happened. When the leases are over, nothing may be lost, and nothing come again that was answered.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from ropeway.clock import SYSTEM
from ropeway.job import Job
from ropeway.store import Lent
from ropeway.stores import open_store

from . import audit
from .report import Outcome, need
from .scenario import QUEUE, new_id
from .steps import Ground, in_parallel, killed, points, spread
from .told import Told
from .trace import Call, await_tracer, python, record

LEASE = 1.5  # seconds: long enough for all three


def take(ground: Ground) -> list[str]:
    """Put and claim a part of six, unbound; the receipts."""
    told = Told(open_store(ground.url("durability=os")), ground.ledger, "taker", bound=False)
    told.put([Job(new_id(), QUEUE, b"record %d" % n) for n in range(6)])
    lent = told.claim(QUEUE, 6, LEASE)
    told.close()
    return [f"{one.job.id} {one.receipt}" for one in lent]


def settle(url: str, ledger: str, who: str, *receipts: str) -> None:
    """Ack, nack, bury, keep, extend by receipt, each of them once."""
    store = open_store(url)
    told = Told(store, Path(ledger), who)
    await_tracer()
    told.ledger.write("begin")
    lent = [Lent(Job(job_id, QUEUE), receipt, 1) for job_id, _, receipt in (text.partition(" ") for text in receipts)]
    told.nack(lent[1:2])
    told.bury(lent[2:3])
    told.keep(lent[3:4], 600.0, b"a result")
    told.extend(lent[4:5], LEASE)
    told.ack(lent[:1])
    told.close()


def settler(ground: Ground, receipts: list[str]) -> list[str]:
    return python("receipts", ground.url("durability=os"), ground.ledger, "second", *receipts)


def the_rest(ground: Ground, receipts: list[str]) -> list[str]:
    """The third acks whatever still counts, then the leases end and all is drained."""
    told = Told(open_store(ground.url("durability=os")), ground.ledger, "third")
    for text in receipts:
        job_id, _, receipt = text.partition(" ")
        told.ack([Lent(Job(job_id, QUEUE), receipt, 1)])
    wrong = [f"the third was told {text}" for text in told.errors]
    told.close()
    return wrong


def one(above: Path, number: int, point: Call | None) -> list[str]:
    """The whole story, the second killed at this point (None: not at all)."""
    held: dict[str, list[str]] = {}

    def make() -> Ground:
        ground = Ground(above, f"receipts-{number}")
        held["receipts"] = take(ground)
        return ground

    if point is None:
        ground = make()
        record(settler(ground, held["receipts"]), ground.log)
        where = "nobody was killed"
    else:
        ground, ended = killed(lambda g: settler(g, held["receipts"]), make, point)
        where = f"the second was killed before {point.name} {point.number} ({point.text[:90]})"
        if ended.code != -9:
            return [f"{where}: was not killed, ended with {ended.code}: {ended.said[-300:]}"]
    audit.tell_kill(ground.ledger, "second")
    wrong = the_rest(ground, held["receipts"])
    end = SYSTEM.boot() + LEASE
    while SYSTEM.boot() < end:
        time.sleep(0.05)
    audit.tell_kill(ground.ledger, "taker")
    rest = audit.drain(open_store(ground.url("durability=os")), ground.ledger, ground.store)
    wrong += [text for text in audit.compare(ground.ledger, rest) if not text.startswith(("attempts:", "held twice"))]
    ground.clear()
    return [f"{where}: {text}" for text in wrong]


def sweep(above: Path, amount: int) -> tuple[int, list[str]]:
    """Kill who settles the receipts of another process before `amount` of its calls, spread over all: how many, and what went wrong."""
    ground = Ground(above, "record")
    receipts = take(ground)
    chosen = spread(points(record(settler(ground, receipts), ground.log)), amount)
    ground.clear()
    wrong = one(above, len(chosen), None)
    return len(chosen), wrong + in_parallel([lambda n=n, p=p: one(above, n, p) for n, p in enumerate(chosen)])  # type: ignore[misc]


def run(amount: int) -> Outcome:
    """`amount` is how many points are taken, 0 for all."""
    need("strace")
    with tempfile.TemporaryDirectory(prefix="ropeway-receipts-") as folder:
        kills, wrong = sweep(Path(folder), amount)
    return Outcome("receipts", f"{kills} kills of who settles for others", wrong)


if __name__ == "__main__":
    settle(*sys.argv[1:])
