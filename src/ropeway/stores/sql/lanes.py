"""Lanes and limits: what a claim does in a queue that has any, and what the end of a job leaves behind for the next claim.

Such a queue is *guarded*: its jobs are handed out by one transaction at a time, from under the lock of the queue's row. So what runs is
counted once, and of two claims the second sees what the first has done. A claim that meets a job whose lane is full *parks* it: out of the
order, so that it is passed over only once. A job that ends locks nothing but its own place, since its transaction may be the caller's and
last: it marks the place as left, and the next claim lets the first parked job of that lane back in.

What is read under the queue's lock is read without locks of its own, and locked then: MariaDB lets go of the locks of a transaction one by
one, so that a row may still be locked by one whose lock on the queue is gone.

The locks are taken in this order: the row of the queue, rows of jobs, places. Who has the queue's row waits for no row of a job: it passes
over those that others hold, who are about to end or remove them and leave a mark when they have.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from ...codec import Damaged, FutureFormat
from ...job import Job
from .record import MICRO, WIDTH, Row
from .session import WAITING, Session

LOOKED_AT = 100  # jobs of a queue with lanes, at a time
PARKED = 500  # by one claim: a short transaction
NOBODY = "0" * 32  # a place left by nobody: a mark by itself

Lane = dict[str, Any]


class Places:
    """The places of the lanes of one queue, as a transaction that has the queue's row sees and changes them."""

    def __init__(self, session: Session, queue: str, width: int) -> None:
        self._session = session
        self._queue = queue
        self._width = width
        self._holders: dict[str, set[str]] = {}
        self._taken: list[Lane] = []
        self._parked: list[str] = []
        self._blocked: set[str] = set()  # lanes whose next job somebody else holds at this moment

    def let_in(self) -> None:
        """What is parked in a lane that has a place comes back to where it stood."""
        session, queue = self._session, self._queue
        left = session.run("left", queue=queue)
        if not left:
            return
        self._remove_expired([job_id for _, job_id, ends in left if ends])
        session.run_each("unplace", [{"queue": queue, "lane": lane, "id": job_id} for lane, job_id, _ in left])
        lanes = list(dict.fromkeys(lane for lane, _, _ in left))
        self._know(lanes)
        for lane in lanes:
            free = self._width - len(self._holders[lane])
            while free > 0 and (ids := [job_id for (job_id,) in session.run("parked", queue=queue, lane=lane, limit=free)]):
                back, gone = unpark(session, queue, lane, ids)
                free -= back
                if back + gone < len(ids):  # one is held by somebody else: the next claim shall look again, and nobody goes before it
                    session.run("place", queue=queue, lane=lane, id=NOBODY, ends=0)
                    self._blocked.add(lane)
                    break

    def _remove_expired(self, ids: Sequence[str]) -> None:
        """Whose time is over while it waits for its retry holds up nobody any more."""
        if not ids:
            return
        gone = []
        for raw in self._session.run("rows_free", ids=ids):
            row, now = Row(*raw[:WIDTH]), raw[WIDTH + 2]
            if row.state == WAITING and row.expires(row.job()) <= now:
                gone.append(row.id)
        if gone:
            self._session.run("remove", ids=gone)

    def _know(self, lanes: Iterable[str]) -> None:
        new = [lane for lane in lanes if lane not in self._holders]
        if not new:
            return
        self._holders.update((lane, set()) for lane in new)
        for lane, job_id, ends, state in self._session.run("holders", queue=self._queue, lanes=new):
            if ends == 0:  # left since `let_in` has looked: what is parked there goes before what has not been met yet
                self._blocked.add(lane)
            elif state is not None and state < 2:
                self._holders[lane].add(job_id)

    def admit(self, some: Sequence[tuple[str, str | None]], room: int, ours: Container[str]) -> list[str]:
        """Of these (id, lane) in their order the first that may run, up to `room`. What lies before them and may not is parked. `ours`:
        those that this transaction holds."""
        self._know(lane for _, lane in some if lane)
        admitted: list[str] = []
        for job_id, lane in some:
            if len(admitted) == room:
                break
            if job_id not in ours:
                self._blocked.add(lane or "")
                continue
            if lane:
                if lane in self._blocked:
                    continue
                holders = self._holders[lane]
                if job_id not in holders and len(holders) >= self._width:
                    self._parked.append(job_id)
                    continue
                holders.add(job_id)
                self._taken.append({"queue": self._queue, "lane": lane, "id": job_id, "ends": None})
            admitted.append(job_id)
        return admitted

    def write(self, *, taken_only: bool = False) -> int:
        """Write down what was admitted and parked; how many were parked."""
        taken, parked = self._taken, [] if taken_only else self._parked
        self._taken, self._parked = [], []
        if taken:
            self._session.run_each("place", taken)
        if parked:
            self._session.run_each("park", [{"id": job_id} for job_id in parked])
            self._session.run_each("park_job", [{"id": job_id} for job_id in parked])
        return len(parked)


