"""Queues and jobs as rows: what programs read as JSON, and people as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..durations import spoken
from ..store import ANY, Counts, Entry, Limits
from .bodies import preview, put_bytes, size_of
from .output import Row
from .table import Column, render, terminal_width
from .times import iso, relative

BODY_IN_ROW = 16 << 10  # a larger body is not repeated in lists: `show` has it


def queue_row(name: str, counts: Counts) -> Row:
    """How a queue stands."""
    row: Row = {"queue": name, "state": switch_state(counts)}
    row |= {state: getattr(counts, state) for state in ("ready", "delayed", "running", "dead", "done")}
    row["oldest"] = iso(counts.oldest) if counts.oldest is not None else None
    row |= {"put_stopped": counts.put_stopped, "claim_stopped": counts.claim_stopped}
    row["limits"] = {"running": counts.limits.running, "lane": counts.limits.lane}
    if not counts.exact:
        row["exact"] = False
    return row


def switch_state(counts: Counts) -> str:
    """What is switched off: nothing (open), taking jobs in (put stopped), handing them out (claim stopped), or both (stopped)."""
    if counts.put_stopped is not None:
        return "stopped" if counts.claim_stopped is not None else "put stopped"
    return "claim stopped" if counts.claim_stopped is not None else "open"


def queue_table(queues: Sequence[tuple[str, Counts]], now: float) -> Iterator[str]:
    """The queues as a table for the terminal."""

    def number(state: str) -> Column:
        return Column(state.upper(), lambda row: ("" if row[1].exact else "~") + f"{getattr(row[1], state):,}", right=True)

    columns = [
        Column("QUEUE", lambda row: row[0], flex=True),
        *map(number, ("ready", "delayed", "running", "dead", "done")),
        Column("OLDEST", lambda row: spoken(max(0.0, now - row[1].oldest)) if row[1].oldest is not None else "", right=True, optional=True),
        Column("LIMITS", lambda row: limits_shown(row[1].limits), optional=True),
        Column("SWITCHED OFF", lambda row: switches(row[1]), flex=True, optional=True),
    ]
    return render(columns, queues, terminal_width())


def limits_shown(limits: Limits) -> str:
    """What is limited, for a person; nothing when nothing is."""
    lane = f"lane {limits.lane}" if limits.lane != ANY.lane else ""
    return ", ".join(part for part in (f"running {limits.running}" if limits.running else "", lane) if part)


def switches(counts: Counts) -> str:
    """What is switched off, with the operator's reason, for a person."""
    put, claim = counts.put_stopped, counts.claim_stopped
    if put is not None and put == claim:
        return f"put and claim: {put or 'no reason given'}"
    parts = [f"{name}: {reason or 'no reason given'}" for name, reason in (("put", put), ("claim", claim)) if reason is not None]
    return "; ".join(parts)


def job_row(entry: Entry) -> Row:
    """A job as it stands; its body only when it is small."""
    job = entry.job
    row: Row = {"id": job.id, "queue": job.queue, "state": str(entry.state), "priority": job.priority}
    row |= {"due": iso(entry.due), "created": iso(job.created), "attempts": entry.attempts, "deaths": entry.deaths}
    row |= {name: value for name in ("key", "task", "lane", "ttl", "keep") if (value := getattr(job, name))}
    row |= {"headers": job.headers, "content_type": job.content_type, "size": size_of(job)}
    row |= {name: value for name, value in (("holder", entry.holder), ("error", entry.error)) if value}
    if job.source is None and len(job.body) <= BODY_IN_ROW:
        put_bytes(row, "body", job.body)
    row["cursor"] = entry.cursor
    return row


def job_table(entries: Sequence[Entry], now: float, *, one_queue: bool) -> Iterable[str]:
    """Jobs as a table for the terminal."""
    columns = [
        Column("ID", lambda entry: entry.job.id),
        *(() if one_queue else (Column("QUEUE", lambda entry: entry.job.queue, flex=True),)),
        Column("STATE", lambda entry: str(entry.state)),
        Column("PRI", lambda entry: str(entry.job.priority), right=True),
        Column("DUE", lambda entry: relative(entry.due, now)),
        Column("TRIES", lambda entry: str(entry.attempts), right=True),
        Column("HOLDER", lambda entry: entry.holder, flex=True, optional=True, drop=2),
        Column("KEY", lambda entry: entry.job.key, flex=True, optional=True, drop=5),
        Column("TASK", lambda entry: entry.job.task, flex=True, optional=True, drop=4),
        Column("ERROR", lambda entry: entry.error, flex=True, optional=True, drop=1),
        Column("BODY", lambda entry: preview(entry.job), flex=True, drop=3),
    ]
    return render(columns, entries, terminal_width())
