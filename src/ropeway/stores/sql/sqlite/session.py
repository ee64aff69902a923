"""A connection to a SQLite file. By apsw if nothing else is asked for: its wheel carries a SQLite without the WAL-reset bug, and its calls
cost a microsecond.

Every write is one `begin immediate`. Who may write next is decided by a lock on a file of our own, first, since SQLite's own waiting is
unfair: with eight writers some wait a second (measured). Others that write to the same database without it are waited for by
SQLite's busy handler.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from ....codec import pack_head
from ....errors import StoreError
from ....job import Job
from ..passing import held_up, passed
from ..record import MICRO, Row, moments
from ..session import Again, Broken, Loan, Session, stopped
from ..statements import Statements
from .drivers import Connection, Driver, code
from .turn import Turn

AT_ONCE = 25  # jobs in one statement: a sixth less work for each than one by one, and no more with twice as many (measured)
FEW = 8  # queues that are looked up one by one

_ONE_ROW = re.compile(r"(\((?:\?, )*\?\))")
_FAR = 1 << 62
_UNSURE = {10, 13}  # the disk failed, the disk is full
_LATER = {5, 6, 17, 19}  # busy, locked, the schema was changed; a constraint: a key that came in between


class SqliteSession(Session):
    """One connection. `clock` answers (now, boot) in seconds; `turn` is shared by the sessions of a store."""

    def __init__(
        self, connection: Connection, driver: Driver, statements: Statements, clock: Callable[[], tuple[float, float]], turn: Turn | None
    ) -> None:
        self.statements = statements
        self.connection = connection
        self._error = driver.error
        self._clock = clock
        self._turn = turn
        self._mine = False
        self._durable: bool | None = None
        self._known: set[str] = set()  # queues that are there for good
        self._execute = connection.execute
        self._quick = statements["insert_quick"]
        self._several = _ONE_ROW.sub(rf"\1{', (?, ?, ?, ?, ?, ?, ?, ?, ?)' * (AT_ONCE - 1)}", statements["insert"])

    # -- transactions

    def begin(self, durable: bool, *, whole: bool = True) -> None:  # noqa: ARG002 - here both cost a microsecond
        if durable is not self._durable:
            self._settle_on(durable)
        if self._turn is not None:
            self._turn.take()
            self._mine = True
        try:
            self._execute("begin immediate")
        except self._error as error:
            self._leave()
            raise self._told(error) from None

    def _settle_on(self, durable: bool) -> None:
        self._execute("pragma synchronous = full" if durable else "pragma synchronous = normal")
        self._durable = durable

    def commit(self) -> None:
        try:
            self._execute("commit")
        except self._error as error:
            self.rollback()
            raise self._told(error, committing=True) from None
        finally:
            self._leave()

    def rollback(self) -> None:
        try:
            if self.connection.in_transaction:
                self._execute("rollback")
        except self._error:
            pass  # it is over then, whatever was the matter
        finally:
            self._known.clear()
            self._leave()

    def _leave(self) -> None:
        if self._mine and self._turn is not None:
            self._mine = False
            self._turn.leave()

    @property
    def broken(self) -> bool:
        return False

    def close(self) -> None:
        try:
            self.connection.close()
        except self._error:
            pass  # what a last checkpoint could not do, the next opening does

    # -- statements by name

    def run(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        try:
            rows: list[tuple[Any, ...]] = self._execute(self.statements[name], self._bound(values)).fetchall()
            return rows
        except self._error as error:
            raise self._told(error) from None

    def run_each(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        try:
            self.connection.executemany(self.statements[name], map(self._bound, rows))
        except self._error as error:
            raise self._told(error) from None

    def _bound(self, values: Mapping[str, Any]) -> dict[str, Any]:
        now, boot = self.time()
        bound = dict(values, now=now, boot=boot)
        if "id" in bound:
            bound["id"] = bytes.fromhex(bound["id"])
        if "ids" in bound:
            bound["ids"] = bytes.fromhex("".join(bound["ids"]))
        for name in ("queues", "lanes"):
            if name in bound:
                bound[name] = json.dumps(list(bound[name]))
        return bound

    def time(self) -> tuple[int, int]:
        now, boot = self._clock()
        return int(now * MICRO), int(boot * MICRO)

    @staticmethod
    def _told(error: Exception, *, committing: bool = False) -> Exception:
        """The driver's error as one of ours."""
        if code(error) in _LATER:
            return Again()
        if committing:
            return Broken(f"SQLite: {error}", committing=True)
        return StoreError(f"SQLite: {error}; nothing was done. Look with `ropeway check`", definite=True)

    # -- the verbs

    def put_quick(self, job: Job, durable: bool) -> bool:
        """A put of one job as one statement that is a transaction by itself: a third of the work of `begin`, `insert`, `commit`. False:
        nothing was stored; those will say why. Raises Broken where nobody knows: a sync that failed may leave in the log what the next
        opening takes for done."""
        created, due = moments(job, self.time()[0])
        key, lane = job.key or None, job.lane or None
        values = (bytes.fromhex(job.id), job.queue, job.priority, due, created, key, pack_head(job), job.body, lane)
        try:
            if durable is not self._durable:
                self._settle_on(durable)
            before = self.connection.total_changes()
            if self._turn is None:
                self._execute(self._quick, values)
            else:
                self._turn.take()
                try:
                    self._execute(self._quick, values)
                finally:
                    self._turn.leave()
        except Again:
            return False
        except self._error as error:
            if code(error) in _UNSURE:
                raise self._told(error, committing=True) from None
            return False
        return self.connection.total_changes() > before

    def insert(self, jobs: Sequence[Job]) -> list[str]:
        statements, connection = self.statements, self.connection
        for name in {job.queue for job in jobs} if len(jobs) > 1 else (jobs[0].queue,):
            known = self._execute(statements["known_queue"], (name,)).fetchone()
            if known is None:
                self.run("new_queue", queue=name)
            elif known[0] is not None:
                raise stopped("takes no new jobs", name, known[0])
            elif known[1] is not None:
                self.run("revive", queue=name)
            if (known is None or not known[2]) and any(job.lane for job in jobs if job.queue == name):
                self.run("laned", queue=name)
        now = self.time()[0]
        rows = []
        for job in jobs:
            created, due = moments(job, now)
            key, lane = job.key or None, job.lane or None
            rows.append((bytes.fromhex(job.id), job.queue, job.priority, due, created, key, pack_head(job), job.body, lane))
        before = connection.total_changes()
        try:
            if len(rows) == 1:
                self._execute(statements["insert"], rows[0])
            else:
                whole = len(rows) - len(rows) % AT_ONCE
                some = (tuple(chain.from_iterable(rows[at : at + AT_ONCE])) for at in range(0, whole, AT_ONCE))
                connection.executemany(self._several, some)
                connection.executemany(statements["insert"], rows[whole:])
        except self._error as error:
            raise self._told(error) from None
        if connection.total_changes() - before == len(rows):
            return []
        return [job.id for job in jobs]

    def lend(self, queues: Sequence[str], limit: int, lease: int, token: int, holder: str) -> Loan:
        now, boot = self.time()
        open_queues, at, stop = passed(self._marks(queues), queues)
        until, left = boot + lease, limit
        next_lane, due_now = self.statements["next_lane"], self.statements["due"]
        rows: list[Row] = []
        numbers: list[int] = []
        for queue in open_queues:
            priority = -1
            while left and (lane := self._execute(next_lane, (queue, priority)).fetchone()) is not None:
                priority, due = lane
                if due > now:
                    continue
                found = self._execute(due_now, (until, holder, now, queue, priority, due, now, left)).fetchall()
                numbers += [row[0] for row in found]
                rows += [Row._make(row[1:]) for row in found]
                left = limit - len(rows)
        if len(numbers) == 1:
            self._execute(self.statements["lend"], (until, token, holder, now, numbers[0]))
        elif numbers:
            self.connection.executemany(self.statements["lend"], [(until, token, holder, now, number) for number in numbers])
        return Loan(rows, at if len(rows) < limit else None, stop)

    def _marks(self, queues: Sequence[str]) -> Sequence[tuple[str, str | None, int]]:
        """What holds up some of these queues: few are looked up one by one, since there may be thousands that nobody asks for."""
        if len(queues) > FEW:
            marks: list[tuple[str, str | None, int]] = self._execute(self.statements["claim_stops"]).fetchall()
            return marks
        one = self.statements["claim_stop"]
        return [row for queue in queues if (row := self._execute(one, (queue,)).fetchone()) is not None]

    def drop(self, claims: Sequence[tuple[str, int]]) -> list[bool]:
        boot = self.time()[1]
        statement, connection = self.statements["drop"], self.connection
        before = connection.total_changes()
        rows = [(bytes.fromhex(job_id), token, boot) for job_id, token in claims]
        if len(rows) == 1:
            self._execute(statement, rows[0])
            return [connection.total_changes() > before]
        answers = []
        for row in rows:
            self._execute(statement, row)
            after = connection.total_changes()
            answers.append(after > before)
            before = after
        return answers

    def next_due(self, queues: Sequence[str]) -> int | None:
        now, boot = self.time()
        stops = held_up(self, self._marks(queues), queues)
        if stops is None:
            return 0
        ends = self._execute(self.statements["first_end"]).fetchone()
        soonest = _FAR if ends is None else max(0, ends[0] - boot)
        next_lane = self.statements["next_lane"]
        for queue in queues:
            priority = -1
            while queue not in stops and (lane := self._execute(next_lane, (queue, priority)).fetchone()) is not None:
                priority, due = lane
                if due <= now:
                    return 0
                soonest = min(soonest, due - now)
        return None if soonest == _FAR else soonest
