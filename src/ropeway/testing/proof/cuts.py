"""Power cuts: a journaled ext4 stops in the middle of two producers and a consumer, is mounted again, and what was answered must be there.

A put that was answered is of class K: never lost, never torn. Acks and nacks are of class P: a cut may undo the last of them, so a job
that comes again after its ack is counted here, and no violation. The same for a folder and for a SQLite file, which its own
integrity_check must find whole.
"""

from __future__ import annotations

import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from ropeway.clock import SYSTEM
from ropeway.errors import RopewayError
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Durability, Store
from ropeway.stores import (
    directory,  # noqa: F401  (so that no child has to load it)
    open_store,
)

from ..history import judge
from ..ledger import Line, read
from . import audit
from .forks import children, in_child
from .mounts import Ext4, ext4
from .report import Outcome, need
from .told import Told

QUEUE = "line"
BUSY = 6000  # bytes of a ledger: some twenty puts
LONGEST = 0.3  # seconds of work before the cut
KINDS = {"dir": "dir:{}?durability=full", "sqlite": "sqlite:{}/jobs.db?durability=full"}
UNDONE = {"again after ack", "acked twice", "attempt twice", "stale write", "held twice"}


def produce(url: str, ledger: Path, who: str, bug: str) -> None:
    """Put until the store fails, singly and in batches."""
    told, dice = _told(url, ledger, who, bug), Random(who)
    new_id = IdMaker(time.time_ns, os.urandom)
    while not told.errors:
        size = dice.choice((1, 1, 1, 2, 9))
        told.put([Job(new_id(), QUEUE, dice.randbytes(dice.randint(0, 300))) for _ in range(size)])


def consume(url: str, ledger: Path, who: str, bug: str) -> None:
    """Claim shares of parts, ack some, give some back, until the store fails."""
    told, dice = _told(url, ledger, who, bug), Random(who)
    while not told.errors:
        lent = told.claim(QUEUE, dice.choice((1, 2, 5)), 60.0)
        dice.shuffle(lent)
        told.nack(lent[:1]) if dice.random() < 0.4 else told.ack(lent[:1])
        if lent[1:] and dice.random() < 0.8:
            told.ack(lent[1:])
        if not lent:
            time.sleep(0.001)


def _told(url: str, ledger: Path, who: str, bug: str) -> Told:
    if bug:
        from .planted import plant

        plant(bug)
    return Told(open_store(url), ledger, who)


def _make(url: str) -> str:
    store = open_store(url)
    try:
        store.queues()  # it is made with the first call
        return str(store.durability())
    finally:
        store.close()


def one_cut(disk: Ext4, ledger: Path, number: int, bug: str = "", kind: str = "dir") -> tuple[int, int, list[str]]:
    """Work, cut, mount again, drain; (puts answered, endings undone, violations)."""
    root = disk.point / f"store-{number}"
    url = KINDS[kind].format(root)
    have = in_child(lambda: _make(url))
    if have != Durability.KERNEL:
        return 0, 0, [f"a journaled ext4 gives class {have}"]
    workers = [("producer-a", produce), ("producer-b", produce), ("consumer", consume)]
    with children(*(lambda w=who, r=run: r(url, ledger, w, bug) for who, run in workers)) as crew:
        _until_working(ledger, [who for who, _ in workers], BUSY if number % 4 else 1)
        time.sleep(LONGEST * Random(number).random())
        moment = SYSTEM.boot()
        disk.cut()
        for child in crew:
            child.end()
    for who, _ in workers:
        audit.tell_kill(ledger, who)
    disk.unmount()
    disk.mount()
    rest = in_child(lambda: _drained(open_store(url), ledger, root))
    if kind == "sqlite":
        rest += in_child(lambda: _damage(root / "jobs.db"))
    shutil.rmtree(root)
    verdict = judge([_at_the_end(line, moment) for line in read(ledger)], {})
    wrong = [f"{one.kind}: {one.job_id} {one.text}" for one in verdict.violations if one.kind not in UNDONE]
    undone = sum(one.kind == "again after ack" for one in verdict.violations)
    torn = [text for text in rest if "set aside" in text]
    wrong += [text for text in rest if text not in torn and "own ack" not in text]
    return verdict.figures.get("put.ok", 0), undone, [f"{kind}, cut {number}: {text}" for text in wrong]


def _at_the_end(line: Line, moment: float) -> Line:
    """A put that was answered after the cut had begun proves nothing: the call that cuts takes some milliseconds, and a sync that comes
    back in its midst may say that all is well (measured: 2 to 15 ms after, of a log that is written in place). No power, no answer."""
    if line.what != "put.ok" or line.at < moment:
        return line
    return replace(line, what="put.unknown")


def _until_working(ledger: Path, people: list[str], size: int) -> None:
    """Until each of them has written so much, or an idle consumer had five seconds to begin, and the others thirty."""
    begun = SYSTEM.boot()
    while waited_for := [who for who in people if _size(ledger / f"{who}.jsonl") < (1 if who == "consumer" else size)]:
        if SYSTEM.boot() > begun + (5 if waited_for == ["consumer"] else 30):
            return
        time.sleep(0.002)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _drained(store: Store, ledger: Path, root: Path) -> list[str]:
    try:
        return audit.drain(store, ledger, root).wrong
    except RopewayError as error:
        return [f"the store cannot be read after the cut: {error}"]


def _damage(path: Path) -> list[str]:
    import apsw

    if not path.exists():
        return []  # cut before the first put: what was answered, the ledger knows
    return [f"integrity_check: {text}" for (text,) in apsw.Connection(str(path)).execute("pragma integrity_check") if text != "ok"]


def sweep(amount: int, bug: str = "", kind: str = "dir") -> tuple[int, int, list[str]]:
    """So many cuts; (answered puts, endings undone, violations)."""
    puts = undone = 0
    wrong: list[str] = []
    end = SYSTEM.boot() + amount * 60
    with ext4(64) as disk, TemporaryDirectory(prefix="ropeway-cuts-") as folder:
        for number in range(amount):
            ledger = Path(folder) / str(number)
            ledger.mkdir()
            one = one_cut(disk, ledger, number, bug, kind)
            puts, undone = puts + one[0], undone + one[1]
            wrong += one[2]
            shutil.rmtree(ledger)
            if SYSTEM.boot() > end:
                wrong.append("the cuts took a minute each")
                break
    return puts, undone, wrong


def run(amount: int) -> Outcome:
    """`amount` is how many cuts on each engine, about half a second each."""
    need("mkfs.ext4", "mount", "umount", "losetup", root=True)
    done, wrong = [], []
    for kind in KINDS:
        if kind == "sqlite":
            if find_spec("apsw") is None:
                done.append("sqlite left out: it needs apsw (pip)")
                continue
            from ropeway.stores.sql import sqlite  # noqa: F401  (so that no child has to load it)
        puts, undone, found = sweep(amount, kind=kind)
        if not found and puts < amount * 20:
            found = [f"{kind}: only {puts} puts were answered in {amount} cuts: too few to prove anything"]
        done.append(f"{kind}: {amount} power cuts, {puts:,} answered puts ({undone} acks undone)")
        wrong += found
    return Outcome("cuts", "; ".join(done), wrong)
