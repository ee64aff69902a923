"""Whose transaction: what a program may give as `tx`, told by the names of its classes, so that none of these libraries is ever imported.

A DB-API connection or cursor; a SQLAlchemy Session or Connection (1.4 and 2, also the synchronous side of the asynchronous ones); a Django
connection. Of each: the connection below it, and a way to be called once its transaction is committed, if it has one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from ...errors import BadValue
from ...names import shown

Hook = Callable[[Callable[[], None]], None]

WHAT = (
    "Pass a DB-API connection or cursor, a SQLAlchemy Session or Connection, or a Django connection, with a transaction open on the "
    "database of the store"
)
# module of the connection's class: the driver
_DRIVERS = {"sqlite3": "sqlite3", "apsw": "apsw", "psycopg": "psycopg", "psycopg2": "psycopg2", "pymysql": "pymysql", "MySQLdb": "MySQLdb"}
_INFO = "ropeway_rings"  # in Session.info of SQLAlchemy


class Foreign(NamedTuple):
    """A connection of the caller's. `driver` names its library. `after_commit` has a function called once the transaction is committed;
    None where the library has no such thing."""

    connection: Any
    driver: str
    after_commit: Hook | None = None


def foreign(tx: Any) -> Foreign:
    """Raises BadValue for what is no connection of a library that is known here."""
    if type(tx).__name__.startswith("Async") or hasattr(tx, "run_sync"):
        raise refused(
            f"{_shown(tx)} is asynchronous, and this call is not. Pass an AsyncSession of SQLAlchemy to the awaitable twin (aput, aack); "
            "other asynchronous connections cannot be joined"
        )
    library = _library(tx)
    if library == "sqlalchemy":
        return _sqlalchemy(tx)
    if library == "django" or (hasattr(tx, "_connections") and hasattr(tx, "_alias")):  # django.db.connection is a proxy
        return _django(tx)
    connection = tx if hasattr(tx, "cursor") else getattr(tx, "connection", None)
    driver = _DRIVERS.get(_library(connection), "")
    if not driver or not hasattr(connection, "cursor"):
        raise refused(f"{_shown(tx)} is no connection that ropeway knows. {WHAT}")
    return Foreign(connection, driver)


def refused(why: str) -> BadValue:
    """Why a transaction cannot be joined."""
    return BadValue(f"tx= cannot be joined: {why}; nothing was done")


def no_transaction(advice: str) -> BadValue:
    return refused(f"the connection has no transaction open and commits each statement by itself. {advice}")


def _library(thing: Any) -> str:
    """The library that an object's class comes from, or one of the classes above it: programs make classes of their own of these."""
    for one in type(thing).__mro__:
        name = one.__module__.partition(".")[0]
        if name in ("sqlalchemy", "django") or name in _DRIVERS:
            return name
        if name == "_sqlite3":
            return "sqlite3"
    return ""


def _shown(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}" if not isinstance(thing, str) else shown(thing)


# -- SQLAlchemy


def _sqlalchemy(tx: Any) -> Foreign:
    session = None
    if hasattr(tx, "registry") and callable(tx) and not hasattr(tx, "get_transaction"):  # a scoped_session
        tx = tx()
    if hasattr(tx, "get_bind") and hasattr(tx, "info") and not hasattr(tx, "exec_driver_sql"):
        session, tx = tx, tx.connection()
    if not hasattr(tx, "exec_driver_sql") or not hasattr(tx, "in_transaction"):
        raise refused(f"{_shown(tx)} has no transaction of its own. {WHAT}")
    if not tx.in_transaction():
        tx.exec_driver_sql("select 1")  # begins one, as any statement of yours would
    if not tx.in_transaction():
        raise no_transaction("Write: with connection.begin(): ...")
    pooled = tx.connection
    connection = getattr(pooled, "dbapi_connection", None) or pooled.connection
    driver = _DRIVERS.get(_library(connection), "") or ("psycopg" if tx.dialect.driver.startswith("psycopg") else "")
    if not driver:
        raise refused(f"ropeway does not know SQLAlchemy's driver {shown(tx.dialect.driver)}; it knows {', '.join(sorted(_DRIVERS))}")
    return Foreign(connection, driver, None if session is None else lambda call: _after_session(session, call))


class _Calls(list[Callable[[], None]]):
    """What a session has to call."""


def _after_session(session: Any, call: Callable[[], None]) -> None:
    """Once the session has committed; dropped when it rolls back. The listeners are hung up once for each session, and stay."""
    waiting: _Calls | None = session.info.get(_INFO)
    if waiting is None:
        waiting = session.info[_INFO] = _Calls()
        event = sys.modules["sqlalchemy"].event

        def committed(one: Any) -> None:
            if not one.in_nested_transaction():  # a savepoint is no commit
                calls = list(one.info[_INFO])
                one.info[_INFO].clear()
                for each in calls:
                    each()

        def rolled_back(one: Any) -> None:
            if not one.in_nested_transaction():
                one.info[_INFO].clear()

        event.listen(session, "after_commit", committed)
        event.listen(session, "after_rollback", rolled_back)
    waiting.append(call)


# -- Django


def _django(tx: Any) -> Foreign:
    if _library(tx) == "django" and not hasattr(tx, "ensure_connection"):  # a cursor of Django
        tx = getattr(tx, "db", tx)
    if not hasattr(tx, "ensure_connection") or not hasattr(tx, "on_commit"):
        raise refused(f"{_shown(tx)} is no connection of Django: pass django.db.connection or django.db.connections[alias]")
    tx.ensure_connection()
    if tx.needs_rollback:
        raise refused("Django has marked this transaction to be rolled back")
    if not tx.in_atomic_block and tx.get_autocommit():
        raise no_transaction("Write: with transaction.atomic(): ...")
    driver = _DRIVERS.get(_library(tx.connection), "")
    if not driver:
        raise refused(f"ropeway does not know Django's driver {_shown(tx.connection)}; it knows {', '.join(sorted(_DRIVERS))}")
    return Foreign(tx.connection, driver, tx.on_commit if tx.in_atomic_block else None)
