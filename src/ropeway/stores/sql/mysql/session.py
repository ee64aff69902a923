"""A connection to MariaDB, by PyMySQL. Each statement is a round trip, so the verbs are written to need few.

READ COMMITTED, so that a look at an index locks only what it takes; rows that others hold are passed over; a deadlock repeats the verb.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import pymysql
from pymysql.constants import CR, ER

from ....codec import pack_head
from ....errors import ConfigError, StoreError
from ....job import Job
from ..passing import held_up, passed
from ..record import MICRO, Row, micros, moments
from ..session import DEAD, Again, Broken, Loan, Session, Time, stopped
from ..statements import Statements

T = TypeVar("T")

NOW = "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))"  # right in every time zone that a session may have
CHUNK = 2 * 1024 * 1024  # bytes of bodies in one statement: the smallest usual max_allowed_packet is 16 MiB, and hex doubles them
IDLE = 2.0  # seconds after which a connection is asked whether it lives before it is trusted

LOST = {CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR, 1053, 1927, 0}
LATER = {ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT, ER.DUP_ENTRY, 1020}
DEADLOCK = ER.LOCK_DEADLOCK  # the one error after which the whole transaction is undone
NOT_ALL = 1644  # what a statement of ours says itself
_NO_RIGHT = {ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR}
_READ_ONLY = {ER.OPTION_PREVENTS_STATEMENT, 1792, 1836}
_REFUSED = {ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.BAD_DB_ERROR, 1698}


class _NotAll(Exception):
    """Of some jobs not all could be dropped, so none was."""


class MysqlSession(Session):
    """One connection. `given` answers the times that tests give, (None, None) for the server's own."""

    def __init__(self, connection: Any, statements: Statements, given: Callable[[], Time], cursor: Any = None) -> None:
        self.statements = statements
        self._connection = connection
        self._cursor = cursor or connection.cursor()
        self._given = given
        self._known: set[str] = set()  # queues that are there for good
        self._pending = self._open = False
        self._whole = True
        self._broken = False
        self._used = time.monotonic()

    # -- transactions

    def begin(self, durable: bool, *, whole: bool = True) -> None:  # noqa: ARG002 - MariaDB has one durability for all
        if time.monotonic() - self._used > IDLE:
            try:
                self._connection.ping(reconnect=False)
            except Exception as error:  # noqa: BLE001 - whatever it is, this connection is of no more use
                self._broken = True
                raise Broken(_text(error)) from None
        self._pending, self._whole = True, whole

    def commit(self) -> None:
        self._used = time.monotonic()
        self._pending = False
        if self._open:
            self._open = False
            self.ask("commit", None, committing=True)

    def rollback(self) -> None:
        self._pending = False
        self._known.clear()
        if self._open:
            self._open = False
            with suppress(Again, Broken, StoreError):
                self.ask("rollback", None)

    @property
    def broken(self) -> bool:
        return self._broken

    def close(self) -> None:
        with suppress(Exception):
            self._connection.close()

    # -- statements by name

    def run(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        self._start()
        return self.ask(self.statements[name], self._bound(values))

    def run_whole(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        return self.ask(self.statements[name], self._bound(values), committing=True) if self._whole else self.run(name, **values)

    def run_each(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self.run(name, **row)

    def time(self) -> tuple[int, int]:
        now, boot = self._given()
        if now is None or boot is None:
            now, boot = self.run("time")[0]
        return int(now), int(boot)

    def _start(self) -> None:
        if self._pending and not self._open:
            self.ask("start transaction", None)
            self._open = True

    def _bound(self, values: Mapping[str, Any]) -> dict[str, Any]:
        now, boot = self._given()
        bound = dict(values, now=now, boot=boot)
        if "id" in bound:
            bound["id"] = bytes.fromhex(bound["id"])
        if "ids" in bound:
            bound["ids"] = [bytes.fromhex(one) for one in bound["ids"]] or [b""]
        if "queues" in bound:
            bound["queues"] = list(bound["queues"]) or [""]
        for name in ("key", "lane"):
            if isinstance(bound.get(name), str):
                bound[name] = bound[name].encode()
        if "lanes" in bound:
            bound["lanes"] = [one.encode() for one in bound["lanes"]] or [b""]
        return bound

    def ask(self, statement: str, values: Mapping[str, Any] | None = None, *, committing: bool = False) -> list[tuple[Any, ...]]:
        def work() -> list[tuple[Any, ...]]:
            self._cursor.execute(statement, values)
            return list(self._cursor.fetchall())

        return self._guarded(work, committing)

    def _guarded(self, work: Callable[[], T], committing: bool) -> T:
        try:
            return work()
        except pymysql.MySQLError as error:
            raise self._told(error, committing) from None
        except OSError as error:
            self._broken = True
            raise Broken(_text(error), committing=committing) from None
        except BaseException:
            self._broken = True  # interrupted in the middle of an answer: what comes next would be misunderstood
            raise

    def _told(self, error: pymysql.MySQLError, committing: bool) -> Exception:
        """The driver's error as one of ours."""
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if number in LATER:
            return Again()
        if number == NOT_ALL:
            return _NotAll()
        if number in LOST or isinstance(error, pymysql.InterfaceError):
            self._broken = True
            return Broken(_text(error), committing=committing or (not self._open and not self._pending))
        return StoreError(f"MariaDB: {_text(error)}; nothing was done. {advice(number)}", definite=True)

    # -- the verbs

    def insert(self, jobs: Sequence[Job]) -> list[str]:
        if len(jobs) == 1 and self._whole and self._pending and not self._open and self._put_quick(jobs[0]):
            return []
        for name in {job.queue for job in jobs} - self._known:
            self.ask(self.statements["new_queue"], {"queue": name}) if self._whole else self.run("new_queue", queue=name)
            self._known.add(name)
        return self._insert_one(jobs[0]) if len(jobs) == 1 else self._insert_many(jobs)

    def _put_quick(self, job: Job) -> bool:
        """The whole of a transaction in one round trip with an answer of some bytes. False: nothing was stored, and `put` says why."""
        now = self._given()[0]
        said = NOW if now is None else str(now)
        created = str(micros(job.created)) if job.created else f"last_insert_id({said})"
        due = str(micros(job.due)) if job.due else f"{micros(job.created) if job.created else said} + {micros(job.delay)}"
        key = f"x'{job.key.encode().hex()}'" if job.key else "null"
        lane = f"x'{job.lane.encode().hex()}'" if job.lane else "null"
        # all of it is checked: 32 hex digits, a name, numbers; bytes go as hex
        row = f"x'{job.id}','{job.queue}',{job.priority},{created},{due},{key},x'{pack_head(job).hex()}',x'{job.body.hex()}',{lane}"
        text = self.statements["put_quick"].replace("%%queue%%", job.queue).replace("%%laned%%", "1" if job.lane else "0")
        connection = self._connection
        if not self._guarded(lambda: connection.query(text.replace("%%row%%", row)), committing=True):
            return False
        made = micros(job.created) if job.created else connection.insert_id()
        job.created, job.due = job.created or made / MICRO, job.due or (made + micros(job.delay)) / MICRO
        return True

    def _insert_one(self, job: Job) -> list[str]:
        """One round trip: the statement is a transaction of its own, unless it stands in a commit."""
        values = {
            "id": job.id,
            "queue": job.queue,
            "priority": job.priority,
            "due": micros(job.due) if job.due else None,
            "created": micros(job.created) if job.created else None,
            "delay": micros(job.delay),
            "key": job.key or None,
            "lane": job.lane or None,
            "head": pack_head(job),
            "body": job.body,
        }
        if not self._whole:
            self._start()
        rows = self.ask(self.statements["put"], self._bound(values), committing=self._whole)
        if not rows:
            self._admit([job])
            rows = self.ask(self.statements["put"], self._bound(values), committing=self._whole)
            if not rows:
                raise Again  # stopped or dropped in between
        here, created, due, state = rows[0][0].split()
        if here != job.id or int(state) >= DEAD:
            return [job.id]  # its key is taken; or it has ended, and may be one that should have been forgotten
        job.created, job.due = job.created or int(created) / MICRO, job.due or int(due) / MICRO
        return []

    def _insert_many(self, jobs: Sequence[Job]) -> list[str]:
        now = self._admit(jobs)
        rows = []
        for job in jobs:
            created, due = moments(job, now)
            key = f"x'{job.key.encode().hex()}'" if job.key else "null"
            lane = f"x'{job.lane.encode().hex()}'" if job.lane else "null"
            head = pack_head(job).hex()
            # all of it is checked: 32 hex digits, a name, numbers; bytes go as hex
            rows.append(f"(x'{job.id}','{job.queue}',{job.priority},{due},{created},{key},x'{head}',x'{job.body.hex()}',{lane})")
        new = sum(self._insert_rows(some) for some in _chunks(rows))
        return [] if new == len(rows) else [job.id for job in jobs]

    def _admit(self, jobs: Sequence[Job]) -> int:
        """Make the queues ready for these jobs; what time it is."""
        switches = self.run("put_switches", queues={job.queue for job in jobs})
        for _, name, reason, dropped, lanes in switches:
            if reason is not None:
                raise stopped("takes no new jobs", name, reason)
            if dropped is not None:
                self.run("revive", queue=name)
            if name is not None and not lanes and any(job.lane for job in jobs if job.queue == name):
                self.run("laned", queue=name)
        return int(switches[0][0])

    def _insert_rows(self, rows: Sequence[str]) -> int:
        self.ask(self.statements["insert_many"].replace("%%rows%%", ",".join(rows)), None)
        return int(self._cursor.rowcount)

    def lend(self, queues: Sequence[str], limit: int, lease: int, token: int, holder: str) -> Loan:
        open_queues, at, stop = passed(self.run("claim_stops", queues=queues), queues)
        rows: list[Row] = []
        now = 0
        for queue in open_queues:
            priority = -1
            while len(rows) < limit and (lane := self.run("head", queue=queue, priority=priority)):
                priority, due, now = lane[0]
                if due <= now:
                    found = self.run("due", queue=queue, priority=priority, high=now, limit=limit - len(rows))
                    rows += map(Row._make, found)
        if rows:
            self.run("lend", ids=[row.id for row in rows], lease=lease, token=token, holder=holder)
        rows = [row._replace(attempts=row.attempts + 1, claimed=now, state=1, holder=holder) for row in rows]
        return Loan(rows, at if len(rows) < limit else None, stop)

    def drop(self, claims: Sequence[tuple[str, int]]) -> list[bool]:
        by_token: dict[int, list[str]] = {}
        for job_id, token in dict.fromkeys(claims):
            by_token.setdefault(token, []).append(job_id)
        whole = self._whole and len(by_token) == 1 and not self._open
        gone = {(job_id, token) for token, ids in by_token.items() for job_id in self._dropped(ids, token, whole)}
        answers = []
        for claim in claims:
            answers.append(claim in gone)
            gone.discard(claim)
        return answers

    def _dropped(self, ids: Sequence[str], token: int, whole: bool) -> Sequence[str]:
        """Which of these were deleted. `whole`: this is all that the transaction does, so one round trip should do."""
        values = {"ids": ids, "token": token}
        if len(ids) == 1:
            self.ask(self.statements["drop"], self._bound(values), committing=True) if whole else self.run("drop", **values)
            return ids if self._cursor.rowcount else []
        if whole:
            self._open = True  # until it has ended: what goes wrong within may leave its transaction open
            try:
                self.ask(self.statements["drop_all"], self._bound({**values, "count": len(ids)}), committing=True)
            except _NotAll:
                self._open = False
            else:
                self._open = False
                return ids
        held = [job_id for (job_id,) in self.run("droppable", **values)]
        if held:
            self.run("drop", ids=held, token=token)
        return held

    def next_due(self, queues: Sequence[str]) -> int | None:
        end, now, waits, off = self.run("glance", queues=queues)[0]
        if waits is None and not off:
            return None if end is None else max(0, int(end))
        stops = held_up(self, self.run("claim_stops", queues=queues), queues) if off else ()
        if stops is None:
            return 0
        soonest = None if end is None else max(0, int(end))
        for queue in queues:
            priority = -1
            while queue not in stops and (lane := self.run("head", queue=queue, priority=priority)):
                priority, due, now = lane[0]
                if due <= now:
                    return 0
                soonest = due - now if soonest is None else min(soonest, due - now)
        return soonest


def _chunks(rows: Sequence[str]) -> list[list[str]]:
    """Rows in statements of a bearable length."""
    out: list[list[str]] = [[]]
    length = 0
    for row in rows:
        if length + len(row) > 2 * CHUNK and out[-1]:
            out.append([])
            length = 0
        out[-1].append(row)
        length += len(row)
    return out


def advice(number: int) -> str:
    """What to do about an error of the server."""
    if number in _NO_RIGHT:
        return "Ask the owner of the tables for that right"
    if number in _READ_ONLY:
        return "Write to the primary, or wait until this server takes writes"
    return "Look with `ropeway check`"


def _text(error: BaseException) -> str:
    """What the driver says, on one line."""
    said = error.args[1] if len(error.args) > 1 else (error.args[0] if error.args else type(error).__name__)
    return " ".join(str(said).split())[:300]


def refusal(error: pymysql.MySQLError, url: str) -> Exception:
    """Why a connection was refused: for good, or for now."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if number in _REFUSED:
        return ConfigError(f"{url}: {_text(error)}; nothing was opened. Look at the user, the password and the database in the URL")
    return Broken(_text(error))
