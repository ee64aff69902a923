"""A session on a connection of the caller's to the same MariaDB, by PyMySQL or mysqlclient.

The caller's session may have another time zone, character set, isolation and database in use: the statements name the database of their
tables, and bytes go as text in hex. No statement here ends a transaction by itself, as any `create table` would.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ....errors import StoreError
from ....job import Job
from ..foreign import Foreign, no_transaction, refused
from ..joining import Guest
from ..session import Again, Broken, Time
from ..statements import Statements
from .session import DEADLOCK, LATER, LOST, MysqlSession, advice

SAVEPOINT = "ropeway_guest"
DRIVERS = ("pymysql", "MySQLdb")
BYTES = frozenset({"id", "key", "lane", "head", "body", "past", "result", "value"})
WHO = "select @@autocommit, @@in_transaction, concat(@@hostname, ' ', @@port, ' ', @@datadir, ' ', coalesce(@@server_uid, ''))"

_MANY = re.compile(r"%\((ids|queues|lanes)\)s")


def bind(name: str) -> str:
    """How a value stands in a statement of a guest's."""
    return f"unhex(%({name})s)" if name in BYTES else f"%({name})s"


class MysqlGuest(MysqlSession, Guest):
    """Its transactions are savepoints."""

    def __init__(self, tx: Foreign, statements: Statements, given: Callable[[], Time], server: str, url: str) -> None:
        if tx.driver not in DRIVERS:
            raise refused(f"a connection of {tx.driver} does not lead to {url}")
        plain = getattr(sys.modules.get(f"{tx.driver}.cursors"), "Cursor", None)
        super().__init__(tx.connection, statements, given, tx.connection.cursor(plain))
        self._whole = False
        autocommit, open_, theirs = self.ask(WHO)[0]
        if theirs != server:
            raise refused(f"the connection leads to another server than {url}")
        if autocommit and not open_:
            raise no_transaction("Call connection.begin() first, or connect with autocommit=False")

    def begin(self, durable: bool, *, whole: bool = True) -> None:  # noqa: ARG002 - the caller decides how safe his commit is
        self.ask(f"savepoint {SAVEPOINT}")

    def commit(self) -> None:
        self.ask(f"release savepoint {SAVEPOINT}")

    def rollback(self) -> None:
        with suppress(Again, Broken, StoreError):  # after a deadlock there is no savepoint any more
            self.ask(f"rollback to savepoint {SAVEPOINT}")
            self.ask(f"release savepoint {SAVEPOINT}")

    def close(self) -> None:
        """It is the caller's."""

    def insert(self, jobs: Sequence[Job]) -> list[str]:
        """Their queues are there already: to make sure again would lock them for all others until the caller commits. So would a word for
        duplicates that locks the gap where there is none."""
        return self._insert_many(jobs)

    def _insert_rows(self, rows: Sequence[str]) -> int:
        self.ask(self.statements["insert_beside"].replace("%%rows%%", ",".join(rows)), None)
        return int(self._cursor.rowcount)

    def ask(self, statement: str, values: Mapping[str, Any] | None = None, *, committing: bool = False) -> list[tuple[Any, ...]]:  # noqa: ARG002
        if values is not None:
            statement, values = spread(statement, values)
        try:
            self._cursor.execute(statement, values)
            return [tuple(row) for row in self._cursor.fetchall()]
        except Exception as error:
            number = error.args[0] if error.args and isinstance(error.args[0], int) else -1
            if number < 0 and not isinstance(error, OSError):
                raise
            text = str(error.args[-1])
            if number == DEADLOCK:
                raise Broken(f"MariaDB: {text}") from None
            if number in LATER:
                raise Again() from None
            if number in LOST or isinstance(error, OSError):
                raise Broken(f"MariaDB: {text}") from None
            raise StoreError(f"MariaDB: {text}; nothing was done. {advice(number)}", definite=True) from None


def spread(statement: str, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Bytes as hex, and a value of its own for each of many: no driver's own way with bytes and lists has a say."""
    out = {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items() if not isinstance(value, list)}

    def each(found: re.Match[str]) -> str:
        many = values[found[1]]
        names = [f"{found[1]}_{place}" for place in range(len(many))]
        out.update({name: one.hex() if isinstance(one, bytes) else one for name, one in zip(names, many, strict=True)})
        return "(" + ", ".join(f"unhex(%({name})s)" if found[1] != "queues" else f"%({name})s" for name in names) + ")"

    return _MANY.sub(each, statement), out
