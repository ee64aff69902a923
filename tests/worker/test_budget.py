"""What the product adds to a no-op, held as a ratio to the same work done inline in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable

from ropeway.link import Link
from ropeway.store import Ack
from ropeway.tasks import Tasks
from ropeway.worker import Worker

JOBS = 6000
RATIO = 3.0  # measured 1.5 to 1.7; a busy machine doubles what threads cost


def filled() -> tuple[Link, Tasks]:
    link = Link("memory:")
    tasks = Tasks(link)

    @tasks.task
    def noop(number: int) -> None:
        return None

    for start in range(0, JOBS, 1000):
        noop.map(range(start, start + 1000))
    return link, tasks


def inline(link: Link, tasks: Tasks) -> None:
    task = tasks.get("noop")
    assert task is not None
    decode, call, function, store, holder = task.arguments.decode, task.arguments.call, task.function, link.store, link.holder()
    while lents := store.claim(("default",), 500, 30.0, holder):
        for lent in lents:
            call(function, decode(lent.job.body))
        assert all(store.ack([Ack(lent.receipt) for lent in lents]))


def worker(link: Link, tasks: Tasks) -> None:
    made = Worker(link, tasks, ("default",), concurrency=4, drain=True)
    made.run()
    assert made.counters.done == JOBS


def cost(run: Callable[[Link, Tasks], None]) -> float:
    """CPU seconds of the process: the least of three."""
    times = []
    for _ in range(3):
        link, tasks = filled()
        start = time.process_time()
        run(link, tasks)
        times.append(time.process_time() - start)
        link.close()
    return min(times)


def test_the_thread_pool_keeps_its_budget() -> None:
    floor, own = cost(inline), cost(worker)
    assert own / floor < RATIO, f"{own / JOBS * 1e6:.1f} us of CPU a job, {own / floor:.1f} times the floor of {floor / JOBS * 1e6:.1f}"
