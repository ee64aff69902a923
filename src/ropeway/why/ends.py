"""Causes of what has ended or is not there: done, dead and why, gone, never made, in another queue."""

from __future__ import annotations

from ..durations import spoken
from ..ids import made_at
from ..job import Attempt
from ..store import Entry
from ..url import hidden
from .codes import Cause, cause
from .facts import Facts, plural

PLAUSIBLE = 86400.0  # seconds by which the clock of who made an id may be ahead of ours
SINCE = 1577836800.0  # 2020: no id of ours is older


def done(facts: Facts) -> list[Cause]:
    """It has ended well."""
    entry = facts.entry
    text = f"it has ended well, after {plural(entry.attempts, 'attempt')}; it is kept until it is forgotten {facts.when(entry.due)}"
    return [
        cause("done", text, f"nothing is to be done. To run it again: ropeway requeue --queue {facts.queue} --state done {entry.job.id}")
    ]


def dead(facts: Facts) -> list[Cause]:
    """It was given up."""
    entry = facts.entry
    last = entry.history[-1] if entry.history else None
    error = entry.error or "no reason was given"
    said = f"given up {facts.when(entry.due)}, after {plural(entry.attempts, 'attempt')}: {error}"
    if last is not None and last.worker:
        said += f" (on {last.worker})"
    again = f"it stays until somebody acts: ropeway requeue {entry.job.id}, or ropeway delete {entry.job.id}"
    code = _code(last, error)
    first = {
        "dead": f"mend what failed (ropeway show {entry.job.id} has the traceback); ",
        "dead-killer": "find out what in it kills processes before it runs again; ",
        "dead-timeout": "give its task more time, or make it faster; ",
        "dead-no-task": f"start a worker of {facts.queue} that has its task; ",
        "dead-unreadable": "put it anew with a body that its task, or the codec of its queue, can read; ",
    }.get(code, "")
    return [cause(code, said, first + again)]


def _code(last: Attempt | None, error: str) -> str:
    outcome = last.outcome if last is not None else ""
    if outcome in ("lost", "crashed"):
        return "dead-killer"
    if outcome in ("timeout", "discarded"):
        return f"dead-{outcome}"
    if error.startswith(("no task ", "the job names no task")):
        return "dead-no-task"
    return "dead-unreadable" if error.startswith("ropeway.errors.BadBody") else "dead"


def gone(facts: Facts, job_id: str) -> list[Cause]:
    """It is not in this store."""
    made, where = made_at(job_id), f" ({hidden(facts.link.url)})" if facts.view.url else ""
    elsewhere = f"ropeway check says which store this is{where}: another URL or namespace= has jobs of its own"
    if job_id[12] != "7" or not SINCE <= made <= facts.now + PLAUSIBLE:
        return [
            cause(
                "unknown",
                f"{job_id} is no id that a put has made: it does not carry the moment of one",
                f"look at the id again; {elsewhere}",
            )
        ]
    ways = "it was done (and not kept, or no longer), deleted, cancelled, moved under a new id, or its ttl was over"
    text = (
        f"no job of this id is in this store any more, if it ever was. It was made {spoken(max(0.0, facts.now - made))} ago; "
        f"since then {ways}"
    )
    return [cause("gone", text, f'add keep="1d" to what should still be seen when done; {elsewhere}')]


def other_queue(facts: Facts, found: Entry) -> Cause:
    """It was asked for in the wrong queue."""
    return cause(
        "other-queue", f"it is in the queue {found.job.queue}, not in {facts.queue}", f"ask for it there: ropeway why {found.job.id}"
    )
