"""A place in the PostgreSQL of this machine for each test: a schema of its own, made by the store and emptied before each use."""

from __future__ import annotations

import os
from typing import Any
from uuid import uuid4

import psycopg

TABLES = ("job", "queue", "note", "waiting", "place")


class Place:
    """One schema. `url` may be opened any number of times."""

    def __init__(self, server: str, name: str = "") -> None:
        self.schema = f"test_{name}_{os.getpid()}_{uuid4().hex[:6]}"
        self.server = server
        self.url = f"{server}?schema={self.schema}"
        self.connection: psycopg.Connection[Any] = psycopg.connect(server, autocommit=True)

    def ask(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """A statement of the test's own, past the store; unqualified names are those of this place."""
        self.connection.execute(f'set search_path = "{self.schema}"')
        cursor = self.connection.execute(text, values or None)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        there = self.ask("select tablename from pg_tables where schemaname = %s", self.schema)
        for table in TABLES:
            if (f"ropeway_{table}",) in there:
                self.ask(f"truncate ropeway_{table}" if table == "job" else f"delete from ropeway_{table}")

    def drop(self) -> None:
        self.connection.execute("set client_min_messages = warning")
        self.connection.execute(f'drop schema if exists "{self.schema}" cascade')
        self.connection.close()
