"""Wall clock jumps under running workers: nothing is handed out before its due by the store's clock, and no lease ends early.

The jumps, of a second to a day both ways, come from a shim that is compiled here and preloaded into the workers; the boot clock, by which
leases are judged, does not see them. Each worker notes the shift before and after its look at the clock: where they differ, nothing is
concluded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from ropeway.clock import SYSTEM
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.stores import open_store

from ..history import judge
from ..ledger import read
from . import audit
from .mounts import command
from .report import LeftOut, Outcome, need
from .told import Told

QUEUE = "line"
WORKERS = 3
JUMPS = (1, 5, 30, 61, 600, 3600, 86400)
PACE = 0.05  # seconds between two jumps
LEASE = 1.0
PATIENCE = 30.0  # seconds until a worker does something


def shift_now() -> int:
    return int(Path(os.environ["ROPEWAY_SHIFT"]).read_text() or 0)


def work(url: str, ledger: str, who: str, stop: str) -> None:
    """Put jobs, some delayed, claim, dawdle, settle; until the file `stop` is there. Says what it was given too early."""
    if bug := os.environ.get("ROPEWAY_BUG", ""):
        from .planted import plant

        plant(bug)
    told, dice = Told(open_store(url), Path(ledger), who), Random(who)
    new_id = IdMaker(time.time_ns, os.urandom)
    while not Path(stop).exists():
        told.put([Job(new_id(), QUEUE, os.urandom(20), delay=dice.choice((0.0, 0.2, 2.0, 40.0))) for _ in range(3)])
        before = shift_now()
        lent = told.claim(QUEUE, 4, LEASE)
        now = time.time()
        if before == shift_now():
            for one in lent:
                if one.attempt == 1 and one.job.due > now:  # a nack gives it another due, which its record does not know
                    print(f"{one.job.id} was due at {one.job.due:.3f} and handed out at {now:.3f}", flush=True)
        if dice.random() < 0.1:
            told.extend(lent, LEASE)
        if dice.random() < 0.2:
            time.sleep(dice.uniform(0, 0.1))
        told.ack(lent[1:])
        told.nack(lent[:1], delay=dice.choice((0.0, 1.0))) if dice.random() < 0.3 else told.ack(lent[:1])
    if told.errors:
        print(f"an error: {told.errors[0]}", flush=True)


def compile_shim(folder: Path) -> Path:
    """The shim, as a shared object in this folder."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise LeftOut("needs a C compiler (cc), for the shim that shifts the clock")
    shim = folder / "shim.so"
    command(compiler, "-O1", "-shared", "-fPIC", "-o", str(shim), str(Path(__file__).with_name("shim.c")), "-ldl")
    return shim


def sweep(amount: int, bug: str = "") -> tuple[int, list[str]]:
    """So many jumps; jobs handed out, and what was violated."""
    with TemporaryDirectory(prefix="ropeway-clocks-") as name:
        folder = Path(name)
        shift, stop, ledger, url = folder / "shift", folder / "stop", folder / "ledger", f"dir:{folder}/store?durability=os"
        ledger.mkdir()
        shift.write_text("0")
        env = {**os.environ, "LD_PRELOAD": str(compile_shim(folder)), "ROPEWAY_SHIFT": str(shift), "ROPEWAY_BUG": bug}
        words = [sys.executable, "-m", "ropeway.testing.proof.clocks", url, str(ledger)]
        crew = [
            subprocess.Popen([*words, f"worker-{n}", str(stop)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for n in range(WORKERS)
        ]
        try:
            _jump(shift, amount, ledger)
            stop.touch()
            said = [process.communicate(timeout=60)[0] for process in crew]
        finally:
            for process in crew:
                process.kill()
                process.wait()
        wrong = [line for text in said for line in text.splitlines()]
        for number in range(WORKERS):
            audit.tell_kill(ledger, f"worker-{number}")
        lines = read(ledger)
        wrong += [f"{one.kind}: {one.job_id} {one.text}" for one in judge(lines, _left(url)).violations]
        return sum(len(line.ids) for line in lines if line.what == "claim"), wrong


def _jump(shift: Path, amount: int, ledger: Path) -> None:
    """The jumps, each when every worker has done something since the one before: the first when all of them have begun."""
    dice = Random(amount)
    fresh = shift.with_suffix(".new")
    written = [0] * WORKERS
    for _ in range(amount):
        time.sleep(PACE)
        end = SYSTEM.boot() + PATIENCE
        while any(now <= before for now, before in zip(_sizes(ledger), written, strict=True)):
            if SYSTEM.boot() > end:
                return  # what hangs or has ended is found by what it said, and by how little was handed out
            time.sleep(PACE)
        written = _sizes(ledger)
        fresh.write_text(str(dice.choice((0, 0, 1, -1)) * dice.choice(JUMPS)))
        fresh.rename(shift)


def _sizes(ledger: Path) -> list[int]:
    files = [ledger / f"worker-{number}.jsonl" for number in range(WORKERS)]
    return [file.stat().st_size if file.exists() else 0 for file in files]


def _left(url: str) -> dict[str, str]:
    """What is still in the store: a job delayed in a shifted future is not waited for."""
    from ropeway.store import Query

    store = open_store(url)
    try:
        return {entry.job.id: str(entry.state) for entry in store.browse(Query(limit=None))}
    finally:
        store.close()


def run(amount: int) -> Outcome:
    """`amount` is how many jumps, twenty a second at most."""
    need("cc")
    handed, wrong = sweep(amount)
    if not wrong and handed < amount // 2:
        wrong.append(f"only {handed} jobs were handed out under {amount} jumps: too few to prove anything")
    return Outcome("clocks", f"{amount} jumps under {handed} claims", wrong)


if __name__ == "__main__":
    work(*sys.argv[1:])
