"""Counting system calls: each verb done so many times under strace, less the same run with the verb left out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parent.parent
TIMES = 200
_COUNT = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$")

VERBS = {
    "put one, os": ("put", "os", 1),
    "put one, full": ("put", "full", 1),
    "put 500, os": ("put", "os", 500),
    "put 500, full": ("put", "full", 500),
    "claim + ack, singles, limit 1": ("drain", "1", 1),
    "claim + ack, singles, limit 100 (a job)": ("drain", "100", 1),
    "claim + ack, bulk, limit 1": ("drain", "1", 500),
    "claim + ack, bulk, limit 100 (a claim)": ("drain", "100", 500),
    "claim + ack, bulk, limit 500 (a claim)": ("drain", "500", 500),
}


def main(above: str) -> int:
    """Print a row a verb: how many calls of each kind one of it makes."""
    if not shutil.which("strace"):
        print("strace is missing: install it to count system calls")
        return 1
    for title, (act, how, size) in VERBS.items():
        counted = _counted(above, act, how, size, TIMES) - _counted(above, act, how, size, 0)
        each: dict[str, float] = {name: count / TIMES for name, count in counted.items() if count / TIMES >= 0.05}
        told = ", ".join(f"{name} {_shown(count)}" for name, count in sorted(each.items(), key=lambda item: -item[1]))
        print(f"{title}: {_shown(sum(each.values()))}   ({told})", flush=True)
    return 0


def _shown(number: float) -> str:
    return f"{number:.0f}" if abs(number - round(number)) < 0.02 else f"{number:.2f}"


def _counted(above: str, act: str, how: str, size: int, times: int) -> Counter[str]:
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=above) as folder:
        command = [sys.executable, "-m", "bench.calls", folder, act, how, str(size), str(times)]
        done = subprocess.run(["strace", "-f", "-c", *command], cwd=HOME, capture_output=True, text=True, check=True)
    found = (_COUNT.match(line) for line in done.stderr.splitlines())
    return Counter({match[2]: int(match[1]) for match in found if match and match[2] != "total"})


def _do(folder: str, act: str, how: str, size: int, times: int) -> None:
    """What runs under strace: everything but `times` of the verb is the same for 0 and for many."""
    from .systems.engine import Engine
    from .work import items

    engine: Any = Engine(folder, how if act == "put" else "os", "directory")
    if act == "put":
        engine.put(items(1))
        for _ in range(times):
            engine.bulk(items(size), size)
        return
    limit = int(how)
    a_claim = limit if size > 1 else 1
    engine.bulk(items(max(2 * TIMES, (TIMES + 2) * a_claim)), size)
    engine.drain(limit, limit)
    engine.drain(limit, times * a_claim) if times else None


if __name__ == "__main__":
    _do(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