def lend(session: Session, queue: str, limit: int, lease: int, token: int, holder: str) -> list[Row]:
    """As `Session.lend`, for one queue that is guarded."""
    found = session.run("lock_queue", queue=queue)
    if not found or found[0][0] is not None:
        return []
    room = _room(session, queue, limit, found[0][1])
    if room <= 0:
        return []
    places = Places(session, queue, found[0][2])
    places.let_in()
    ids: list[str] = []
    priority, parked = -1, 0
    while len(ids) < room and parked < PARKED and (head := session.run("head", queue=queue, priority=priority)):
        next_priority, due, now = head[0]
        if due > now:
            priority = next_priority
            continue
        asked = max(room - len(ids), LOOKED_AT) if found[0][3] else room - len(ids)
        some = session.run("first_due", queue=queue, priority=next_priority, limit=asked)
        ours = {job_id for job_id, state in session.run("lock_free", ids=[one[0] for one in some]) if state == WAITING} if some else ()
        admitted = places.admit(some, room - len(ids), ours)
        out_of_the_way = places.write()
        parked += out_of_the_way
        if admitted:
            values = {"lease": lease, "token": token, "holder": holder}
            session.run_each("take", [{"id": job_id, **values} for job_id in admitted])
            ids += admitted
        if len(some) < asked or not (admitted or out_of_the_way):
            priority = next_priority
    if not ids:
        return []
    rows = {row.id: row for row in (Row(*raw) for raw in session.run("seen", ids=ids))}
    return [rows[job_id] for job_id in ids]


def _room(session: Session, queue: str, limit: int, running: int) -> int:
    return min(limit, running - session.run("running", queue=queue)[0][0]) if running else limit


def guarded(session: Session, queue: str) -> bool:
    """Whether the queue is."""
    found = session.run("guard", queue=queue)
    return bool(found and found[0][0])


def pick(session: Session, queue: str, wanted: Callable[[], list[Row]]) -> list[Row]:
    """Of the rows that `wanted` finds those that may be taken out of their turn: they are in nobody's way."""
    _, running, width, _ = session.run("lock_queue", queue=queue)[0]
    places = Places(session, queue, width)
    places.let_in()
    rows = wanted()
    room = _room(session, queue, len(rows), running)
    out: list[Row] = []
    for row in rows:
        if len(out) < room and places.admit([(row.id, row.lane)], 1, {row.id}):
            out.append(row)
            if row.parked:
                _unpark_place(session, row)
    places.write(taken_only=True)
    return out


# -- what the end of a job leaves behind


def leave(session: Session, rows: Iterable[Row]) -> None:
    """These jobs are about to leave, or have: their lanes have a place."""
    for row in rows:
        if row.lane:
            if row.parked:
                _unpark_place(session, row)
            session.run("place", queue=row.queue, lane=row.lane, id=row.id, ends=0)


def stay(session: Session, rows: Sequence[tuple[Row, Job | None]]) -> None:
    """These jobs, given with what they are from now on, are given back: one holds its lane through its retries, until it expires, where
    lanes take one at a time."""
    for row, job in rows:
        if not row.lane:
            continue
        found = session.run("guard", queue=row.queue)
        if found and found[0][1] > 1:
            leave(session, [row])
        elif job is not None and job.ttl:
            session.run("stay", queue=row.queue, lane=row.lane, id=row.id, ends=row.created + round(job.ttl * MICRO))


def readable(row: Row) -> Job | None:
    """The job of a row, if it can be told."""
    try:
        return row.job()
    except (Damaged, FutureFormat):
        return None


def _unpark_place(session: Session, row: Row) -> None:
    session.run("unpark", queue=row.queue, lane=row.lane, priority=row.priority, due=row.due, id=row.id)


def unpark(session: Session, queue: str, lane: str, ids: Sequence[str]) -> tuple[int, int]:
    """These parked jobs are in the order again: how many; and how many were not there any more, by somebody's own SQL."""
    rows = [Row(*raw[:WIDTH]) for raw in session.run("rows_free", ids=ids)]
    back = [row for row in rows if row.parked]
    for row in back:
        _unpark_place(session, row)
    session.run_each("unpark_job", [{"id": row.id} for row in back])
    gone = {*ids} - {row.id for row in back}
    if gone:
        gone -= {row.id for row in (Row(*raw) for raw in session.run("seen", ids=sorted(gone))) if row.parked}  # others hold those
    for job_id in gone:
        session.run("unpark_gone", queue=queue, lane=lane, id=job_id)
    return len(back), len(gone)


def open_lanes(session: Session, queue: str) -> None:
    """Let the next claim look at all lanes of a queue: they may have become wider."""
    for name, lane in session.run("lanes_of", queue=queue):
        session.run("place", queue=name, lane=lane, id=NOBODY, ends=0)


def heal(session: Session) -> None:
    """Open what an older release, or somebody's own SQL, has left shut."""
    for queue, lane, job_id in session.run("widowed"):
        session.run("place", queue=queue, lane=lane, id=job_id, ends=0)
    session.run("unpark_lost")
    for queue, lane in session.run("stuck"):
        session.run("place", queue=queue, lane=lane, id=NOBODY, ends=0)
