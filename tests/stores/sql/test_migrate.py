"""The tables are made on first use, rolled forward while older processes work, and left alone by those who would not understand them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import place
from ropeway.errors import StoreError
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Holder
from ropeway.stores import open_store
from ropeway.stores.sql import schema, statements
from ropeway.stores.sql.postgres import tables
from ropeway.stores.sql.store import SqlStore

NOW = schema.VERSION
HOLDER = Holder("host:1:test")
new_id = IdMaker(lambda: 10**18, os.urandom)
ENGINES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
    pytest.param("mysql", marks=pytest.mark.service("mariadb")),
]


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as one:
        yield one


def opened(url: str) -> SqlStore:
    store = open_store(url)
    assert isinstance(store, SqlStore)
    return store


def works(store: SqlStore) -> None:
    """A job goes through."""
    assert store.put([Job(new_id(), "q")]) == [True]
    (lent,) = store.claim(["q"], 1, 30.0, HOLDER)
    assert store.ack([Ack(lent.receipt)]) == [True]


def newer(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    """This process is a release with the next version of the tables."""
    for module in (schema, tables):
        monkeypatch.setattr(module, "VERSION", NOW + 1)
        monkeypatch.setattr(module, "LEAST", least)
    read = statements.read

    def more(path: str) -> list[tuple[str, str, str]]:
        step = (f"step_{NOW + 1}_mark", "a column that only the newer one knows", "alter table {job} add column mark integer")
        return [*read(path), *([step] if path.endswith("/schema.sql") else [])]

    monkeypatch.setattr(statements, "read", more)


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_made_once(url: str) -> None:
    first, second = opened(url), opened(url)
    assert first.migrate() == (0, NOW)
    assert second.migrate() == (NOW, NOW)
    works(first)
    works(second)
    first.close()
    second.close()


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_rolled_forward_under_those_who_work(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = opened(url)
    works(old)
    with monkeypatch.context() as patch:
        newer(patch, least=NOW)
        new = opened(url)
        works(new)
        assert new.version_found == NOW
        works(old)
        new.close()
    late = opened(url)  # of the older release, started after the step
    works(late)
    assert late.version_found == NOW + 1
    late.close()
    old.close()


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_tables_that_are_too_new_are_left_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        newer(patch, least=NOW + 1)
        new = opened(url)
        works(new)
        new.close()
    late = opened(url)
    with pytest.raises(StoreError, match=f"have version {NOW + 1}, this ropeway knows up to {NOW}; nothing was done"):
        late.put([Job(new_id(), "q")])
    late.close()


def test_the_command(tmp_path: Path) -> None:
    def said(*more: str) -> str:
        command = [sys.executable, "-m", "ropeway", "-u", f"sqlite:{tmp_path}/jobs.db", "-o", "table", "migrate", *more]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    assert 'create table if not exists "ropeway_job"' in said("--sql")
    assert f"version {NOW} now, and were made" in said()
    assert f"version {NOW}: nothing to do" in said()
