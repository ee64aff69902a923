"""Lending: what a claim makes of the rows that it has got, and taking one job by its id."""

from __future__ import annotations

from collections.abc import Sequence

from ...codec import Damaged, FutureFormat
from ...ids import is_id
from ...job import Attempt, Job
from ...store import Holder, Lent
from .crowd import label
from .receipts import receipt
from .record import MICRO, Row, micros, remembered
from .session import DEAD, WAITING, Session
from .settling import settled

LATER = 60 * MICRO  # for a job that a newer ropeway has put: until it is looked at again


def lend(session: Session, queues: Sequence[str], limit: int, lease: float, token: int, holder: Holder) -> list[Lent]:
    """The first due jobs of these queues. Those past their ttl are removed on the way; what cannot be read is set aside."""
    lent: list[Lent] = []
    while len(lent) < limit:
        rows = session.lend(queues, limit - len(lent), micros(lease), token, label(holder))
        if not rows:
            break
        before = len(lent)
        stale = []
        for row in rows:
            job = _readable(session, row)
            if job is None:
                continue
            if job.ttl and row.expires(job) <= (row.claimed or 0):
                stale.append(row.id)
            else:
                lent.append(Lent(job, receipt(row.id, token, job.keep > 0), row.attempts, row.deaths))
        if stale:
            session.run("remove", ids=stale)
        if len(lent) - before == len(rows):
            break  # as many as there were, or as were wanted
    return lent


def _readable(session: Session, row: Row) -> Job | None:
    """The job; else it is given up as dead, or left for a newer ropeway."""
    try:
        return row.job()
    except Damaged as error:
        attempt = Attempt(
            row.attempts, (row.claimed or 0) / MICRO, (row.claimed or 0) / MICRO, row.holder_name(), "failed", f"Damaged: {error}"
        )
        session.run_each("settle", [settled(row, None, state=DEAD, moment=row.claimed, past=remembered(row.past, attempt))])
    except FutureFormat:
        due = (row.claimed or row.due) + LATER
        session.run_each("settle", [settled(row, None, state=WAITING, due=due, attempts=row.attempts - 1)])
    return None


def pick(session: Session, queue: str, ids: Sequence[str], lease: float, token: int, holder: Holder) -> list[Lent | None]:
    """These jobs, if they are waiting in this queue, whatever their moment."""
    asked = [job_id for job_id in ids if is_id(job_id)]
    if not asked:
        return [None] * len(ids)
    now, _ = session.time()
    found: dict[str, Lent] = {}
    for raw in session.run("rows", ids=asked):
        row = Row(*raw[:16])
        if row.state != WAITING or row.queue != queue:
            continue
        try:
            job = row.job()
        except (Damaged, FutureFormat):
            continue
        if row.expires(job) > now:
            found[row.id] = Lent(job, receipt(row.id, token, job.keep > 0), row.attempts + 1, row.deaths)
    if found:
        name = label(holder)
        session.run_each("take", [{"id": one, "lease": micros(lease), "token": token, "holder": name} for one in found])
    return [found.pop(job_id, None) if isinstance(job_id, str) else None for job_id in ids]
