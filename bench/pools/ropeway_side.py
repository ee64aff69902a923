"""ropeway, pool by pool."""

from __future__ import annotations

import ropeway

from .side import URL, arun, run

broker = ropeway.connect(URL + "?durability=os" if URL else "memory:", config=False)
sync = broker.task(queue="sync")(run)
awaited = broker.task(queue="awaited")(arun)
SLOTS = {"thread": 8, "async": 100, "process": 2}


def fill(count: int) -> None:
    for start in range(0, count, 1000):
        sync.map(range(start, min(count, start + 1000)))
        awaited.map(range(start, min(count, start + 1000)))


def work(name: str) -> None:
    pool = name.partition(" ")[2]
    broker.worker("awaited" if pool == "async" else "sync", pool=pool, concurrency=SLOTS[pool]).run()
