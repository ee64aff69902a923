"""Applications with connections of their own: one of each library that can be passed as `tx`, and how it goes about it."""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import urlsplit

import apsw
import psycopg
import pymysql

from ropeway.testing.contract import Caller


def by_apsw(path: str) -> Caller:
    one = apsw.Connection(path)
    one.set_busy_timeout(10_000)
    return Caller(
        one, lambda: one.execute("begin immediate"), lambda: one.execute("commit"), lambda: one.in_transaction and one.execute("rollback")
    )


def by_sqlite3(path: str, **more: Any) -> Caller:
    one = sqlite3.connect(path, timeout=10, **more)
    return Caller(one, str, one.commit, one.rollback)


def by_psycopg(url: str) -> Caller:
    one = psycopg.connect(url)
    return Caller(one, str, one.commit, one.rollback)


def by_pymysql(url: str) -> Caller:
    one = pymysql.connect(**mysql_parts(url))
    return Caller(one, one.begin, one.commit, one.rollback)


def mysql_parts(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 3306,
        "user": parts.username or "root",
        "password": parts.password or "",
        "database": parts.path.strip("/"),
    }
