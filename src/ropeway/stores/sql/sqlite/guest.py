"""A session on a connection of the caller's to the same file. Nothing of ours opens or closes that file meanwhile."""

from __future__ import annotations

import os
from typing import Any

from ....errors import StoreError
from ..foreign import Foreign, no_transaction, refused
from ..joining import Guest
from ..schema import VERSION, make_tables
from .drivers import Connection, Driver, Plain
from .session import SqliteSession

SAVEPOINT = "ropeway_guest"


class SqliteGuest(SqliteSession, Guest):
    """Its transactions are savepoints."""

    def settle_in(self, url: str) -> None:
        """The tables, if nobody has made them: they come and go with the caller's transaction, since nobody else could write now."""
        try:
            found = self.run("read_meta", key="schema")
        except StoreError:
            found = []
        if found != [(str(VERSION),)]:
            make_tables(self, url, "")

    def begin(self, durable: bool, *, whole: bool = True) -> None:  # noqa: ARG002 - the caller decides how safe his commit is
        self._spoken(f"savepoint {SAVEPOINT}")

    def commit(self) -> None:
        self._spoken(f"release {SAVEPOINT}")

    def rollback(self) -> None:
        try:
            if self.connection.in_transaction:
                self._execute(f"rollback to {SAVEPOINT}")
                self._execute(f"release {SAVEPOINT}")
        except self._error:
            pass  # SQLite has rolled back everything by itself: the disk is full, perhaps; the error on its way says so

    def close(self) -> None:
        """It is the caller's."""

    def _spoken(self, statement: str) -> None:
        try:
            self._execute(statement)
        except self._error as error:
            raise self._told(error) from None


class _Own(Plain):
    """A connection of apsw, whatever tracers its owner has put on it."""

    def execute(self, statement: str, values: Any = None, /) -> Any:
        cursor = self.connection.cursor()
        cursor.row_trace = _as_it_is
        return cursor.execute(statement, values)

    def total_changes(self) -> int:
        return int(self.connection.total_changes())


def _as_it_is(_: Any, row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row


def transaction_of(tx: Foreign, driver: Driver, path: str, url: str) -> Connection:
    """The caller's connection, with a transaction open on this file. Raises BadValue for all else."""
    if tx.driver not in ("sqlite3", "apsw"):
        raise refused(f"a connection of {tx.driver} does not lead to {url}")
    if tx.driver != driver.name:
        raise refused(_TWO.format(theirs=tx.driver, ours=driver.name, url=url, advice=_ADVICE[driver.name]))
    connection = _Own(tx.connection) if tx.driver == "apsw" else Plain(tx.connection)
    try:
        file = next((row[2] for row in connection.execute("pragma database_list").fetchall() if row[1] == "main"), "")
        if not _same(file, path):
            raise refused(f"the connection has {file or 'a database in memory'} open, and {url} is {path}")
        if not connection.in_transaction:
            level = getattr(tx.connection, "isolation_level", None)
            if tx.driver == "apsw" or level is None or getattr(tx.connection, "autocommit", None) is True:
                raise no_transaction("Begin one first: connection.execute('begin immediate')")
            connection.execute("begin immediate")  # as the library itself does before a statement that writes
    except driver.error as error:
        raise refused(f"SQLite: {error}") from None
    return connection


def _same(file: str, path: str) -> bool:
    try:
        return bool(file) and os.path.samefile(file, path)
    except OSError:
        return False


_ADVICE = {
    "apsw": "Open the store with driver=sqlite3, as in sqlite:app.db?driver=sqlite3, in every place of this program",
    "sqlite3": "Leave driver=sqlite3 out of the URL, or connect with sqlite3",
}
_TWO = (
    "it is a connection of {theirs}, and {url} is used by {ours}. Two copies of SQLite in one process break each other's locks, and then "
    "the file. {advice}"
)
