"""Queues and jobs as rows: what programs read as JSON, and people as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..durations import spoken
from ..shell.command import CONTENT_TYPE, LABEL, code_of, line_of, names_of
from ..store import ANY, Counts, Entry, Limits
from .bodies import preview, put_bytes, size_of, whole_body
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
    if job.content_type == CONTENT_TYPE:
        row |= _command_row(entry)
    elif job.source is None and len(job.body) <= BODY_IN_ROW:
        put_bytes(row, "body", job.body)
    row["cursor"] = entry.cursor
    return row


def _command_row(entry: Entry) -> Row:
    """What is run, and how it ended. Of its variables only the names: there may be secrets among them."""
    body = whole_body(entry.job)
    row: Row = {"command": line_of(body), "env": names_of(body)}
    if label := entry.job.headers.get(LABEL):
        row["label"] = label
    if (code := code_of(entry)) is not None:
        row["exit"] = code
    return row


def _command_table(entries: Sequence[Entry], now: float, *, one_queue: bool, width: int) -> Iterable[str]:
    columns = [
        Column("ID", lambda entry: entry.job.id),
        *(() if one_queue else (Column("QUEUE", lambda entry: entry.job.queue, flex=True, drop=2),)),
        Column("STATE", lambda entry: str(entry.state)),
        Column("EXIT", _exit, right=True, optional=True),
        Column("WHEN", lambda entry: relative(entry.due, now), drop=3),
        Column("HOLDER", lambda entry: entry.holder, flex=True, optional=True, drop=4),
        Column("LABEL", lambda entry: entry.job.headers.get(LABEL, ""), flex=True, optional=True, drop=1),
        Column("COMMAND", lambda entry: preview(entry.job), flex=True),
    ]
    return render(columns, entries, width or terminal_width())


def _exit(entry: Entry) -> str:
    code = code_of(entry) if entry.job.content_type == CONTENT_TYPE else None
    return "" if code is None else str(code)


def job_table(entries: Sequence[Entry], now: float, *, one_queue: bool, width: int = 0) -> Iterable[str]:
    """Jobs as a table for the terminal, or for so many columns; of shell jobs alone, what matters of those."""
    if entries and all(entry.job.content_type == CONTENT_TYPE for entry in entries):
        return _command_table(entries, now, one_queue=one_queue, width=width)
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
    return render(columns, entries, width or terminal_width())
