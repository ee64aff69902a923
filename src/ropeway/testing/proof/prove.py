"""The proof is proven: each planted bug must be found by the part that is for it, and the same run without it must be silent."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Holder
from ropeway.stores import open_store

from . import clocks, cuts, damage, errnos, replies, shared, steps, stops, syncs
from .forks import in_child
from .planted import BUGS, plant
from .report import LeftOut, Outcome, say
from .trace import inject, record

QUEUE = "line"
GO = 6  # points that are tried at once


def find(bug: str, part: str) -> list[str]:
    """What the part finds with this bug planted; it stops at the first findings where it can."""
    with tempfile.TemporaryDirectory(prefix="ropeway-planted-") as folder:
        return FINDERS[part](Path(folder), bug)


def _steps(above: Path, bug: str) -> list[str]:
    ground = steps.Ground(above, "record")
    calls = [
        c
        for c in steps.points(record(steps.scenario(ground, bug), ground.log))
        if c.name in ("renameat", "linkat", "unlinkat", "write", "writev")
    ]
    wrong = steps.verdict(ground)
    ground.clear()
    for start in range(0, len(calls), GO):
        if wrong:
            return wrong
        some = [*enumerate(calls)][start : start + GO]
        wrong = steps.in_parallel([lambda n=n, p=p: steps.one_kill(above, n, p, bug) for n, p in some])  # type: ignore[misc]
    return wrong


def _rescue(above: Path, bug: str) -> list[str]:
    """The walker is killed as it is, and the bug is in whoever clears up behind it."""
    ground = steps.Ground(above, "record")
    calls = [c for c in steps.points(record(steps.scenario(ground), ground.log)) if c.name in ("renameat", "unlinkat")]
    ground.clear()
    for number, point in enumerate(calls):
        wreck = steps.Ground(above, f"wreck-{number}")
        inject(steps.scenario(wreck), wreck.log, point.name, "signal=KILL", str(point.number))
        wrong = in_child(lambda w=wreck: _cleared(w, bug))  # type: ignore[misc]
        wreck.clear()
        if wrong:
            return list(wrong)
    return []


def _cleared(wreck: steps.Ground, bug: str) -> list[str]:
    if bug:
        plant(bug)
    return steps.verdict(wreck)


def _errnos(above: Path, bug: str) -> list[str]:
    call, error = {"sync-again": ("fsync", "EIO"), "swallow-full-disk": ("write", "ENOSPC")}.get(bug, ("fsync", "EIO"))
    return errnos.sweep(above, 12, bug, (error,), (call,))[1]


def _replies(above: Path, bug: str) -> list[str]:
    made, wrong = replies.one_lie(above, bug=bug)
    kind = "link" if bug.startswith("exists") else "rename"
    chosen = [lie for lie in replies.lies(made) if lie[0] == kind]
    for lie in (*chosen[::5], *chosen):  # far apart first: it is found sooner
        if wrong:
            break
        wrong = replies.one_lie(above, lie, bug=bug)[1]
    return wrong


def _stops(bug: str) -> list[str]:
    """Workers and heirs alike have the bug: they are forked from here."""
    if bug:
        plant(bug)
    return stops.sweep(8)


def _order(above: Path, bug: str) -> list[str]:
    """Jobs come out as they were put, and of two processes one gets a key."""
    new_id = IdMaker(time.time_ns, os.urandom)
    url = f"dir:{above}/store?durability=os"

    def in_order() -> list[str]:
        if bug:
            plant(bug)
        store = open_store(url)
        ids = [new_id() for _ in range(100)]
        for job_id in ids:
            store.put([Job(job_id, QUEUE)])
        got = [one.job.id for _ in range(20) for one in store.claim([QUEUE], 7, 60.0, Holder("reader"))]
        return [] if got == ids else ["the jobs came out in another order than they were put in"]

    def keyed() -> bool:
        if bug:
            plant(bug)
        return open_store(url).put([Job(new_id(), QUEUE, key="one")])[0]

    wrong: list[str] = in_child(in_order)
    if [in_child(keyed), in_child(keyed)] != [True, False]:
        wrong.append("two processes were given the same key")
    return wrong


FINDERS: dict[str, Callable[[Path, str], list[str]]] = {
    "steps": _steps,
    "rescue": _rescue,
    "errnos": _errnos,
    "syncs": lambda above, bug: syncs.sweep(above, bug)[1],
    "cuts": lambda above, bug: cuts.sweep(3, bug)[2],
    "stops": lambda above, bug: list(in_child(lambda: _stops(bug))),
    "clocks": lambda above, bug: clocks.sweep(60, bug)[1],
    "replies": _replies,
    "shared": lambda above, bug: shared.one_pass(above, (), 4, bug)[1],
    "damage": lambda above, bug: damage.run(12, bug).violations,
    "order": _order,
}


def run(amount: int) -> Outcome:
    """`amount` is how many of the bugs are planted, 0 for all."""
    wrong, missing = [], []
    chosen = [*BUGS.items()][: amount or None]
    for bug, (_, part) in chosen:
        try:
            found = find(bug, part)
        except LeftOut as why:
            missing.append(f"{bug}: {why}")
            continue
        say(f"  planted {bug}: {part} {'found it' if found else 'DID NOT FIND IT'}{': ' + found[0][:110] if found else ''}")
        if not found:
            wrong.append(f"{bug} was planted and {part} did not find it")
    if missing and len(missing) == len(chosen):
        raise LeftOut(missing[0])
    left = f", {len(missing)} left out ({missing[0]})" if missing else ""
    return Outcome("planted", f"{len(chosen) - len(wrong) - len(missing)} of {len(chosen)} planted bugs found{left}", wrong)
