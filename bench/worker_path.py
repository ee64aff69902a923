"""What each pool adds to a job: CPU microseconds per no-op, as a ratio to the least Python that does the same inline.

    .venv/bin/python bench/worker_path.py [URL] [JOBS]

The floor claims 500, decodes the arguments, calls the function, acks 500, in one thread. The others are the whole product path: ferry,
hand, slots, checks of lease and verdict, a context of its own for each job, timing, outcomes, settling. Rounds go in turn, so that what
else the machine does falls on all alike. Of the process pool both sides count, without what it costs to start the children. Use the ratios.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from ropeway.broker import Broker
from ropeway.link import Link
from ropeway.store import Ack
from ropeway.tasks import Task, Tasks

BATCH = 500
ROUNDS = 5

tasks = Tasks()  # here, where the children of the process pool find it


@tasks.task
def noop(number: int) -> None:
    return None


@tasks.task
async def anoop(number: int) -> None:
    return None


@tasks.task(batch=100)
def noops(numbers: list[int]) -> None:
    return None


class Row:
    """One way of doing them, and what it took in each round: CPU here, CPU of children, wall, in microseconds a job."""

    def __init__(self, name: str, task: Task[Any, Any, Any], run: Callable[[Broker, int], None]) -> None:
        self.name = name
        self.task = task
        self.run = run
        self.here: list[float] = []
        self.beside: list[float] = []
        self.wall: list[float] = []
        self.start = 0.0  # seconds of CPU that children take to be there

    def measure(self, url: str, jobs: int) -> None:
        own, children, wall = self._once(url, jobs)
        self.here.append(own / jobs * 1e6)
        self.beside.append(max(0.0, children - self.start) / jobs * 1e6)
        self.wall.append(wall / jobs * 1e6)

    def _once(self, url: str, jobs: int) -> tuple[float, float, float]:
        with Broker(Link(url), config=False) as broker:
            broker.include(tasks)
            for start in range(0, jobs, 1000):
                self.task.map(range(start, min(start + 1000, jobs)))
            before, own, wall = _children(), time.process_time(), time.perf_counter()
            self.run(broker, jobs)
            return time.process_time() - own, _children() - before, time.perf_counter() - wall

    def warm(self, url: str) -> None:
        self.start = min(self._once(url, 1)[1] for _ in range(3))


def inline(broker: Broker, jobs: int) -> None:
    """The floor."""
    store, holder, done = broker.store, broker.link.holder(), 0
    decode, call, function = noop.arguments.decode, noop.arguments.call, noop.function
    while lents := store.claim(("default",), BATCH, 30.0, holder):
        for lent in lents:
            call(function, decode(lent.job.body))
        done += sum(store.ack([Ack(lent.receipt) for lent in lents]))
    assert done == jobs, done


def pool(name: str, slots: int) -> Callable[[Broker, int], None]:
    """The product's own path."""

    def run(broker: Broker, jobs: int) -> None:
        made = broker.worker("default", pool=name, concurrency=slots, drain=True)
        made.run()
        assert made.counters.done == jobs, made.counters

    return run


def store_only(broker: Broker, jobs: int) -> None:
    """Claim and ack, and nothing between: what of the floor is the store's."""
    store, holder, done = broker.store, broker.link.holder(), 0
    while lents := store.claim(("default",), BATCH, 30.0, holder):
        done += sum(store.ack([Ack(lent.receipt) for lent in lents]))
    assert done == jobs, done


def rows() -> list[Row]:
    out = [
        Row("inline, batch 500", noop, inline),
        Row("store only", noop, store_only),
        Row("1 thread", noop, pool("thread", 1)),
        Row("4 threads", noop, pool("thread", 4)),
        Row("4 threads, batches of 100", noops, pool("thread", 4)),
        Row("async, 100 at once", anoop, pool("async", 100)),
        Row("2 processes", noop, pool("process", 2)),
        Row("2 processes, batches of 100", noops, pool("process", 2)),
    ]
    try:
        import uvloop  # noqa: F401

        out.append(Row("uvloop, 100 at once", anoop, pool("uvloop", 100)))
    except ImportError:
        pass
    return out


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "memory:"
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    all_of = rows()
    for row in all_of:
        row.warm(url)
    for _ in range(ROUNDS):
        for row in all_of:
            row.measure(url, jobs)
    floor = median(all_of[0].here)
    print(f"{jobs} no-ops on {url:20} CPU us/job   + children   x floor    jobs/s")
    for row in all_of:
        here, beside = median(row.here), median(row.beside)
        print(f"{row.name:36} {here:9.2f} {beside:12.2f} {(here + beside) / floor:9.2f} {1e6 / median(row.wall):9,.0f}")


if __name__ == "__main__":
    main()
