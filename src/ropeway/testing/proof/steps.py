"""Kill -9 before each system call of the scenario; then, for some of these ends, before each call of whoever clears up behind it.

After each kill another process rescues, drains, and what came out is held against what was answered: nothing lost, nothing twice, nothing
made up, nothing torn, no file left over.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ropeway.stores import open_store

from . import audit
from .report import Outcome, need
from .trace import Call, Traced, inject, python, record

THREADS = 3
_ROOM = re.compile(r'"room0*([1-9]|[1-5]\d)"').search  # 64 names made and removed alike: the first and the last few will do
BEGIN = '\\"what\\":\\"begin\\"'


class Ground:
    """A folder for one run: the store, the ledger and the log lie side by side in it."""

    def __init__(self, above: Path, name: str) -> None:
        self.root = above / name
        self.store, self.ledger, self.log = self.root / "store", self.root / "ledger", self.root / "log"
        self.ledger.mkdir(parents=True)

    def url(self, options: str = "durability=full") -> str:
        return f"dir:{self.store}?{options}"

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


def scenario(ground: Ground, bug: str = "") -> list[str]:
    return python("scenario", ground.url(), ground.ledger, "walker", *([bug] if bug else []))


def rescuer(ground: Ground, bug: str = "") -> list[str]:
    return python("rescuer", ground.url(), ground.ledger, "rescuer", *([bug] if bug else []))


def points(calls: Sequence[Call]) -> list[Call]:
    """The calls before which a kill leaves another state behind: those that change the disk, from the first line of the ledger on."""
    start = next(number for number, call in enumerate(calls) if call.name == "writev" and BEGIN in call.text)
    return [call for call in calls[start:] if call.changes() and not _ROOM(call.text)]


def spread(calls: Sequence[Call], amount: int) -> list[Call]:
    """At most so many of them, evenly; 0 is all."""
    if not amount or len(calls) <= amount:
        return list(calls)
    return [calls[number * len(calls) // amount] for number in range(amount)]


def verdict(ground: Ground, bug: str = "") -> list[str]:
    """Rescue, drain and compare; then the files that are left."""
    if not ground.store.exists():
        return audit.compare(ground.ledger, audit.Rest())
    audit.tell_kill(ground.ledger, "walker")
    audit.tell_kill(ground.ledger, "rescuer")
    rest = audit.drain(open_store(ground.url("durability=os")), ground.ledger, ground.store)
    return audit.compare(ground.ledger, rest) + [f"left over: {name}" for name in audit.leftovers(ground.store, rest)]


def killed(command: Callable[[Ground], list[str]], make: Callable[[], Ground], point: Call) -> tuple[Ground, Traced]:
    """Run it up to this point, on fresh ground. How many calls of a name a process makes depends a little on the time (files are opened for
    looking, folders made), so that a late one may not come: then an earlier one is taken."""
    for earlier in (0, 1, 2, 5, 10, 20, 40):
        ground = make()
        ended = inject(command(ground), ground.log, point.name, "signal=KILL", str(max(1, point.number - earlier)))
        if ended.code:
            break
        ground.clear()
    return ground, ended


def one_kill(above: Path, number: int, point: Call, bug: str = "") -> list[str]:
    """The scenario killed at this point, and what is wrong then."""
    ground, ended = killed(lambda g: scenario(g, bug), lambda: Ground(above, f"kill-{number}"), point)
    try:
        where = f"killed before {point.name} {point.number} ({point.text[:90]})"
        if ended.code != -9:
            return [f"{where}: was not killed, ended with {ended.code}: {ended.said[-300:]}"]
        return [f"{where}: {text}" for text in verdict(ground)]
    finally:
        ground.clear()


def in_parallel(tasks: Iterable[Callable[[], list[str]]]) -> list[str]:
    """All that they found, in order."""
    with ThreadPoolExecutor(THREADS) as pool:
        return [text for found in pool.map(lambda task: task(), list(tasks)) for text in found]


def sweep(above: Path, amount: int, bug: str = "") -> tuple[int, list[str]]:
    """Kill the scenario before each of its calls; how many kills, and what was violated."""
    ground = Ground(above, "record")
    chosen = spread(points(record(scenario(ground, bug), ground.log)), amount)
    wrong = [f"not killed at all: {text}" for text in verdict(ground)]
    ground.clear()
    return len(chosen), wrong + in_parallel(
        [lambda n=n, p=p: one_kill(above, n, p, bug) for n, p in enumerate(chosen)]  # type: ignore[misc]
    )


def sweep_rescue(above: Path, bases: int, amount: int, bug: str = "") -> tuple[int, list[str]]:
    """Leave `bases` different wrecks behind, and kill whoever clears up behind each of them before each of its calls."""
    ground = Ground(above, "record-rescue")
    staged = [p for p in points(record(scenario(ground), ground.log)) if _interesting(p)]
    ground.clear()
    total, wrong = 0, []
    for number, point in enumerate(spread(staged, bases)):
        wreck = Ground(above, f"wreck-{number}")
        inject(scenario(wreck), wreck.log, point.name, "signal=KILL", str(point.number))
        audit.tell_kill(wreck.ledger, "walker")
        trial = _copy(above, wreck, f"trial-{number}")
        calls = spread(points(record(rescuer(trial, bug), trial.log)), amount)
        wrong += [f"rescued after {point.name} {point.number}: {text}" for text in verdict(trial)]
        trial.clear()
        total += len(calls)
        wrong += in_parallel(
            [lambda n=n, p=p, w=wreck, b=point: _one_rescue(above, w, b, n, p, bug) for n, p in enumerate(calls)]  # type: ignore[misc]
        )
        wreck.clear()
    return total, wrong


def _interesting(point: Call) -> bool:
    """Ends that leave something staged, settled or half written: those before a rename or an unlink within the holder's folder."""
    return point.name in ("renameat", "renameat2", "rename", "unlinkat") and "/run/" in point.text


