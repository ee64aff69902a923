"""What an operator does: requeue, delete, pause; and what a put or a requeue does when it meets a key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...demands import check_reason
from ...errors import Unsupported
from ...job import Job, State, check_job
from ...names import check_name
from ...store import Limits, Query
from . import lanes
from .looking import FIRST, LAST, PAGE, found
from .record import MICRO, WIDTH, Row, plain
from .session import DEAD, DONE, RUNNING, WAITING, Session
from .settling import settled

_LONGEST_REASON = 1000


# -- new jobs


def check_new(jobs: Sequence[Job], url: str, max_body: int | None) -> Sequence[Job]:
    """The jobs themselves, if they are what a put demands."""
    for job in jobs:
        check_job(job, max_body)
        if job.source is not None:
            raise Unsupported(f"{url} keeps bodies inline and cannot stream one; nothing was stored. Use a dir: store")
    return jobs


# -- keys


def free_key(session: Session, queue: str, key: str) -> bool:
    """Whether nobody live holds the key: one who should have left already is made to."""
    holders = session.run("key_holder", queue=queue, key=key)
    if not holders:
        return True
    row, (now, _) = Row(*holders[0]), session.time()
    forgotten = row.state == DONE and (row.moment or 0) <= now
    if not forgotten and not ((row.state == WAITING or row.parked) and row.expires(row.job()) <= now):
        return False
    session.run("remove", ids=[row.id])
    lanes.leave(session, [row])
    return True


class Standing(NamedTuple):
    """How a job stands, as far as a put must know."""

    id: str
    queue: str
    created: int
    due: int
    state: int
    moment: int | None


def standing(session: Session, ids: Sequence[str], dead_keep: int) -> dict[str, Standing]:
    """Which of these are here, by id. What should have been forgotten by now is removed first: it is not here."""
    if not ids:
        return {}
    found = [Standing(*raw) for raw in session.run("standing", ids=ids)]
    if any(one.state >= DEAD for one in found):
        now, _ = session.time()
        low = {DONE: now, DEAD: now - dead_keep if dead_keep else FIRST}
        forgotten = {one.id for one in found if one.state >= DEAD and (one.moment or 0) <= low[one.state]}
        if forgotten:
            session.run("remove", ids=sorted(forgotten))
            found = [one for one in found if one.id not in forgotten]
    return {one.id: one for one in found}


def explain(
    session: Session, jobs: Sequence[Job], given: Sequence[tuple[float, float]], missing: Sequence[str], dead_keep: int
) -> list[bool]:
    """Answers for a put of which some jobs may not have been new. `given`: their `created` and `due` before the put."""
    known = standing(session, missing, dead_keep)
    refused = {job.id: job for job in jobs if job.id in missing and job.id not in known}
    again = [job for job in refused.values() if not job.key or free_key(session, job.queue, job.key)]
    if again:
        session.insert(again)
        for job_id in standing(session, [job.id for job in again], dead_keep):
            del refused[job_id]
    for job, (created, due) in zip(jobs, given, strict=True):
        if job.id in refused:
            job.created, job.due = created, due
        elif job.id in known:
            job.created, job.due = created or known[job.id].created / MICRO, due or known[job.id].due / MICRO
    return [job.id not in refused for job in jobs]


# -- requeue and delete


def requeue(session: Session, query: Query, dead_keep: int) -> list[str]:
    """The queue of each job that was made ready."""
    states = frozenset({State.DEAD}) if query.states is None else frozenset({State.DEAD, State.DONE, State.DELAYED})
    queues: list[str] = []
    now, _ = session.time()
    for some in _pages([row.id for row, _ in found(session, query, dead_keep, states)]):
        values = []
        for raw in session.run("rows", ids=some):
            row, key = Row(*raw[:WIDTH]), raw[WIDTH + 1]
            if row.state == WAITING:
                values.append(settled(row, key, due=now, attempts=row.attempts, past=row.past))
            elif row.state >= DEAD:
                wanted = row.job().key or None
                if key is None and wanted is not None and not _takes_key(session, row, wanted):
                    continue  # another live job has the key by now
                values.append(settled(row, wanted, due=now, attempts=0, deaths=0))
            else:
                continue
            queues.append(row.queue)
        session.run_each("settle", values)
    return queues


def _takes_key(session: Session, row: Row, key: str) -> bool:
    """Take the key at once, so that the next dead job of this requeue finds it taken."""
    if not free_key(session, row.queue, key):
        return False
    session.run("take_key", id=row.id, key=key)
    return True


def delete(session: Session, query: Query, dead_keep: int) -> tuple[int, list[str]]:
    """How many were deleted, of any state but running; the queues in which a lane may have a place."""
    states = frozenset(State) - {State.RUNNING}
    queues: list[str] = []
    laned: set[str] = set()
    for some in _pages([row.id for row, _ in found(session, query, dead_keep, states)]):
        rows = [row for raw in session.run("rows", ids=some) if (row := Row(*raw[:WIDTH])).state != RUNNING or row.parked]
        if rows:
            session.run("remove", ids=[row.id for row in rows])
            lanes.leave(session, [row for row in rows if row.state in (WAITING, RUNNING)])
        queues += [row.queue for row in rows]
        laned |= {row.queue for row in rows if row.lane}
    return len(queues), sorted(laned)


def _pages(ids: list[str]) -> list[list[str]]:
    return [ids[begin : begin + PAGE] for begin in range(0, len(ids), PAGE)]


# -- queues that leave


def drop(session: Session, queue: str, dead_keep: int) -> bool:
    """Whether the queue is not there any more."""
    if not session.run("lock_queue", queue=queue):
        return True
    given: dict[str, dict[str, int]] = {"holds_waiting": {}, "holds_running": {}, "holds_ended": {"dead_keep": dead_keep or LAST}}
    if any(session.run(name, queue=queue, **values) for name, values in given.items()):
        return False
    session.run("drop_places", queue=queue)
    session.run("drop_queue", queue=queue)
    return True


def there(session: Session, queues: Iterable[str], laned: Iterable[str]) -> None:
    """Make the queues that are not there, and have it known which of them have lanes."""
    for name in sorted(queues):
        session.run("new_queue", queue=name)
        session.run("revive", queue=name)
    for name in sorted(laned):
        session.run("laned", queue=name)


# -- the two switches, and the limits


def limit(session: Session, queues: Sequence[str], limits: Limits) -> None:
    """Set the limits of these queues, which are there from now on."""
    there(session, set(queues), ())
    for name in queues:
        session.run("lock_queue", queue=name)
        session.run("limit", queue=name, running=limits.running, width=limits.lane)
        lanes.open_lanes(session, name)


def check_pause(queues: Sequence[str], reason: str) -> None:
    """BadName or BadValue before anything is switched."""
    for name in queues:
        check_name(name)
    check_reason(reason)


def pause(session: Session, queues: Sequence[str], put: bool | None, claim: bool | None, reason: str) -> None:
    """Set the switches of these queues, which are there from now on."""
    there(session, set(queues), ())
    for name in queues:
        for switch, wanted in (("stop_put", put), ("stop_claim", claim)):
            if wanted is not None:
                session.run(switch, queue=name, reason=plain(reason, _LONGEST_REASON) if wanted else None)
