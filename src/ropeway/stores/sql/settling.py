"""Settling: ack, nack, bury, and extend, each of which asks first whether the receipt still counts.

It counts while its token stands in the row and the lease is not over. Whoever finds that it counts holds the row's lock until the
transaction ends, so nobody can make it void in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from ...codec import pack_head
from ...demands import check_acks, check_handbacks, edited
from ...job import Job, numbered
from ...names import ended
from ...store import Ack, Handback
from . import lanes
from .receipts import Claim, read_receipt
from .record import WIDTH, Row, micros, remembered
from .session import DEAD, DONE, GUARDED, RUNNING, WAITING, Session

T = TypeVar("T")

Answers = tuple[list[bool], list[str]]  # for each whether it was done; and which bells to ring, a name for each time


class Desk(Protocol):
    """Where transactions are made: the store's own desk, or that of a guest."""

    def settles(self) -> object: ...
    def settle(self, work: Callable[[Session], T]) -> T: ...
    def write(self, work: Callable[[Session], T], *, durable: bool = True) -> T: ...


class Held:
    """A row whose receipt counts, and the key that it holds."""

    __slots__ = ("key", "row")

    def __init__(self, row: Row, key: str | None) -> None:
        self.row, self.key = row, key


def settled(row: Row, key: str | None, **changes: Any) -> dict[str, Any]:
    """The values of a settled row: as it stands, but for the changes."""
    values = {
        "id": row.id,
        "state": WAITING,
        "priority": row.priority,
        "due": row.due,
        "moment": None,
        "attempts": row.attempts,
        "deaths": row.deaths,
        "key": key,
        "past": row.past,
        "result": None,
        "result_type": None,
    }
    return values | changes


def _held(session: Session, claims: Sequence[Claim | None]) -> tuple[dict[tuple[str, int], Held], int]:
    """The rows that these claims still hold, by (id, token), and what time it is when there are any."""
    ids = list(dict.fromkeys(claim[0] for claim in claims if claim is not None))
    wanted = {claim[:2] for claim in claims if claim is not None}
    held, now = {}, 0
    for raw in session.run("rows", ids=ids) if ids else ():
        row, (token, key, now, boot) = Row(*raw[:WIDTH]), raw[WIDTH:]
        if (row.id, token) in wanted and row.state == RUNNING and row.moment is not None and row.moment > boot:
            held[row.id, token] = Held(row, key)
    return held, now


# -- ack


def ack(desk: Desk, acks: Sequence[Ack]) -> Answers:
    """Whether each receipt still counted; its job has left, or is kept."""
    check_acks(acks)
    claims = [read_receipt(one.receipt) for one in acks]
    if not any(claims):
        desk.settles()
        return [False] * len(acks), []
    return desk.settle(lambda session: _ack(session, acks, claims))


def _ack(session: Session, acks: Sequence[Ack], claims: Sequence[Claim | None]) -> Answers:
    leaving: list[int] = []
    kept: list[int] = []
    for place, (one, claim) in enumerate(zip(acks, claims, strict=True)):
        if claim is not None:
            leaves = not claim[1] & GUARDED and (one.keep == 0 or (one.keep is None and not claim[2]))
            (leaving if leaves else kept).append(place)
    answers = [False] * len(acks)
    ring: list[str] = []
    if kept:  # first: a session may make `drop` a transaction of its own when nothing was done before it
        ring = _keep(session, acks, claims, kept, answers)
    if leaving:
        pairs = [claim[:2] for place in leaving if (claim := claims[place]) is not None]
        for place, done in zip(leaving, session.drop(pairs), strict=True):
            answers[place] = done
    return answers, ring


