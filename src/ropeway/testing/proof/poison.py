"""Poison: one job in a hundred kills the worker that runs it. Each such is buried once, after three deaths; all others run, once or more.

The workers are real ones in processes of their own, hired again as they die, until one of them goes home by itself.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from ropeway.broker import connect
from ropeway.clock import SYSTEM
from ropeway.job import State

from .forks import Child, in_child
from .report import Outcome

QUEUE = "line"
EACH = 100
CREW = 2
PATIENCE = 60.0  # seconds without progress


def work(url: str, record: str) -> None:
    """One worker, until nothing is left, or a job kills it."""
    out = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    broker = connect(url, config=False)

    @broker.task(queue=QUEUE)
    def run(number: int) -> None:
        if number % EACH == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(out, b"%d\n" % number)

    broker.worker(QUEUE, concurrency=4, drain=True).run()


def fill(url: str, amount: int) -> None:
    """Put the mix: `amount` jobs, of which one in a hundred kills whoever runs it."""
    broker = connect(url, config=False)

    @broker.task(queue=QUEUE)
    def run(number: int) -> None:
        """Only its name is needed here."""

    for number in range(1, amount + 1):
        run.put(number)
    broker.close()


def left(url: str) -> tuple[list[str], dict[str, int]]:
    """Bodies of the dead, and how many jobs stand where."""
    broker = connect(url, config=False)
    queue = broker.queue(QUEUE)
    dead = [entry.job.body.decode() for entry in queue.browse(state=State.DEAD, limit=None)]
    counts = queue.counts()
    broker.close()
    return dead, {"ready": counts.ready, "delayed": counts.delayed, "running": counts.running, "dead": counts.dead}


def sweep(amount: int) -> tuple[int, list[str]]:
    """So many jobs; how many workers died, and what was violated."""
    with TemporaryDirectory(prefix="ropeway-poison-") as name:
        folder = Path(name)
        url, record = f"dir:{folder}/store?durability=os", folder / "ran"
        in_child(lambda: fill(url, amount))
        deaths, wrong = _hire_until_done(url, record)
        dead, counts = in_child(lambda: left(url))
        ran = Counter(int(line) for line in record.read_text().split()) if record.exists() else Counter()
    killers = amount // EACH
    harmless = [n for n in range(1, amount + 1) if n % EACH]
    missing = [n for n in harmless if not ran[n]]
    wrong += [f"job {n} harms nobody and was never run" for n in missing[:5]]
    if len(dead) != killers or counts["dead"] != killers:
        wrong.append(f"{killers} jobs kill their worker, {counts['dead']} were buried: {dead[:3]}")
    if counts["ready"] + counts["delayed"] + counts["running"]:
        wrong.append(f"not all was worked off: {counts}")
    innocent = [body for body in dead if not any(int(word) % EACH == 0 for word in re.findall(r"\d+", body))]
    wrong += [f"buried, and harms nobody: {body}" for body in innocent]
    if deaths > 3 * killers:  # fewer: two killers met in one worker
        wrong.append(f"{killers} killers had {deaths} deaths among them, more than three each")
    return deaths, wrong


def _hire_until_done(url: str, record: Path) -> tuple[int, list[str]]:
    deaths, crew = 0, [Child(lambda: work(url, str(record))) for _ in range(CREW)]
    last, size, wrong = SYSTEM.boot(), -1, []
    try:
        while crew:
            time.sleep(0.005)
            for child in list(crew):
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if not pid:
                    continue
                crew.remove(child)
                child.code = os.waitstatus_to_exitcode(status)
                if child.code == -signal.SIGKILL:
                    deaths += 1
                    crew.append(Child(lambda: work(url, str(record))))
                elif child.code:
                    wrong.append(f"a worker ended with {child.code}")
                else:
                    child.result()
                child.end()
                last = SYSTEM.boot()
            now = record.stat().st_size if record.exists() else 0
            last, size = (SYSTEM.boot(), now) if now != size else (last, size)
            if SYSTEM.boot() - last > PATIENCE:
                return deaths, [*wrong, f"nothing went on for {PATIENCE:.0f} s"]
    finally:
        for child in crew:
            child.end()
    return deaths, wrong


def run(amount: int) -> Outcome:
    """`amount` is how many jobs, of which each hundredth kills."""
    deaths, wrong = sweep(amount)
    return Outcome("poison", f"{amount} jobs, {amount // EACH} killers, {deaths} deaths", wrong)
