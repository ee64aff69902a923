"""Where engines may differ, all in one place; everything else must be equal to the model.

1. A job past its ttl is gone for whoever claims; when it is removed is the engine's business, and until then it may still be counted, and
   hold its key, its id and its lane.
2. An engine may lend a suspect (a job with deaths) alone, and end a claim before it (Engine.suspects_alone).
3. Jobs claimed together may share one lease: then renewing one may lengthen the others', never shorten it (Engine.shared_leases).
4. The model writes a line into the history when a lease ends without a word; an engine need not.
5. Times are kept in microseconds, leases to some milliseconds; who holds a job is told in the engine's own way.
6. A job of a batch that has ended and is put again, under its old due, may stand behind those of its batch that still wait: not played.
7. Order is exact for one worker: what another store object gives back, splits or takes out may be seen only when a listing that was made
   before is used up (Engine.lists_ahead). Until then a claim must hand out as many, and nothing but what is ready.
8. The order of running, dead and done jobs in a listing is the engine's own; that of waiting ones is (priority, due, id).
9. Of jobs that are due in the same microsecond, those of one batch may stand together (Engine.batches_together): what one call gives back
   of two batches comes by batch, not by id.
10. When a lane gets free, an engine may hand its place to one that was passed over before; another that is first in order and was not met
    yet comes after it (Engine.lanes_hand_over). One at a time it is all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...job import WAITING, State
from ...store import Counts, Entry, Lent
from .engine import Engine

MOMENT = 3e-6
LEASE = 0.02


def wanted(entry: Entry, now: float) -> bool:
    """1: whether the job is more than a leftover that waits to be removed."""
    return entry.state not in WAITING or entry.job.expires() > now


def turn(entry: Entry) -> tuple[int, int, str]:
    """Its place in the queue."""
    return entry.job.priority, round(entry.due * 1e6), entry.job.id


def expected(ready: Sequence[Entry], limit: int, engine: Engine) -> list[str]:
    """2: the ids that a claim must answer with, out of what is ready in order."""
    ids: list[str] = []
    for entry in ready:
        if len(ids) == limit or (engine.suspects_alone and entry.deaths and ids):
            break
        ids.append(entry.job.id)
        if engine.suspects_alone and entry.deaths:
            break
    return ids


def ordered(waiting: Sequence[Entry], engine: Engine) -> bool:
    """9: whether a listing of waiting jobs stands in their order."""
    turns = [turn(entry)[:2] if engine.batches_together else turn(entry) for entry in waiting]
    return turns == sorted(turns)


def as_good(ids: Sequence[str], first: Sequence[str], ready: Sequence[Entry], engine: Engine) -> bool:
    """9: whether a claim handed out others of the same microsecond."""
    turns = {entry.job.id: (entry.job.queue, *turn(entry)[:2]) for entry in ready}
    same = [turns.get(job_id) for job_id in ids] == [turns[job_id] for job_id in first]
    return engine.batches_together and len(ids) == len(set(ids)) and same


def enough(lent: Sequence[Lent], ready: Sequence[Entry], limit: int, engine: Engine, suspects: bool = False) -> bool:
    """7: whether a claim by a listing made before handed out what it must, in whatever order. `suspects`: that listing may hold one."""
    ids = [one.job.id for one in lent]
    fits = len(ids) == len(set(ids)) and set(ids) <= {entry.job.id for entry in ready}
    if engine.suspects_alone and (suspects or any(entry.deaths for entry in ready)):
        return fits and bool(ids) == bool(ready) and (len(ids) == 1 or not any(one.deaths for one in lent))
    return fits and len(ids) == min(limit, len(ready))


def body(entry: Entry | Lent) -> bytes:
    """The body, wherever the engine keeps it."""
    source = entry.job.source
    whole: bytes = source.read() if source is not None else entry.job.body
    return whole


def seen(entry: Entry) -> dict[str, Any]:
    """What must be equal in an entry of the model and of the engine."""
    job = entry.job
    history = [one for one in entry.history if one.outcome != "lost"]  # 4
    return {
        "queue": job.queue,
        "state": entry.state,
        "priority": job.priority,
        "key": job.key,
        "body": body(entry),
        "lane": job.lane,
        "task": job.task,
        "keep": job.keep,
        "ttl": job.ttl,
        "created": round(job.created * 1e3),
        "attempts": entry.attempts,
        "deaths": entry.deaths,
        "history": [one.error for one in history],
        "error": history[-1].error if history else "",
        "result": entry.result,
        "result_type": entry.result_type,
    }


def lent_alike(model: Lent, engine: Lent) -> None:
    """Two claims of the same job."""
    assert engine.job.id == model.job.id
    assert body(engine) == body(model)
    for field in ("queue", "priority", "key", "ttl", "keep", "once", "headers"):
        assert getattr(engine.job, field) == getattr(model.job, field), field
    assert abs(engine.job.due - model.job.due) < MOMENT, f"due {engine.job.due}, not {model.job.due}"
    counted = (engine.attempt, engine.deaths)
    assert counted == (model.attempt, model.deaths), f"attempt and deaths are {counted}, not {model.attempt, model.deaths}"
    assert model.until - 1.5 <= engine.until <= model.until + MOMENT


def entries_alike(model: Iterable[Entry], engine: Iterable[Entry], longest: dict[str, float]) -> dict[str, float]:
    """Two listings of the whole store. `longest`: for a running job, the wall-clock end of the longest lease that any of those claimed with
    it was given. Answers the ends of the leases that the engine has lengthened (3), by id."""
    listed = list(engine)
    theirs = {entry.job.id: entry for entry in listed}
    assert len(theirs) == len(listed), f"twice there: {sorted(entry.job.id for entry in listed)}"
    ours = {entry.job.id: entry for entry in model}
    if theirs.keys() != ours.keys():
        missing, more = (
            [f"{e.job.id} {e.state} {e.due}" for i, e in one.items() if i not in two] for one, two in ((ours, theirs), (theirs, ours))
        )
        raise AssertionError(f"only the model has {missing}, only the engine {more}")
    longer: dict[str, float] = {}
    for job_id, one in ours.items():
        other = theirs[job_id]
        theirs_seen, ours_seen = seen(other), seen(one)
        different = {field: (ours_seen[field], value) for field, value in theirs_seen.items() if value != ours_seen[field]}
        assert not different, f"{job_id}: {different} (the model, the engine)"
        if one.state is not State.RUNNING:
            assert abs(other.due - one.due) < MOMENT, f"{job_id} is {one.state} with {other.due}, not {one.due}"
        elif other.due > one.due + LEASE:
            assert other.due <= longest.get(job_id, 0.0) + LEASE, f"the lease of {job_id} ends at {other.due}, not {one.due}"
            longer[job_id] = other.due
        else:
            assert other.due >= one.due - LEASE, f"the lease of {job_id} ends at {other.due}, not {one.due}"
    return longer


def tally(entries: Iterable[Entry]) -> Counts:
    """What counts should say, from a listing."""
    out = Counts()
    for entry in entries:
        setattr(out, entry.state.value, getattr(out, entry.state.value) + 1)
        if entry.state is State.READY and (out.oldest is None or entry.due < out.oldest):
            out.oldest = entry.due
    return out
