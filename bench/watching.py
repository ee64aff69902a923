"""`ropeway watch` over a folder that is full already: what a file costs until its job is ready, beside the floor.

    ./dev bench --watch dir: sqlite: postgresql://postgres@127.0.0.1/postgres

The floor reads the folder, looks at each file, and puts the paths in bulk, 1,000 at a time, with nothing written down and nobody asked
whether the file is being written. Both in this process, in turn; wall and processor time of each file, and the ratios.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable

FILES = (10_000, 100_000)
TOGETHER = 1000


def main(urls: list[str], above: str, *, quick: bool) -> int:
    """Print a row for each engine and number of files."""
    print(f"{'us a file: wall (processor)':34} {'watch':>16} {'floor':>16} {'ratio':>14}")
    for url in urls or ["dir:", "sqlite:"]:
        for count in FILES[:1] if quick else FILES:
            with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=above) as place:
                row(url, count, place)
    return 0


def row(url: str, count: int, place: str) -> None:
    folder = f"{place}/in"
    os.mkdir(folder)
    for number in range(count):
        os.close(os.open(f"{folder}/{number:06}", os.O_CREAT | os.O_WRONLY, 0o600))
    scheme, _, rest = url.partition(":")
    where = url if rest else f"{scheme}:{place}/{scheme}"
    floor = measured(lambda: floored(where, folder), count)
    watch = measured(lambda: watched(where, folder, f"{place}/state/record.db", count), count)
    ratios = [one / other for one, other in zip(watch, floor, strict=True)]
    cells = [f"{wall:.0f} ({processor:.0f})" for wall, processor in (watch, floor)] + [f"{ratios[0]:.1f} ({ratios[1]:.1f})"]
    print(f"{f'{scheme}, {count:,} files':34} {cells[0]:>16} {cells[1]:>16} {cells[2]:>14}", flush=True)


def measured(work: Callable[[], None], count: int) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) / count * 1e6, (time.process_time() - processor) / count * 1e6


def floored(url: str, folder: str) -> None:
    from ropeway.link import Link
    from ropeway.queue import Queue

    link = Link(url)
    queue: Queue[str] = Queue(link, "bench-floor")
    with os.scandir(folder) as found:
        paths = [entry.path for entry in found if entry.stat(follow_symlinks=False)]
    for at in range(0, len(paths), TOGETHER):
        queue.put_many(paths[at : at + TOGETHER])
    link.close()


def watched(url: str, folder: str, record: str, count: int) -> None:
    from ropeway.link import Link
    from ropeway.queue import Queue
    from ropeway.watch import Watcher
    from ropeway.watch.record import Record

    link = Link(url)
    queue: Queue[str] = Queue(link, "bench-watch")
    watcher = Watcher(link, queue, folder, Record(record), settle=0.0, existing=True)
    watcher.run(once=True)
    watcher.close()
    if (ready := queue.counts().ready) < count:
        raise SystemExit(f"only {ready} of {count} files have a job that is ready")
    link.close()
