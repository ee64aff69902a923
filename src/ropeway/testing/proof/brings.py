"""A carry that is killed before each of its system calls, and run again: every job is there once, as it stood elsewhere, and nothing else.

It runs as a child, `python -m ropeway.testing.proof.brings URL MARK`, under strace; MARK is made when bring has answered. The jobs are the
same in each run, whoever makes them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ropeway.job import Attempt, Job, State
from ropeway.store import Ack, Entry, Holder, Query
from ropeway.stores import open_store

from . import audit, steps
from .report import Outcome, need
from .trace import Call, await_tracer, inject, python, record

QUEUE = "line"
LATER = 4e9  # seconds since 1970: far ahead, whenever this runs
_FAILED = [Attempt(number, 1e9 + number, 1e9 + number + 0.5, "w", "failed", f"E: {number}", "") for number in (1, 2)]


def entries() -> list[Entry]:
    """One of each kind of part that a carry writes."""

    def one(number: int, state: State, due: float = 1.5e9, **fields: object) -> Entry:
        past = {name: fields.pop(name) for name in ("attempts", "deaths", "history", "result") if name in fields}
        body = b"b" * 70_000 if fields.pop("big", False) else b"%d" % number
        job = Job(f"{number:032x}", QUEUE, body, created=1e9, **fields)  # type: ignore[arg-type]
        return Entry(job, state, due, **past)  # type: ignore[arg-type]

    return [
        *(one(number, State.READY) for number in range(1, 4)),
        *(one(number, State.READY, attempts=2, history=_FAILED) for number in range(4, 6)),
        one(6, State.DELAYED, LATER, attempts=1, deaths=1),
        one(7, State.READY, key="k7"),
        one(8, State.READY, once=True, big=True, attempts=1, history=_FAILED[:1]),
        one(9, State.DEAD, key="k9", once=True, attempts=2, deaths=2, history=_FAILED),
        one(10, State.DEAD, big=True),
        one(11, State.DONE, LATER, key="k11", once=True, attempts=1, result=b"42"),
    ]


def seen(entry: Entry) -> tuple[object, ...]:
    """What must be the same."""
    job = entry.job
    body = job.source.read() if job.source is not None else job.body
    return job.id, entry.state, entry.due, body, entry.attempts, entry.deaths, entry.history, entry.result, job.key, job.once


def main(url: str, mark: str) -> None:
    """Bring them all, and say when that was answered."""
    store = open_store(url)
    import ropeway.stores.directory.bringing  # noqa: F401 - loaded before anything is counted

    await_tracer()
    assert store.bring(entries()) == [True] * len(entries())
    Path(mark).touch()


def verdict(ground: steps.Ground) -> list[str]:
    """What is wrong after a carry that ended anywhere, and one more that ended well."""
    wrong = []
    wanted = sorted(map(seen, entries()))
    store = open_store(ground.url("durability=os"))
    if (ground.root / "mark").exists() and sorted(map(seen, store.browse(Query(limit=None)))) != wanted:
        wrong.append("bring had answered, but not everything is there")
    if store.bring(entries()) != [True] * len(wanted):
        wrong.append("run again it is refused")
    if sorted(map(seen, store.browse(Query(limit=None)))) != wanted:
        wrong.append(f"run again it leaves {[entry.job.id[-2:] for entry in store.browse(Query(limit=None))]}")
    store.requeue(Query(states=frozenset({State.DEAD, State.DELAYED}), limit=None))
    audit.unmark(ground.store)
    while lent := store.claim([QUEUE], 3, 60.0, Holder("reader")):
        store.ack([Ack(one.receipt) for one in lent])
    store.delete(Query(limit=None))
    if any(store.put([Job(f"{number:032x}", QUEUE, key=key)]) != [True] for number, key in ((21, "k7"), (22, "k9"), (23, "k11"))):
        wrong.append("a key is still held")
    store.delete(Query(limit=None))
    store.close()
    return wrong + [f"left over: {name}" for name in audit.leftovers(ground.store, audit.Rest())]


def one_kill(above: Path, number: int, point: Call) -> list[str]:
    """Killed at this point, and what is wrong then."""
    ground = steps.Ground(above, f"kill-{number}")
    try:
        ended = inject(_command(ground), ground.log, point.name, "signal=KILL", str(point.number))
        where = f"killed before {point.name} {point.number} ({point.text[:90]})"
        if ended.code not in (-9, 0):
            return [f"{where}: ended with {ended.code}: {ended.said[-300:]}"]
        return [f"{where}: {text}" for text in verdict(ground)]
    finally:
        ground.clear()


def _command(ground: steps.Ground) -> list[str]:
    return python("brings", ground.url(), ground.root / "mark")


def run(amount: int) -> Outcome:
    """`amount` is how many points are taken, 0 for all."""
    need("strace")
    with tempfile.TemporaryDirectory(prefix="ropeway-brings-") as folder:
        above = Path(folder)
        ground = steps.Ground(above, "record")
        chosen = steps.spread([call for call in record(_command(ground), ground.log) if call.changes()], amount)
        wrong = [f"not killed at all: {text}" for text in verdict(ground)]
        ground.clear()
        wrong += steps.in_parallel([lambda n=n, p=p: one_kill(above, n, p) for n, p in enumerate(chosen)])  # type: ignore[misc]
    return Outcome("brings", f"{len(chosen)} kills of a carry that is run again", wrong)


if __name__ == "__main__":
    main(*sys.argv[1:])
