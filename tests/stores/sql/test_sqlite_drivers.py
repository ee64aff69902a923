"""One file, one copy of SQLite in a process: what is refused, and what only looks like it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ropeway.errors import ConfigError
from ropeway.stores import open_store
from ropeway.stores.sql.sqlite import drivers


def test_a_file_that_is_open_by_another_copy_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as app:
        app.execute("create table t (x)")
        store = open_store(f"sqlite:{tmp_path}/app.db")
        with pytest.raises(ConfigError, match="Two copies"):
            store.queues()


def test_a_thread_of_ours_that_comes_first_is_no_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread opens the file between our looking whether we have used it and our looking whether it is open."""
    path, ours, really = str(tmp_path / "jobs.db"), drivers.driver("apsw"), drivers._is_open
    others = []

    def late(real: str) -> bool:
        monkeypatch.setattr(drivers, "_is_open", really)
        drivers.check_alone(ours, path, "the other thread's")
        others.append(path)
        return True  # open by now, by a connection that is still being made and not told of yet

    monkeypatch.setattr(drivers, "_is_open", late)
    drivers.check_alone(ours, path, "ours")
    assert others == [path]


def test_a_thread_of_ours_that_is_just_making_the_file_is_no_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the file open for an instant, before any copy of SQLite has."""
    looks = iter([True, True, False])
    monkeypatch.setattr(drivers, "_is_open", lambda _: next(looks))
    drivers.check_alone(drivers.driver("apsw"), str(tmp_path / "new.db"), "ours")
