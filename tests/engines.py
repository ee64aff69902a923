"""The engines, for tests that concern them all: one line each. A place is a URL that nobody else uses, cleared away afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

Place = Callable[[Path], AbstractContextManager[str]]


@contextmanager
def memory(_: Path) -> Iterator[str]:
    yield f"memory:{uuid4().hex}"


@contextmanager
def directory(folder: Path) -> Iterator[str]:
    yield f"dir:{folder}/{uuid4().hex}?durability=os&bell=off"


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:{folder}/{uuid4().hex}.db?durability=os"


@contextmanager
def postgres(_: Path) -> Iterator[str]:
    from stores.sql.postgres import Place as Schema

    schema = Schema(os.environ["ROPEWAY_TEST_POSTGRESQL"], "any")
    try:
        yield schema.url
    finally:
        schema.drop()


@contextmanager
def mysql(_: Path) -> Iterator[str]:
    from stores.sql.mariadb import Place as Tables

    tables = Tables(os.environ["ROPEWAY_TEST_MARIADB"], uuid4().hex[:8])
    try:
        yield tables.url
    finally:
        tables.drop()


@contextmanager
def redis(_: Path) -> Iterator[str]:
    from stores.redis.servers import namespace, wipe

    server, name = os.environ["ROPEWAY_TEST_REDIS"], namespace()
    try:
        yield f"{server}?namespace={name}"
    finally:
        wipe(server, name)


# name: (its place, the service that it needs or nothing, whether other processes see it)
ENGINES: dict[str, tuple[Place, str, bool]] = {
    "memory": (memory, "", False),
    "dir": (directory, "", True),
    "sqlite": (sqlite, "", True),
    "postgresql": (postgres, "postgresql", True),
    "mysql": (mysql, "mariadb", True),
    "redis": (redis, "redis", True),
}


def engines(*, processes: bool = False) -> list[Any]:
    """The names as parameters of a test; `processes`: only those that other processes see."""
    return [
        pytest.param(name, marks=[pytest.mark.service(service)] if service else [])
        for name, (_, service, shared) in ENGINES.items()
        if shared or not processes
    ]


def pairs(*, processes: bool = False) -> list[Any]:
    """Each engine with each, itself as well."""
    some = engines(processes=processes)
    return [pytest.param(*one.values, *other.values, marks=[*one.marks, *other.marks]) for one in some for other in some]


def place(name: str, folder: Path) -> AbstractContextManager[str]:
    """A fresh place of this engine."""
    return ENGINES[name][0](folder)
