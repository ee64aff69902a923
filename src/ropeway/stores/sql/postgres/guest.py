"""A session on a connection of the caller's to the same database, by psycopg or psycopg2: through a cursor, as any other statement of his.

All values go as text with a cast, so that no adapter of the program has a say in them. Whoever waits is rung by a trigger that runs at the
end of the transaction: who was awake when the job was put may sleep by then.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ....errors import StoreError
from ..foreign import Foreign, no_transaction, refused
from ..joining import Guest
from ..session import Again, Broken, Time
from ..statements import Statements
from .calls import kind_of, text_array
from .faults import LATER, advice
from .session import PostgresSession

SAVEPOINT = "ropeway_guest"
DRIVERS = ("psycopg", "psycopg2")
WHO = "select pg_postmaster_start_time()::text || ' ' || (select oid from pg_database where datname = current_database())::text"
IDLE, FAILED = 0, 3  # libpq's words for: no transaction, and one in which a statement has failed


def bind(name: str) -> str:
    """How a value stands in a statement of a guest's."""
    return f"%({name})s::{kind_of(name)}"


class PostgresGuest(PostgresSession, Guest):
    """Its transactions are savepoints. `bell`: whether a trigger rings."""

    def __init__(self, tx: Foreign, statements: Statements, given: Callable[[], Time], url: str, *, bell: bool) -> None:
        if tx.driver not in DRIVERS:
            raise refused(f"a connection of {tx.driver} does not lead to {url}")
        self.statements = statements
        self._connection = tx.connection
        self._given = given
        self._rings = bell
        self._bell = self._over = self._pending = self._open = self._pinned = False
        self._cursor = _cursor(tx)
        status = _status(tx.connection)
        if status == FAILED:
            raise refused("a statement of this transaction has failed, so that PostgreSQL takes no other: roll it back first")
        if status == IDLE and tx.connection.autocommit:
            raise no_transaction("Write: with connection.transaction(): ..., or connect without autocommit")

    def server(self) -> str:
        """Which server and database it leads to."""
        return str(self._say(WHO)[0][0])

    # -- transactions

    def begin(self, durable: bool, *, whole: bool = True) -> None:  # noqa: ARG002 - the caller decides how safe his commit is
        self._say(f"savepoint {SAVEPOINT}")

    def commit(self) -> None:
        self._say(f"release savepoint {SAVEPOINT}")

    def rollback(self) -> None:
        try:
            self._say(f"rollback to savepoint {SAVEPOINT}")
            self._say(f"release savepoint {SAVEPOINT}")
        except (Again, Broken, StoreError):
            pass  # the connection is gone, and the transaction with it: the error on its way says so

    @property
    def broken(self) -> bool:
        return False

    def close(self) -> None:
        """It is the caller's."""

    # -- statements

    def run_each(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self._ask(name, dict(row))

    def _ask(self, name: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        rows = self._say(self.statements[name], {key: _text(value) for key, value in self._timed(values).items()})
        return [(str(row[0]).replace("-", ""), row[1]) for row in rows] if name == "drop" else rows

    def _verb(self, name: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self._ask(name, values | {"relaxed": False})

    def _say(self, statement: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        cursor = self._cursor
        try:
            cursor.execute(statement, values)
            rows = cursor.fetchall() if cursor.description else ()
        except Exception as error:
            code = str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
            if not code and not hasattr(error, "pgcode") and not hasattr(error, "sqlstate"):
                raise
            text = " ".join(str(error).split())[:300]
            if not code or code[:2] in ("08", "57"):
                raise Broken(f"PostgreSQL: {text}") from None
            if code.encode() in LATER:
                raise Again(text) from None
            raise StoreError(f"PostgreSQL: {text} ({code}); nothing was done. {advice(code.encode())}", definite=True) from None
        return [tuple(bytes(one) if isinstance(one, memoryview) else one for one in row) for row in rows]

    # -- ringing

    def ring(self, queues: Sequence[str]) -> bool:
        if self._rings:
            counts = Counter(queues)
            self.run("ring_later", queues=list(counts), jobs=list(counts.values()))
        return self._rings


def _text(value: Any) -> Any:
    """A value as PostgreSQL reads it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, list):
        return text_array(["\\x" + one.hex() if isinstance(one, bytes) else None if one is None else str(one) for one in value]).decode()
    return str(value)


def _cursor(tx: Foreign) -> Any:
    """A cursor whose rows are tuples, whatever the connection makes by itself."""
    if tx.driver == "psycopg2":
        return tx.connection.cursor(cursor_factory=sys.modules["psycopg2.extensions"].cursor)
    if hasattr(tx.connection, "pgconn"):
        return tx.connection.cursor(row_factory=sys.modules["psycopg.rows"].tuple_row)
    return tx.connection.cursor()  # SQLAlchemy's face of an asynchronous connection


def _status(connection: Any) -> int:
    connection = getattr(connection, "_connection", connection)  # of SQLAlchemy's face
    return int(connection.info.transaction_status)
