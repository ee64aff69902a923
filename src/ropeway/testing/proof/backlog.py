"""A backlog of a million: put, claim and ack take no longer than three times what they take on an empty queue, at the 99th percentile.

What a file system takes for an old file among a million is not what it takes for one that never reached the disk: an ext4 unlinks the
latter in some ten microseconds and the former in hundreds or thousands. So plain files of the same age lie beside the backlog, and three
times what a rename, a read and an unlink of these take is allowed as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Holder, Store
from ropeway.stores import open_store

from .forks import in_child
from .report import Outcome, say

QUEUE = "line"
SAMPLES = 2000
HOLDER = Holder("reader")
FACTOR = 3.0
FLOOR = 100e-6  # seconds: what is faster than this is fast enough, whatever three times as fast is
FOLDER = 100  # plain files in a folder
BODY = b"x" * 100
new_id = IdMaker(time.time_ns, os.urandom)
Figures = dict[str, tuple[float, float]]  # by verb: the median and the 99th percentile, in seconds


def figures(times: dict[str, list[float]]) -> Figures:
    return {what: (sorted(some)[len(some) // 2], sorted(some)[int(len(some) * 0.99)]) for what, some in times.items()}


class Plain:
    """Files without a store, as many as are measured, of which each grows old beside its part of the backlog."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: list[Path] = []
        self.times: dict[str, list[float]] = {"claim": [], "ack": []}
        self._used = 0

    def add(self) -> None:
        folder = self.root / str(len(self.files) // FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        self.files.append(folder / f"{len(self.files):08}-{new_id()}")
        self.files[-1].write_bytes(BODY * 3)

    def use(self) -> None:
        """The least that a claim and an ack do with a file: rename and read it; unlink it."""
        if self._used == len(self.files):
            return
        held = self.root / "held"
        began = time.perf_counter()
        self.files[self._used].rename(held)
        held.read_bytes()
        claimed = time.perf_counter()
        held.unlink()
        self.times["claim"].append(claimed - began)
        self.times["ack"].append(time.perf_counter() - claimed)
        self._used += 1


def measure(store: Store, plain: Plain) -> Figures:
    """Each verb, one job at a time; between them, as long as there are any, the same is done with a plain file."""
    times: dict[str, list[float]] = {"put": [], "claim": [], "ack": []}

    def timed(verb: str, call: Callable[[], object]) -> object:
        began = time.perf_counter()
        answer = call()
        times[verb].append(time.perf_counter() - began)
        return answer

    for _ in range(SAMPLES):
        timed("put", lambda: store.put([Job(new_id(), QUEUE, BODY)]))
        lent = timed("claim", lambda: store.claim([QUEUE], 1, 60.0, HOLDER))
        timed("ack", lambda given=lent: store.ack([Ack(given[0].receipt)]))  # type: ignore[misc]
        plain.use()
    return figures(times)


def both(root: Path, amount: int) -> tuple[Figures, Figures, Figures]:
    """Measured empty, then with the backlog, put in singly so that each job is a file; then the plain files."""
    store, plain = open_store(f"dir:{root}/store?durability=os"), Plain(root / "plain")
    measure(store, plain)
    empty = measure(store, plain)
    for number in range(amount):
        store.put([Job(new_id(), QUEUE, BODY)])
        if number % max(1, amount // SAMPLES) == 0:
            plain.add()
    full = measure(store, plain)
    return empty, full, figures(plain.times)


def run(amount: int) -> Outcome:
    """`amount` is how many jobs wait."""
    with TemporaryDirectory(prefix="ropeway-backlog-") as folder:
        empty, full, plain = in_child(lambda: both(Path(folder), amount))
        say("  removing the backlog's files")
    wrong, told = [], []
    for verb, (median, late) in full.items():
        base = max(empty[verb][1], plain.get(verb, (0, 0))[1])
        if late > max(FLOOR, FACTOR * base):
            wrong.append(
                f"{verb} takes {late * 1e6:.0f} us at the 99th percentile with {amount:,} waiting; {base * 1e6:.0f} us are the base"
            )
        file = f"; a plain file {plain[verb][0] * 1e6:.0f}/{plain[verb][1] * 1e6:.0f}" if verb in plain else ""
        told.append(
            f"{verb} {median * 1e6:.0f}/{late * 1e6:.0f} us ({empty[verb][0] * 1e6:.0f}/{empty[verb][1] * 1e6:.0f} with none{file})"
        )
    return Outcome("backlog", f"{amount:,} waiting, p50/p99: {', '.join(told)}", wrong)
