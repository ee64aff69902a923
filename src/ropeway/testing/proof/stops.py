"""Workers stopped past their lease, then woken: what they answer late is refused, and nobody was handed a job before its lease was over.

Four lanes at once, each with a worker that stops itself right after a claim; the parent takes its jobs when the lease is over, wakes it,
and lets it try to ack, nack, bury and extend.
"""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from ropeway.clock import SYSTEM
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Lent
from ropeway.stores import directory, open_store  # noqa: F401  (so that no child has to load the engine)

from ..history import judge
from ..ledger import read
from .forks import Child, children
from .report import Outcome
from .told import Told

LANES = 4
LEASE = 0.25
PATIENCE = 15.0  # seconds
SHARE = 4  # jobs of each claim: one for each verb


def sleepy(url: str, ledger: Path, queue: str, times: int) -> list[str]:
    """Claim, stop, and when awake again try everything; what was answered with yes though the lease was over."""
    told = Told(open_store(url), ledger, f"sleepy-{queue}")
    wrong: list[str] = []
    for _ in range(times):
        lent: list[Lent] = []
        end = SYSTEM.boot() + PATIENCE
        while len(lent) < SHARE:
            lent = told.claim(queue, SHARE, LEASE)
            if SYSTEM.boot() > end:
                return [*wrong, f"lane {queue}: no claim had all jobs of a put for {PATIENCE:.0f} s"]
        os.kill(os.getpid(), signal.SIGSTOP)
        answers = [*told.ack(lent[:1]), *told.nack(lent[1:2]), *told.bury(lent[2:3]), *told.extend(lent[3:4], LEASE)]
        wrong += [
            f"{verb} was answered {answer} after the lease was over"
            for verb, answer in zip(("ack", "nack", "bury", "extend"), answers, strict=True)
            if answer is not False
        ]
    return wrong


def lane(url: str, ledger: Path, queue: str, times: int, sleeper: Child) -> list[str]:
    """Feed the worker of this lane, wait for its stop, take over, wake it."""
    told = Told(open_store(url), ledger, f"heir-{queue}")
    wrong: list[str] = []
    new_id = IdMaker(time.time_ns, os.urandom)
    for number in range(times):
        told.put([Job(new_id(), queue, os.urandom(20)) for _ in range(SHARE)])
        pid, status, end = 0, 0, SYSTEM.boot() + PATIENCE + 5
        while not pid and SYSTEM.boot() < end:
            pid, status = os.waitpid(sleeper.pid, os.WUNTRACED | os.WNOHANG)
            time.sleep(0.002)
        if not pid:
            return [*wrong, f"the worker of lane {queue} hangs at stop {number}"]
        if not os.WIFSTOPPED(status):
            sleeper.code = os.waitstatus_to_exitcode(status)
            return [*wrong, f"the worker of lane {queue} ended with {sleeper.code} at stop {number}"]
        taken: list[Lent] = []
        end = SYSTEM.boot() + PATIENCE
        while len(taken) < SHARE:
            taken += told.claim(queue, SHARE, 60.0)
            if SYSTEM.boot() > end:
                wrong.append(f"lane {queue}: the jobs of a stopped worker were not given back in time")
                break
            told.store.wait([queue], 0.05)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.02)  # it tries now, while we hold them
        if told.ack(taken) != [True] * len(taken):
            wrong.append(f"lane {queue}: the new holder's ack was refused")
    told.close()
    return wrong


def sweep(amount: int) -> list[str]:
    with TemporaryDirectory(prefix="ropeway-stops-") as folder:
        ledger = Path(folder) / "ledger"
        ledger.mkdir()
        url = f"dir:{folder}/store?durability=os"
        times = -(-amount // LANES)
        queues = [f"lane{number}" for number in range(LANES)]
        with children(*(lambda q=q: sleepy(url, ledger, q, times) for q in queues)) as made:
            with ThreadPoolExecutor(LANES) as pool:
                running = [pool.submit(lane, url, ledger, q, times, child) for q, child in zip(queues, made, strict=True)]
                wrong = [text for one in running for text in one.result()]
            if not wrong:
                wrong = [text for child in made for text in child.result()]
        return wrong + [f"{one.kind}: {one.job_id} {one.text}" for one in judge(read(ledger)).violations]


def run(amount: int) -> Outcome:
    """`amount` is how many stops, a third of a second each, four at a time."""
    wrong = sweep(amount)
    return Outcome("stops", f"{amount} stops, {amount * SHARE} late answers", wrong)
