"""Pools against pools: whole workers of ropeway and of its peers drain jobs of nothing, of 1 ms and of 10 ms, on one Redis.

    ./dev bench redis --pools

Each run of a job writes one byte to a file, whatever thread or process it is in; its size is what is measured. A slice is one worker,
started by its own command or class, from its first job to its last or to the end of its time. Rows are asked in turn, several times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .. import environments

HOME = Path(__file__).resolve().parent.parent.parent
NAPS = (0.0, 0.001, 0.010)
LONGEST = 4.0  # seconds of a slice, after which it is counted as it stands
PATIENCE = 60.0  # seconds for a worker to begin
ROUNDS = 3


class Row(NamedTuple):
    """One worker: who, how it runs its jobs, whose environment, and how many jobs it finds, without a nap and with one."""

    name: str
    what: str
    peer: str
    jobs: int
    napping: int


ROWS = (
    Row("ropeway thread", "8 threads", "", 20_000, 8_000),
    Row("ropeway async", "an event loop, 100 at once", "", 20_000, 20_000),
    Row("ropeway process", "2 processes", "", 20_000, 3_000),
    Row("celery threads", "-P threads -c 8", "celery", 2_000, 2_000),
    Row("celery prefork", "-P prefork -c 2, its default pool", "celery", 2_000, 2_000),
    Row("dramatiq", "8 threads, its default", "dramatiq", 2_000, 2_000),
    Row("huey", "8 threads", "huey", 3_000, 3_000),
    Row("rq", "SimpleWorker: one after the other", "rq", 400, 300),
    Row("arq", "100 at once, poll each 10 ms", "arq", 2_000, 2_000),
    Row("taskiq", "a stream, 100 at once", "taskiq", 3_000, 3_000),
    Row("saq", "100 at once", "saq", 2_000, 2_000),
)


def main(url: str) -> int:
    """Measure and print a table for each nap."""
    for nap in NAPS:
        found: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for row in ROWS:
                found.setdefault(row.name, []).append(_slice(row, nap, url))
        _print(nap, found)
    return 0


def _slice(row: Row, nap: float, url: str) -> float:
    """Jobs a second."""
    python = environments.interpreter(row.peer) if row.peer else sys.executable
    jobs = row.napping if nap else row.jobs
    with tempfile.TemporaryDirectory(prefix="ropeway-pools-") as folder:
        file = Path(folder) / "runs"
        file.touch()
        world = {**os.environ, "POOLS_FILE": str(file), "POOLS_NAP": str(nap), "POOLS_URL": url, "PYTHONPATH": str(HOME)}
        subprocess.run([python, "-m", "bench.pools.side", "fill", row.name, str(jobs)], env=world, cwd=HOME, check=True)
        with (Path(folder) / "words").open("w+") as words:
            command = [python, "-m", "bench.pools.side", "work", row.name]
            worker = subprocess.Popen(command, env=world, cwd=HOME, stdout=words, stderr=words, start_new_session=True)
            try:
                return _watched(file, jobs, worker, words)
            finally:
                os.killpg(worker.pid, 9)
                worker.wait()


def _watched(file: Path, jobs: int, worker: subprocess.Popen[bytes], words: object) -> float:
    began, first, at_first = time.monotonic(), 0.0, 0
    while True:
        size, now = file.stat().st_size, time.monotonic()
        if not first and size:
            first, at_first = now, size
        if size >= jobs or (first and now - first > LONGEST):
            return (size - at_first) / max(now - first, 1e-9)
        if worker.poll() is not None or (not first and now - began > PATIENCE):
            raise SystemExit(f"a worker did not begin, or ended: {Path(words.name).read_text()[-2000:]}")  # type: ignore[attr-defined]
        time.sleep(0.001)


def _print(nap: float, found: dict[str, list[float]]) -> None:
    best = max(median(rates) for name, rates in found.items() if not name.startswith("ropeway"))
    print(f"\njobs of {nap * 1000:g} ms\n\n| worker | | jobs/s | x best peer | spread |\n|---|---|---:|---:|---:|")
    for row in ROWS:
        rates = found[row.name]
        middle = median(rates)
        print(f"| {row.name} | {row.what} | {middle:,.0f} | {middle / best:.2f} | {max(rates) / max(min(rates), 1e-9):.2f} |")
    sys.stdout.flush()
