"""A place in the MariaDB of this machine for each test: tables under a prefix of this process, emptied before each use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest

TABLES = ("job", "queue", "note", "waiting", "meta", "place")


def connected(url: str) -> Any:
    """A connection of the test's own, past the store."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username, password="", database=parts.path.strip("/"), autocommit=True
    )


class Place:
    """One set of tables. `url` may be opened any number of times."""

    def __init__(self, server: str, name: str) -> None:
        self.prefix = f"test_{name}_{os.getpid()}_"
        self.url = f"{server}?prefix={self.prefix}"
        self._connection = connected(server)

    def empty(self) -> None:
        cursor = self._connection.cursor()
        cursor.execute("select table_name from information_schema.tables where table_schema = database()")
        there = {name for (name,) in cursor.fetchall()}
        for table in TABLES:
            if self.prefix + table in there and table != "meta":
                cursor.execute(f"delete from `{self.prefix}{table}`")

    def drop(self) -> None:
        cursor = self._connection.cursor()
        for table in TABLES:
            cursor.execute(f"drop table if exists `{self.prefix}{table}`")
        self._connection.close()


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    made = Place(os.environ["ROPEWAY_TEST_MARIADB"], request.module.__name__.rpartition("_")[2][:12])
    yield made
    made.drop()
