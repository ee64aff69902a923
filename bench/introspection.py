"""What an open introspection page costs a program that computes, a worker that drains, and a program that logs: with and without by turns.

    .venv/bin/python bench/introspection.py [ROUNDS]

Counted is the processor time of the whole process, all threads, for the same short work, in three slices a round in changing order: with a
page, without, and without once more. The ratio of the last two is the *control*: it should be 1, and how far it is from that tells what the
ratio with a page may be off. Beside it stands what the page's own threads took, by their own clocks, which nothing else disturbs.
"""

from __future__ import annotations

import itertools
import logging
import statistics
import sys
import threading
import time
from collections.abc import Callable

import ropeway
from ropeway.sight.threads import PRIVATE

LOOPS = 1_000_000
JOBS = 6_000
LINES = 10_000
SETTLED = 0.3  # seconds before a slice: the process that keeps the output starts beside, and would take caches and cores from it

broker = ropeway.connect("memory:", config=False)


@broker.task(queue="q")
def nothing(number: int) -> None: ...


def compute() -> None:
    """Plain Python, with allocations that keep the collector busy."""
    kept: list[dict[str, int]] = []
    for number in range(LOOPS // 10):
        kept.append({"n": number * 7 % 13})
        if len(kept) > 1000:
            kept.clear()
    total = 0
    for number in range(LOOPS):
        total += number & 7


def drain() -> None:
    """A worker on a store in memory."""
    broker.queue("q").put_many([{"number": number} for number in range(JOBS)], task="nothing")
    assert broker.worker("q", drain=True).run() == 0


def log() -> None:
    """A program that logs, into nothing."""
    logger = logging.getLogger("bench")
    for number in range(LINES):
        logger.warning("line %d of %s", number, "many")


def own() -> float:
    """Processor time that the page's threads took until now."""
    threads = [thread.ident for thread in threading.enumerate() if thread.name.startswith(PRIVATE) and thread.ident is not None]
    return sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in threads)


def seconds(work: Callable[[], None], *, page: bool) -> tuple[float, float]:
    """Processor time of the work, with a page or without, and that of the page's threads in it."""
    if not page:
        time.sleep(SETTLED)
        start = time.process_time()
        work()
        return time.process_time() - start, 0.0
    with ropeway.introspect(output="auto"):
        time.sleep(SETTLED)
        threads, start = own(), time.process_time()
        work()
        return time.process_time() - start, own() - threads


def main(rounds: int) -> None:
    """Print a line for each kind of work."""
    logger = logging.getLogger("bench")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    orders = list(itertools.permutations(("page", "without", "control")))
    for work in (compute, drain, log):
        work()
        ratios: dict[str, list[float]] = {"page": [], "control": []}
        shares = []
        for number in range(rounds):
            spent = {which: seconds(work, page=which == "page") for which in orders[number % len(orders)]}
            for which, found in ratios.items():
                found.append(spent[which][0] / spent["without"][0])
            shares.append(spent["page"][1] / spent["page"][0])
        page, control = (statistics.median(found) for found in ratios.values())
        low, _, high = statistics.quantiles(ratios["page"], n=4)
        share = 100 * statistics.median(shares)
        print(
            f"{work.__name__:8} with a page {page:.3f} (quartiles {low:.3f} {high:.3f}), control {control:.3f}; its threads {share:.2f} %",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