def _keep(session: Session, acks: Sequence[Ack], claims: Sequence[Claim | None], places: Sequence[int], answers: list[bool]) -> list[str]:
    """As `_ack`, for those that may be kept or leave something behind; which bells to ring."""
    held, now = _held(session, [claims[place] for place in places])
    gone, done, over, ring = [], [], [], []
    for place in places:
        claim, one = claims[place], acks[place]
        mine = held.pop(claim[:2], None) if claim is not None else None
        if mine is None:
            continue
        answers[place] = True
        keep = _own_keep(mine.row) if one.keep is None else one.keep
        if keep:
            done.append(settled(mine.row, mine.key, state=DONE, moment=now + micros(keep), result=one.result, result_type=one.result_type))
            ring.append(ended(mine.row.queue))
        else:
            gone.append(mine.row.id)
        over.append(mine.row)
        if claim is not None and claim[1] & GUARDED:
            ring.append(mine.row.queue)
    if done:
        session.run_each("settle", done)
    if gone:
        session.run("remove", ids=gone)
    lanes.leave(session, over)
    return ring


def _own_keep(row: Row) -> float:
    job = lanes.readable(row)
    return 0.0 if job is None else job.keep


# -- nack and bury


def nack(desk: Desk, handbacks: Sequence[Handback], max_body: int | None) -> Answers:
    """The answers, and the queue of each job that waits again."""
    check_handbacks(handbacks, max_body)
    return _give(desk, handbacks, WAITING)


def bury(desk: Desk, handbacks: Sequence[Handback]) -> Answers:
    """The answers, and the bells of those who wait for an end or a place."""
    check_handbacks(handbacks)
    return _give(desk, handbacks, DEAD)


def _give(desk: Desk, handbacks: Sequence[Handback], state: int) -> Answers:
    claims = [read_receipt(one.receipt) for one in handbacks]
    if not any(claims):
        desk.settles()
        return [False] * len(handbacks), []

    def work(session: Session) -> Answers:
        held, now = _held(session, claims)
        taken = [held.pop(claim[:2], None) if claim is not None else None for claim in claims]
        given = [(mine, one) for mine, one in zip(taken, handbacks, strict=True) if mine is not None]
        if not given:
            return [False] * len(handbacks), []
        session.run_each("settle", [_given(mine, one, state, now) for mine, one in given])
        queues = [mine.row.queue for mine, _ in given]
        if state == DEAD:
            lanes.leave(session, [mine.row for mine, _ in given])
            ring = [ended(queue) for queue in queues]
            for mine, claim in zip(taken, claims, strict=True):
                if mine is not None and claim is not None and claim[1] & GUARDED:
                    ring.append(mine.row.queue)
        else:
            lanes.stay(session, _as_edited(session, given))
            ring = queues
        return [mine is not None for mine in taken], ring

    return desk.settle(work)


def _as_edited(session: Session, given: Sequence[tuple[Held, Handback]]) -> list[tuple[Row, Job | None]]:
    """The rows and their jobs, once what is edited is written."""
    out: list[tuple[Row, Job | None]] = []
    for mine, handback in given:
        if handback.edit is None:
            out.append((mine.row, lanes.readable(mine.row) if mine.row.lane else None))
            continue
        job = edited(mine.row.job(), handback.edit)
        session.run("edit", id=mine.row.id, head=pack_head(job), body=job.body)
        out.append((mine.row, job))
    return out


def _given(mine: Held, handback: Handback, state: int, now: int) -> dict[str, Any]:
    row = mine.row
    past = remembered(row.past, handback.attempt and numbered(handback.attempt, row.attempts))
    priority = row.priority if handback.priority is None else handback.priority
    attempts = row.attempts - 1 if handback.restore else row.attempts
    if state == DEAD:
        return settled(row, None, state=DEAD, moment=now, attempts=attempts, past=past, priority=priority)
    as_if_not_run = handback.restore and not handback.delay  # then it keeps its place
    due = min(row.due, now) if as_if_not_run else now + micros(handback.delay)
    return settled(row, mine.key, due=due, attempts=attempts, past=past, priority=priority)


# -- extend


def extend(desk: Desk, receipts: Sequence[str], lease: float) -> list[bool]:
    """Whether each receipt still counted; its lease now ends that many seconds from now."""
    claims = [read_receipt(text) for text in receipts]
    if not any(claims):
        return [False] * len(receipts)

    def work(session: Session) -> list[bool]:
        held, _ = _held(session, claims)
        if held:
            session.run_each("renew", [{"id": mine.row.id, "lease": micros(lease)} for mine in held.values()])
        return [claim is not None and claim[:2] in held for claim in claims]

    return desk.write(work, durable=False)
