"""The comparison: what was answered, by the ledger, against what came out of the store in the end.

`history.judge` has the rules that hold for any run. Here is what a drained store shows beyond them: the operator's verbs, what lies dead or
done, attempts that were not counted, damage, and files that nobody needs any more.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from ropeway.clock import SYSTEM
from ropeway.ids import IdMaker
from ropeway.job import Job, State
from ropeway.store import Query, Store

from ..history import judge
from ..ledger import Ledger, Line, read
from .told import Told

new_id = IdMaker(time.time_ns, os.urandom)
PATIENCE = 10.0  # seconds: a queue that is not drained by then hangs


class Rest:
    """What a store held at the end, by state; and what went wrong while it was drained."""

    def __init__(self) -> None:
        self.lying: list[tuple[str, str]] = []  # (id, dead or done)
        self.wrong: list[str] = []


def unmark(root: Path) -> None:
    """Take away the marks that say "the holders were looked over a moment ago", so that the next claim looks at once."""
    for mark in root.glob("*/run/.swept.*"):
        mark.unlink(missing_ok=True)


def tell_kill(ledger: Path, victim: str) -> None:
    """Write down that a process is dead by now: it holds nothing any more."""
    pen = Ledger(ledger, "nemesis")
    pen.write("kill", victim=victim)
    pen.close()


def drain(store: Store, ledger: Path, root: Path, who: str = "drain") -> Rest:
    """Rescue, claim and ack until nothing is left but dead and done jobs. Closes the store."""
    rest, told = Rest(), Told(store, ledger, who)
    end = SYSTEM.boot() + PATIENCE
    unmark(root)
    for queue in store.queues():
        while True:
            lent = told.claim(queue, 100, 60.0)
            if lent:
                refused = [one.job.id for one, done in zip(lent, told.ack(lent), strict=True) if not done]
                rest.wrong += [f"the drain's own ack of {job_id} was refused" for job_id in refused]
                continue
            counts = store.counts([queue])[queue]
            if not counts.ready + counts.delayed + counts.running:
                break
            if SYSTEM.boot() > end:
                rest.wrong.append(f"queue {queue} cannot be drained: {counts}")
                break
            store.wait([queue], 1.0)
        for state in (State.DEAD, State.DONE):
            rest.lying += [(e.job.id, state.value) for e in store.browse(Query(queues=(queue,), states=frozenset({state}), limit=None))]
    told.put([Job(new_id(), "another", b"a new queue is made, and with it what half-made ones left is cleared away")])
    told.ack(told.claim("another", 1, 60.0))
    rest.wrong += [f"while draining: {text}" for text in told.errors]
    bad = sorted(path.relative_to(root).as_posix() for path in root.glob("*/bad/*"))
    rest.wrong += [f"set aside as damaged: {name}" for name in bad]
    told.close()
    return rest


def compare(ledger: Path, rest: Rest) -> list[str]:
    """All that was violated, as sentences."""
    lines = read(ledger)
    return [*rest.wrong, *_judged(lines, rest), *_more(lines, rest)]


def _ids(lines: Sequence[Line], *whats: str) -> set[str]:
    return {job_id for line in lines if line.what in whats for job_id in line.ids}


def _judged(lines: Sequence[Line], rest: Rest) -> Iterator[str]:
    """By the common rules, which know no operator: what was deleted is not lost, what was requeued counts from one again."""
    deleted = _ids(lines, "delete.call")
    recounted = _ids(lines, "requeue.call", "restore.call", "delete.call")
    for one in judge(lines, dict(rest.lying)).violations:
        if not (one.kind == "lost" and one.job_id in deleted) and not (one.kind == "attempt twice" and one.job_id in recounted):
            yield f"{one.kind}: {one.job_id} {one.text}"


def _more(lines: Sequence[Line], rest: Rest) -> Iterator[str]:
    for (job_id, state), times in Counter(rest.lying).items():
        if times > 1:
            yield f"double: {job_id} is {state} {times} times"
    states = dict(rest.lying)
    again = _ids(lines, "requeue.call", "delete.call")
    for what, state in (("bury.ok", "dead"), ("keep.ok", "done")):
        for job_id in _ids(lines, what) - again:
            if states.get(job_id) != state:
                yield f"{what} was answered, but {job_id} is not {state}"
    gone = _ids(lines, "delete.ok")
    for job_id in gone & (states.keys() | _drained_after_delete(lines)):
        yield f"again after delete: {job_id} is still there"
    grants: dict[str, int] = defaultdict(int)
    recounted = _ids(lines, "requeue.call", "restore.call")
    for line in lines:
        if line.what == "claim":
            for job_id, attempt in zip(line.ids, line.attempts, strict=True):
                grants[job_id] += 1
                if attempt < grants[job_id] and job_id not in recounted:
                    yield f"attempts: {job_id} was handed out {grants[job_id]} times and says attempt {attempt}"


def _drained_after_delete(lines: Sequence[Line]) -> set[str]:
    deleted: set[str] = set()
    out: set[str] = set()
    for line in lines:
        if line.what == "delete.ok":
            deleted |= set(line.ids)
        elif line.what == "claim":
            out |= deleted & set(line.ids)
    return out


def leftovers(root: Path, rest: Rest) -> list[str]:
    """Files that a drained store has no more use for: all but its format, its notes, dead and done jobs and what is kept beside those,
    and the marks of the rescue."""
    out = []
    kept = {job_id for job_id, _ in rest.lying}
    for folder, folders, names in os.walk(root):
        where = Path(folder).relative_to(root).parts
        side = where[1] if len(where) > 1 else ""
        if where[:1] == ("+notes",) or side in ("dead", "done"):
            continue
        if side == "run":
            out += [f"{'/'.join(where)}/{name}" for name in (*folders, *(n for n in names if not n.startswith(".swept.")))]
            folders.clear()
            continue
        if side in ("beside", "big"):
            names = [name for name in names if name.partition(".")[0] not in kept]
        unfinished = [name for name in folders if name.startswith(".new.")]
        out += ["/".join((*where, name)) for name in (*names, *unfinished) if (*where, name) != ("format",)]
    return sorted(out)
