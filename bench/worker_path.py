"""What a worker adds to a job: CPU microseconds of the process per no-op, as a ratio to the least Python that does the same inline.

    .venv/bin/python bench/worker_path.py [URL] [JOBS]

The floor claims 500, decodes the arguments, calls the function, acks 500, in one thread. "worker" is the whole product path: ferry, hand,
slots, checks of lease and verdict, a context of its own for each job, timing, outcomes, settling. Use the ratios; the figures are this
machine's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

from ropeway.link import Link
from ropeway.store import Ack
from ropeway.tasks import Tasks
from ropeway.worker import Worker

BATCH = 500
ROUNDS = 5
BUDGET = 10.0  # CPU microseconds a job in the thread pool, memory engine


def filled(url: str, jobs: int) -> tuple[Link, Tasks]:
    """A store with that many no-ops in it."""
    link = Link(url)
    tasks = Tasks(link)

    @tasks.task
    def noop(number: int) -> None:
        return None

    for start in range(0, jobs, 1000):
        noop.map(range(start, min(start + 1000, jobs)))
    return link, tasks


def inline(link: Link, tasks: Tasks, jobs: int) -> None:
    """The floor."""
    task = tasks.get("noop")
    assert task is not None
    decode, call, function, store, holder = task.arguments.decode, task.arguments.call, task.function, link.store, link.holder()
    done = 0
    while lents := store.claim(("default",), BATCH, 30.0, holder):
        for lent in lents:
            call(function, decode(lent.job.body))
        done += sum(store.ack([Ack(lent.receipt) for lent in lents]))
    assert done == jobs, done


def worker(slots: int) -> Callable[[Link, Tasks, int], None]:
    """The product's own path."""

    def run(link: Link, tasks: Tasks, jobs: int) -> None:
        made = Worker(link, tasks, ("default",), concurrency=slots, drain=True)
        made.run()
        assert made.counters.done == jobs, made.counters

    return run


def store_only(link: Link, tasks: Tasks, jobs: int) -> None:
    """Claim and ack, and nothing between: what of the floor is the store's."""
    store, holder, done = link.store, link.holder(), 0
    while lents := store.claim(("default",), BATCH, 30.0, holder):
        done += sum(store.ack([Ack(lent.receipt) for lent in lents]))
    assert done == jobs, done


def measured(run: Callable[[Link, Tasks, int], None], url: str, jobs: int) -> tuple[float, float]:
    """(CPU, wall) microseconds a job: medians."""
    cpu, wall = [], []
    for _ in range(ROUNDS):
        link, tasks = filled(url, jobs)
        start, began = time.process_time(), time.perf_counter()
        run(link, tasks, jobs)
        cpu.append((time.process_time() - start) / jobs * 1e6)
        wall.append((time.perf_counter() - began) / jobs * 1e6)
        link.close()
    return median(cpu), median(wall)


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "memory:"
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    floor, wall = measured(inline, url, jobs)
    bare, _ = measured(store_only, url, jobs)
    print(f"{jobs} no-ops on {url}   CPU us/job   x floor   jobs/s")
    print(f"{'store only':24} {bare:14.2f} {bare / floor:9.2f}")
    print(f"{'inline, batch 500':24} {floor:14.2f} {1.0:9.2f} {1e6 / wall:9,.0f}")
    for slots in (1, 4, 8):
        cpu, wall = measured(worker(slots), url, jobs)
        print(f"{f'worker, {slots} threads':24} {cpu:14.2f} {cpu / floor:9.2f} {1e6 / wall:9,.0f}   own share {cpu - bare:.2f} us")


if __name__ == "__main__":
    main()