def _copy(above: Path, wreck: Ground, name: str) -> Ground:
    """The same wreck once more, hard links and times included."""
    ground = Ground(above, name)
    ground.ledger.rmdir()
    copied = _run(["cp", "-a", str(wreck.store), str(wreck.ledger), str(ground.root)])
    if copied.code:
        raise RuntimeError(f"the wreck cannot be copied: {copied.said}")
    return ground


def _run(command: list[str]) -> Traced:
    import subprocess

    done = subprocess.run(command, capture_output=True, check=False)
    return Traced(done.returncode, done.stderr.decode(errors="replace"))


def _one_rescue(above: Path, wreck: Ground, base: Call, number: int, point: Call, bug: str) -> list[str]:
    ground, ended = killed(lambda g: rescuer(g, bug), lambda: _copy(above, wreck, f"{wreck.root.name}-{number}"), point)
    try:
        where = f"killed before {base.name} {base.number}, its rescuer before {point.name} {point.number} ({point.text[:80]})"
        if ended.code != -9:
            return [f"{where}: was not killed, ended with {ended.code}: {ended.said[-300:]}"]
        return [f"{where}: {text}" for text in verdict(ground)]
    finally:
        ground.clear()


def run(amount: int) -> Outcome:
    """`amount` is how many points of the scenario are taken, 0 for all; the rescuer is swept in proportion."""
    need("strace")
    with tempfile.TemporaryDirectory(prefix="ropeway-steps-") as folder:
        above = Path(folder)
        kills, wrong = sweep(above, amount)
        bases = 8 if not amount else max(2, amount // 40)
        rescues, more = sweep_rescue(above, bases, amount and max(1, amount // 5))
    return Outcome("steps", f"{kills} kills of the walker, {rescues} of its rescuer", wrong + more)
