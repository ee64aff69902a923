"""Lending: what a claim makes of the rows that it has got, and taking one job by its id."""

from __future__ import annotations

from collections.abc import Sequence

from ...codec import Damaged, FutureFormat
from ...ids import is_id
from ...job import Attempt, Job
from ...store import Holder, Lent
from . import lanes
from .crowd import label
from .receipts import receipt
from .record import MICRO, WIDTH, Row, micros, remembered
from .session import DEAD, GUARDED, WAITING, Session, stopped
from .settling import settled

LATER = 60 * MICRO  # for a job that a newer ropeway has put: until it is looked at again


def lend(session: Session, queues: Sequence[str], limit: int, lease: float, token: int, holder: Holder) -> list[Lent]:
    """The first due jobs of these queues. Those past their ttl are removed on the way; what cannot be read is set aside."""
    lent: list[Lent] = []
    name, time = label(holder), micros(lease)
    is_open = False
    stop: tuple[str, str] | None = None
    while len(lent) < limit and queues:
        loan = session.lend(queues, limit - len(lent), time, token, name)
        came = _lent(session, loan.rows, token, lent)
        stop = stop or loan.stopped
        is_open = is_open or loan.stopped is None
        if came < len(loan.rows):
            continue  # there may be more of them behind those that were taken out
        if loan.guarded is None:
            break  # as many as there were, or as were wanted
        queue, queues = queues[loan.guarded], queues[loan.guarded + 1 :]
        while len(lent) < limit:
            left = limit - len(lent)
            rows = session.apart(lambda queue=queue, left=left: lanes.lend(session, queue, left, time, token | GUARDED, name))  # type: ignore[misc]
            if _lent(session, rows, token | GUARDED, lent) == len(rows):
                break
    if stop is not None and not is_open:
        raise stopped("hands out no jobs", *stop)
    return lent


def _lent(session: Session, rows: Sequence[Row], token: int, lent: list[Lent]) -> int:
    """How many of these rows were jobs to be handed out."""
    before, stale = len(lent), []
    for row in rows:
        job = _readable(session, row)
        if job is None:
            continue
        if job.ttl and row.expires(job) <= (row.claimed or 0):
            stale.append(row)
        else:
            lent.append(Lent(job, receipt(row.id, token, job.keep > 0), row.attempts, row.deaths))
    if stale:
        session.run("remove", ids=[row.id for row in stale])
        lanes.leave(session, stale)
    return len(lent) - before


def _readable(session: Session, row: Row) -> Job | None:
    """The job; else it is given up as dead, or left for a newer ropeway."""
    try:
        return row.job()
    except Damaged as error:
        attempt = Attempt(
            row.attempts, (row.claimed or 0) / MICRO, (row.claimed or 0) / MICRO, row.holder_name(), "failed", f"Damaged: {error}"
        )
        session.run_each("settle", [settled(row, None, state=DEAD, moment=row.claimed, past=remembered(row.past, attempt))])
        lanes.leave(session, [row])
    except FutureFormat:
        due = (row.claimed or row.due) + LATER
        session.run_each("settle", [settled(row, None, state=WAITING, due=due, attempts=row.attempts - 1)])
    return None


def pick(session: Session, queue: str, ids: Sequence[str], lease: float, token: int, holder: Holder) -> list[Lent | None]:
    """These jobs, if they are waiting in this queue, whatever their moment."""
    asked = [job_id for job_id in dict.fromkeys(ids) if is_id(job_id)]
    if not asked:
        return [None] * len(ids)
    if lanes.guarded(session, queue):
        token |= GUARDED
        rows = lanes.pick(session, queue, lambda: _waiting(session, "rows_free", queue, asked))
    else:
        rows = _waiting(session, "rows", queue, asked)
    found = {}
    for row in rows:
        job = row.job()
        found[row.id] = Lent(job, receipt(row.id, token, job.keep > 0), row.attempts + 1, row.deaths)
    if found:
        name = label(holder)
        session.run_each("take", [{"id": one, "lease": micros(lease), "token": token, "holder": name} for one in found])
    return [found.pop(job_id, None) if isinstance(job_id, str) else None for job_id in ids]


def _waiting(session: Session, statement: str, queue: str, ids: Sequence[str]) -> list[Row]:
    """The rows of these jobs, in the order of their ids, as far as they wait in the queue and can be read."""
    rows = {}
    for raw in session.run(statement, ids=ids):
        row, now = Row(*raw[:WIDTH]), raw[WIDTH + 2]
        if (row.state != WAITING and not row.parked) or row.queue != queue:
            continue
        job = lanes.readable(row)
        if job is not None and row.expires(job) > now:
            rows[row.id] = row
    return [rows[job_id] for job_id in ids if job_id in rows]
