"""Real processes that put and work on one store, and write down what they do: what the race and the kill tests are made of.

They are forked from a parent that has not opened the store, so a thousand of them cost seconds. A worker claims, holds, extends, acks and
gives back by the dice of its own seed; a producer puts its share, singly and in batches.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

from msgspec import Struct

from ..clock import SYSTEM
from ..errors import StoreError
from ..ids import IdMaker
from ..job import Job
from ..store import Ack, Handback, Holder, Lent, Limits, Store
from ..stores import open_store
from .ledger import Ledger

DONE = "done"  # the file that tells workers to go home


class Crew(Struct):
    """What a run is about. `rough` workers give back, extend and dawdle; others ack at once."""

    url: str
    folder: Path  # for the ledger and the sign that all is done
    queues: tuple[str, ...] = ("a", "b")
    lease: float = 2.0
    rough: bool = True
    seed: int = 1
    lanes: int = 0  # of each producer, all of whose jobs go into them: to one queue, due at once, none urgent


def fork(crew: Crew, who: str, run: Callable[[Crew, str], None]) -> int:
    """Begin `run` in a process of its own; its pid. The child never comes back: it ends with 0, or with 1 and a traceback."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        die_with(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and kills
        run(crew, who)
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may come back from here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def die_with(parent: int) -> None:
    """Whoever kills the parent ends its crew too, the stopped ones among them: no run leaves processes behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)  # it died before that


def limiter(running: int) -> Callable[[Crew, str], None]:
    """A process that sets how many of each queue may run at once."""

    def run(crew: Crew, who: str) -> None:
        store = open_store(crew.url)
        store.limit(crew.queues, Limits(running=running))
        store.close()

    return run


def digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=6).hexdigest()


# -- producing


def producer(jobs: int) -> Callable[[Crew, str], None]:
    """A process that puts that many jobs, one by one and in small batches."""

    def run(crew: Crew, who: str) -> None:
        dice, ledger, store = Random(f"{crew.seed} {who}"), Ledger(crew.folder, who), open_store(crew.url)
        new_id = IdMaker(time.time_ns, os.urandom)
        left = jobs
        while left:
            size = min(left, dice.choice((1, 1, 1, 2, 5, 20)))
            _put(store, ledger, [_job(crew, dice, new_id) if not crew.lanes else _in_lane(crew, who, dice, new_id) for _ in range(size)])
            left -= size
        store.close()

    return run


def _job(crew: Crew, dice: Random, new_id: IdMaker) -> Job:
    delay = dice.uniform(0, 0.3) if crew.rough and dice.random() < 0.05 else 0.0
    priority = dice.choice((10, 50, 50, 50))
    return Job(new_id(), dice.choice(crew.queues), dice.randbytes(dice.randint(0, 300)), delay=delay, priority=priority)


def _in_lane(crew: Crew, who: str, dice: Random, new_id: IdMaker) -> Job:
    number = dice.randrange(crew.lanes)
    return Job(new_id(), crew.queues[number % len(crew.queues)], dice.randbytes(dice.randint(0, 300)), lane=f"{who}.{number}")


def _put(store: Store, ledger: Ledger, jobs: list[Job]) -> None:
    ids = [job.id for job in jobs]
    lanes = [job.lane for job in jobs] if any(job.lane for job in jobs) else []
    ledger.write("put.call", ids=ids, digests=[digest(job.body) for job in jobs], lanes=lanes)
    try:
        answers = store.put(jobs)
    except StoreError as error:
        ledger.write("put.refused" if error.definite else "put.unknown", ids=ids)
        raise
    for what, answer in (("put.ok", True), ("put.refused", False)):
        chosen = [job_id for job_id, stored in zip(ids, answers, strict=True) if stored is answer]
        if chosen:
            ledger.write(what, ids=chosen)


# -- working


def worker(crew: Crew, who: str) -> None:
    """A process that claims and settles until it is told that all is done."""
    dice, ledger, store = Random(f"{crew.seed} {who}"), Ledger(crew.folder, who), open_store(crew.url)
    holder, sign = Holder(f"host:{os.getpid()}:{who}"), crew.folder / DONE
    while True:
        lent = _claim(store, ledger, crew, holder, dice)
        if lent:
            _work(store, ledger, crew, lent, dice)
        elif sign.exists():
            break
        else:
            store.wait(crew.queues, 0.5)
    store.close()


def _claim(store: Store, ledger: Ledger, crew: Crew, holder: Holder, dice: Random) -> list[Lent]:
    called = SYSTEM.boot()
    lent = store.claim(dice.sample(crew.queues, len(crew.queues)), dice.choice((1, 1, 4, 16)), crew.lease, holder)
    if lent:
        ledger.write(
            "claim",
            ids=[one.job.id for one in lent],
            receipts=[one.receipt for one in lent],
            attempts=[one.attempt for one in lent],
            untils=[one.until for one in lent],
            digests=[digest(one.job.body) for one in lent],
            called=called,
        )
    return lent


def _work(store: Store, ledger: Ledger, crew: Crew, lent: list[Lent], dice: Random) -> None:
    """Settle them in a few groups, in any order."""
    if crew.rough:
        dice.shuffle(lent)
    while lent:
        if crew.rough and dice.random() < 0.5:
            time.sleep(dice.uniform(0, 0.03))  # the work: long enough to be killed or stopped in
        if crew.rough and dice.random() < 0.05:
            _extend(store, ledger, crew, lent)
        size = dice.randint(1, len(lent))
        group, lent = lent[:size], lent[size:]
        verb = "ack" if not crew.rough else dice.choices(("ack", "nack"), (15, 1))[0]
        receipts = [one.receipt for one in group]
        ledger.write(f"{verb}.call", receipts=receipts)
        if verb == "ack":
            answers = store.ack([Ack(receipt) for receipt in receipts])
        else:
            answers = store.nack([Handback(receipt, delay=dice.choice((0.0, 0.0, 0.05))) for receipt in receipts])
        _write_answers(ledger, verb, receipts, answers)


def _extend(store: Store, ledger: Ledger, crew: Crew, lent: list[Lent]) -> None:
    receipts = [one.receipt for one in lent]
    called = ledger.write("extend.call", receipts=receipts)
    _write_answers(ledger, "extend", receipts, store.extend(receipts, crew.lease), called + crew.lease)


def _write_answers(ledger: Ledger, verb: str, receipts: list[str], answers: list[bool], until: float = 0.0) -> None:
    for what, answer in ((f"{verb}.ok", True), (f"{verb}.lost", False)):
        chosen = [receipt for receipt, given in zip(receipts, answers, strict=True) if given is answer]
        if chosen:
            ledger.write(what, receipts=chosen, untils=[until] * len(chosen) if until else [])
