"""A session on PostgreSQL: the verbs as one call each, and what they need of `begin` and `commit` at no extra round trip.

A verb that is one call is a transaction of its own. Otherwise `begin` goes out together with the first statement. Nothing is set for the
session, so a pooler may give each transaction another connection of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ....codec import pack_head
from ....errors import StoreError
from ....job import Job
from ..record import MICRO, Row, micros
from ..session import Again, Loan, Session, Time, stopped
from ..statements import Statements
from .bulk import BULK, copy_rows
from .calls import Caller, text_array
from .faults import Lost, Refused, broken, told
from .wire import Call, GivenUp, Wire

T = TypeVar("T")

_BEGIN, _COMMIT, _ROLLBACK = Call(b"begin"), Call(b"commit"), Call(b"rollback")
_RELAX = Call(b"select set_config('synchronous_commit', 'off', true)")
_CLAIMED = "PostgreSQL: others held what this needed; the jobs are claimed, and come again when their lease ends"
_PINS = {
    "synchronous_commit": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    **dict.fromkeys(("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_sort"), "off"),
}
_PIN = Call(f"select {', '.join(f'set_config({name!r}, {value!r}, true)' for name, value in _PINS.items())}".encode(), name=b"ropeway_pin")
_TRIES = 20  # of a statement that follows a verb which is a transaction of its own


class PostgresSession(Session):
    """One connection. `given` answers the times that tests give, (None, None) for the server's own clock. `bell`: whether puts ring."""

    def __init__(self, wire: Wire, statements: Statements, caller: Caller, given: Callable[[], Time], *, bell: bool) -> None:
        self.statements = statements
        self.wire = wire
        self._caller = caller
        self._given = given
        self._bell = bell
        self._durable = True
        self._pending = self._open = False  # a transaction is wanted; and begun
        self._whole = True
        self._over = False  # the verb was a transaction of its own: what follows it is another
        self._failed = False
        self._pinned = False  # this transaction has set what our functions pin

    # -- transactions

    def begin(self, durable: bool, *, whole: bool = True) -> None:
        self._durable, self._whole = durable, whole
        self._pending, self._open, self._over, self._failed = True, False, False, False

    def commit(self) -> None:
        self._pending = False
        if not self._open:
            return
        self._open = False
        self._told(lambda: self.wire.ask(_COMMIT), committing=True)
        if self.wire.status() != b"COMMIT":  # PostgreSQL answers the commit of what has failed with ROLLBACK, and no error
            raise Again("the transaction had failed before")

    def rollback(self) -> None:
        self._pending = False
        if self._open:
            self._open = False
            try:
                self.wire.ask(_ROLLBACK)
            except (Lost, Refused, Again):
                self.wire.broken = True

    @property
    def broken(self) -> bool:
        return self.wire.broken

    def close(self) -> None:
        self.wire.close()

    # -- statements by name

    def run(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        if self._over:
            return self._again_alone(lambda: self._ask(name, values))
        return self._ask(name, values)

    def _ask(self, name: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self._sent(self._caller.call(self.statements, name, self._timed(values), pinned=self._pinned), relaxing=False)

    def run_each(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._pending and not self._open and not self._over:
            self._sent(None, relaxing=False)
        calls = [self._caller.call(self.statements, name, self._timed(row), pinned=self._pinned) for row in rows]
        if not calls:
            return
        values = [call.values or () for call in calls]

        def work() -> list[tuple[Any, ...]]:
            self._told(lambda: self.wire.ask_each(calls[0], values), committing=self._over)
            return []

        self._again_alone(work) if self._over else work()

    def send(self, name: str, **values: Any) -> None:
        """A statement by itself whose answer nobody waits for."""
        self._told(lambda: self.wire.begin_ask(self._caller.call(self.statements, name, self._timed(values))), committing=False)

    def _again_alone(self, work: Callable[[], list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        """After a verb that has committed, the desk must not repeat everything: a statement is repeated here, by itself."""
        for _ in range(_TRIES):
            try:
                return work()
            except Again:
                continue
        raise StoreError(_CLAIMED)

    def time(self) -> tuple[int, int]:
        now, boot = self._given()
        if now is None or boot is None:
            now, boot = self.run("time")[0]
        return int(now), int(boot)

    def _timed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        now, boot = self._given()
        return {**values, "now": now, "boot": boot}

    # -- how a call goes out

    def _sent(self, call: Call | None, *, relaxing: bool) -> list[tuple[Any, ...]]:
        """Send a call inside the transaction that is wanted, if one is: with `begin` before it when it is the first. `relaxing`: the call
        itself says that the commit need not wait for the disk."""
        if not self._pending or self._open or self._over:
            return self._told(lambda: self.wire.ask(call), committing=False) if call else []
        first = [_BEGIN, _PIN] if self._pinned else [_BEGIN] if self._durable or relaxing else [_BEGIN, _RELAX]
        self._open = True
        return self._told(lambda: self.wire.ask_all([*first, call] if call else first), committing=False)[-1]

    def _verb(self, name: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """A verb that is one call: a transaction of its own where it may be."""
        call = self._caller.call(self.statements, name, self._timed(values) | {"relaxed": self._pending and not self._durable})
        if not self._alone:
            return self._sent(call, relaxing=True)
        return self._told(lambda: self.wire.ask(call), committing=True)

    def _ringing(self) -> int:
        """How a put rings: at once, or, in a transaction that may last, when that is committed."""
        return 0 if not self._bell else 1 if self._alone else 2

    @property
    def _alone(self) -> bool:
        return self._pending and self._whole and not self._open

    def _told(self, work: Callable[[], T], *, committing: bool) -> T:
        """The wire's trouble as the desk's."""
        try:
            return work()
        except Refused as error:
            raise told(error) from None
        except Lost as error:
            raise broken(error, committing=committing) from None

    # -- the verbs

    def insert(self, jobs: Sequence[Job]) -> list[str]:
        if len(jobs) == 1:
            return self._insert_one(jobs[0])
        counts: dict[str, int] = {}
        keys = False
        for job in jobs:
            counts[job.queue] = counts.get(job.queue, 0) + 1
            keys = keys or bool(job.key)
        if len(jobs) >= BULK and not keys and self._alone and not self._over:
            try:
                return self._insert_bulk(jobs, counts)
            except Again:
                pass  # one of them is here already, so they must be told apart
        return self._insert_many(jobs, counts)

    def _insert_one(self, job: Job) -> list[str]:
        values = {
            "id": job.id,
            "queue": job.queue,
            "priority": job.priority,
            "created": micros(job.created) if job.created else None,
            "due": micros(job.due) if job.due else None,
            "delay": micros(job.delay),
            "key": job.key or None,
            "head": pack_head(job),
            "body": job.body,
            "lane": job.lane or None,
            "bell": self._ringing(),
        }
        if self._alone and self.wire.prepares:
            call = self._caller.call(self.statements, "put_quick", self._timed(values) | {"relaxed": not self._durable})
            rows = self._told(lambda: self.wire.ask(call), committing=True)
            if rows:
                _stamp(job, rows[0][0])
                return []
        now = self._verb("put_one", values)[0][0]
        if now is None:
            return [job.id]
        self._stop_if(now, [job.queue])
        _stamp(job, now)
        return []

    def _insert_many(self, jobs: Sequence[Job], counts: dict[str, int]) -> list[str]:
        values = {
            "queues": list(counts),
            "jobs": list(counts.values()),
            "ids": [job.id for job in jobs],
            "queue_each": [job.queue for job in jobs],
            "priorities": [job.priority for job in jobs],
            "createds": [micros(job.created) if job.created else None for job in jobs],
            "dues": [micros(job.due) if job.due else None for job in jobs],
            "delays": [micros(job.delay) for job in jobs],
            "keys": [job.key or None for job in jobs],
            "heads": [pack_head(job) for job in jobs],
            "bodies": [job.body for job in jobs],
            "laned": sorted({job.queue for job in jobs if job.lane}) or None,
            "lane_each": [job.lane or None for job in jobs],
            "bell": self._ringing(),
        }
        now, new = self._verb("put_many", values)[0]
        self._stop_if(now, counts)
        for job in jobs:
            _stamp(job, now)
        return [] if new == len(jobs) else [job.id for job in jobs]

    def _insert_bulk(self, jobs: Sequence[Job], counts: dict[str, int]) -> list[str]:
        """By COPY, in one transaction with the question whether it may be."""
        stopped_at: list[int] = []
        now = self._given()[0]

        def rows(before: list[tuple[Any, ...]]) -> Any:
            stopped_at.append(before[0][0])
            if before[0][0] < 0:
                raise GivenUp
            return copy_rows(jobs, before[0][0])

        script = self.statements["copy"] % {
            "queues": text_array(list(counts)).decode(),
            "jobs": ",".join(map(str, counts.values())),
            "laned": f"'{text_array(laned).decode()}'" if (laned := sorted({job.queue for job in jobs if job.lane})) else "null",
            "now": "null" if now is None else str(now),
            "relaxed": str(not self._durable),
            "bell": str(int(self._bell)),
        }
        try:
            self._told(lambda: self.wire.copy(script.encode(), rows), committing=True)
        except GivenUp:
            self._stop_if(-1, counts)
        for job in jobs:
            _stamp(job, stopped_at[0])
        return []

    def _stop_if(self, now: int, queues: Sequence[str] | dict[str, int]) -> None:
        if now >= 0:
            return
        for name, put_stopped, _ in self.run("switches"):
            if name in queues and put_stopped is not None:
                raise stopped("takes no new jobs", name, put_stopped)
        raise Again("the queue was opened just now")

    def lend(self, queues: Sequence[str], limit: int, lease: int, token: int, holder: str) -> Loan:
        values = {"queues": list(queues), "limit": limit, "lease": lease, "token": token, "holder": holder}
        alone = self._alone
        rows = list(map(Row._make, self._verb("lend", values)))
        self._over = self._over or alone
        guarded = None
        if rows and rows[-1].state < 0:
            mark = rows.pop()
            if mark.state == -1:
                return Loan(rows, None, (mark.queue, mark.holder or ""))
            guarded = list(queues).index(mark.queue)
        if len(rows) > 1:
            if len(queues) > 1:
                order = {name: place for place, name in reversed(list(enumerate(queues)))}
                rows.sort(key=lambda row: (order[row.queue], row.priority, row.due, row.id))
            else:
                rows.sort(key=lambda row: (row.priority, row.due, row.id))
        return Loan(rows, guarded)

    def apart(self, work: Callable[[], T]) -> T:
        if not self._over:
            return work()
        for _ in range(_TRIES):  # here, since the desk would claim once more what is claimed already
            self.begin(durable=False, whole=False)
            self._pinned = True
            try:
                answer = work()
                self.commit()
            except Again:
                self.rollback()
            except BaseException:
                self.rollback()
                raise
            else:
                return answer
            finally:
                self._pending, self._over, self._whole, self._pinned = True, True, True, False
        raise StoreError(_CLAIMED)

    def drop(self, claims: Sequence[tuple[str, int]]) -> list[bool]:
        gone = set(self._verb("drop", {"ids": [claim[0] for claim in claims], "tokens": [claim[1] for claim in claims]}))
        answers = []
        for claim in claims:
            answers.append(claim in gone)
            gone.discard(claim)
        return answers

    def next_due(self, queues: Sequence[str]) -> int | None:
        soonest: int | None = self.run("next_due", queues=list(queues))[0][0]
        return soonest


def _stamp(job: Job, now: int) -> None:
    """Fill in what the database has filled in."""
    created = micros(job.created) if job.created else now
    due = micros(job.due) if job.due else created + micros(job.delay)
    job.created, job.due = created / MICRO, due / MICRO
