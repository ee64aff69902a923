"""What `workers` does: lists those who work on a store, and gives them orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..durations import spoken
from ..errors import BadValue, Timeout
from ..worker.fleet import Member, Notice, workers
from .output import Row
from .session import Session
from .table import Column, render, terminal_width
from .times import iso
from .verdict import DONE, NOTHING, USAGE, Failure

ALL = "all"
MiB = 1 << 20


def list_workers(session: Session, ids: Sequence[str]) -> int:
    """Print them."""
    members = workers(session.link)
    if ids:
        members = [member for word in ids for member in meant(members, word)]
    now = session.link.clock.now()
    session.out.rows(
        (worker_row(member.seen) for member in members),
        lambda _: worker_table([member.seen for member in members], now),
        empty="no workers; start one: ropeway work mails -- ./send-mail",
    )
    return DONE


def give_orders(session: Session, ids: Sequence[str], orders: dict[str, tuple[str, ...]], wait: float) -> int:
    """Give them, one after the other, and print what the workers say."""
    if ids:
        raise Failure(USAGE, f"which worker is an order for? Write --stop {ids[0]}; nothing was ordered")
    members = workers(session.link)
    given = [(member, do, slots) for do, words in orders.items() for word in words for member, slots in _of(members, do, word)]
    if not given:
        raise Failure(NOTHING, "there are no workers; nothing was ordered")
    text = {"table": _lines}.get(session.out.mode, _no_lines)
    with session.out.listing(text) as emit:
        failed: Failure | None = None
        for member, do, slots in given:
            try:
                said = member.order(do, slots=slots, timeout=wait)
            except Timeout as error:
                failed = Failure(124, str(error))
            except BadValue as error:
                failed = Failure(1, str(error))
            else:
                emit({"id": member.id, "order": do, "said": said})
    if failed:
        raise failed
    return DONE


def _of(members: Sequence[Member], do: str, word: str) -> Iterator[tuple[Member, int]]:
    """Whom an order is for."""
    do, slots = do.replace("_", "-"), 0
    if do == "resize":
        word, equals, number = word.rpartition("=")
        if not equals or not number.isascii() or not number.isdigit():
            raise Failure(USAGE, f"--resize takes ID=N, such as {number or 'web-1'}=8; nothing was ordered")
        slots = int(number[:9])
    for member in members if word == ALL else meant(members, word):
        yield member, slots


def meant(members: Sequence[Member], word: str) -> list[Member]:
    """The one worker whose id is, or begins with, this word. Failure when there is none, or more."""
    found = [member for member in members if member.id == word] or [member for member in members if word and member.id.startswith(word)]
    if not found:
        raise Failure(NOTHING, f"there is no worker {word[:80]!r}; nothing was done. See: ropeway workers")
    if len(found) > 1:
        raise Failure(USAGE, f"{word[:80]!r} may be {' or '.join(member.id for member in found[:3])}; nothing was done. Write more of it")
    return found


def worker_row(seen: Notice) -> Row:
    """A worker as programs read it."""
    row: Row = {"id": seen.id, "queues": seen.queues or seen.patterns, "state": seen.state, "patterns": seen.patterns}
    row |= {
        "host": seen.host,
        "pid": seen.pid,
        "name": seen.name,
        "version": seen.version,
        "started": iso(seen.started),
        "seen": iso(seen.at),
    }
    row |= {"pool": seen.pool, "slots": seen.slots, "running": seen.running, "held": seen.held}
    row["jobs"] = [{"id": job.id, "queue": job.queue, "task": job.task, "since": iso(job.since)} for job in seen.jobs]
    row |= {"totals": seen.totals, "memory": seen.memory, "cpu": round(seen.cpu, 2), "idle": round(seen.idle, 1)}
    row |= {"utilisation": seen.utilisation, "claimed": _moment(seen.claimed), "answered": _moment(seen.answered)}
    if seen.supervisor:
        row["supervisor"] = seen.supervisor
    return row


def worker_table(workers: Sequence[Notice], now: float) -> Iterable[str]:
    """Workers as a table for the terminal."""
    columns = [
        Column("ID", lambda seen: seen.id),
        Column("STATE", lambda seen: seen.state),
        Column("QUEUES", lambda seen: " ".join(seen.patterns), flex=True),
        Column("POOL", lambda seen: seen.pool, drop=6),
        Column("RUNS", lambda seen: f"{seen.running}/{seen.slots}", right=True),
        Column("DONE", lambda seen: f"{seen.totals.get('done', 0):,}", right=True),
        Column("FAILED", lambda seen: f"{seen.totals.get('failed', 0):,}", right=True),
        Column("BUSY", lambda seen: f"{100 * seen.utilisation:.0f}%", right=True, drop=2),
        Column("MEMORY", lambda seen: f"{seen.memory // MiB} MiB", right=True, drop=3),
        Column("CPU", lambda seen: spoken(round(seen.cpu)), right=True, drop=5),
        Column("UP", lambda seen: spoken(max(0, round(now - seen.started))), right=True, drop=4),
        Column("JOB", _job, flex=True, optional=True, drop=1),
    ]
    return render(columns, workers, terminal_width())


def _job(seen: Notice) -> str:
    """The one that runs longest."""
    if not seen.jobs:
        return ""
    job = seen.jobs[0]
    return f"{job.task or job.queue} {job.id}" + (f" and {seen.running - 1} more" if seen.running > 1 else "")


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


def _lines(row: dict[str, Any]) -> Iterator[str]:
    from .clean import clean

    said = row["said"].splitlines() or [""]
    yield clean(f"{row['id']}: {said[0] if len(said) == 1 else ''}".rstrip())
    if len(said) > 1:
        yield from map(clean, said)


def _no_lines(_: Any) -> tuple[str, ...]:
    return ()
