"""A process is killed with SIGKILL at every step of a transaction: the effects and the job have happened both, or neither."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pymysql
import pytest

import ropeway

from .callers import mysql_parts

pytestmark = pytest.mark.slow

STEPS = ("begun", "effect", "put", "acked", "committed")

PROGRAM = """
import os, sys, ropeway
sys.path.insert(0, {tests!r})
from stores.sql.test_join_kill import connected
url, effects, kill = sys.argv[1:]
def step(name):
    if name == kill:
        os.kill(os.getpid(), 9)
broker = ropeway.connect(url, config=False)
claim = broker.queue("in").claim()
connection = connected(url)
cursor = connection.cursor()
step("begun")
cursor.execute(f"insert into {{effects}} values (1)")
step("effect")
broker.queue("out").put("next", tx=connection)
step("put")
claim.ack(tx=connection)
step("acked")
connection.commit()
step("committed")
"""


def connected(url: str) -> Any:
    """An application's connection to the database of a store."""
    if url.startswith("sqlite:"):
        return sqlite3.connect(url.partition(":")[2].partition("?")[0], timeout=10)
    plain = url.partition("?")[0]
    return psycopg.connect(plain) if url.startswith("postgresql:") else pymysql.connect(**mysql_parts(plain))


def said(url: str, *statements: str) -> list[Any]:
    with closing(connected(url)) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        rows = list(cursor.fetchall()) if cursor.description else []
        connection.commit()
        return rows


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
        pytest.param("mariadb", marks=pytest.mark.service("mariadb")),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The URL of a store, and a table for effects."""
    name = f"kill_{uuid4().hex[:10]}"
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/app.db?driver=sqlite3", name
        return
    server = os.environ[f"ROPEWAY_TEST_{request.param.upper()}"]
    if request.param == "postgresql":
        url = f"{server}?schema={name}"
        yield url, name + "_effects"
        said(url, "set client_min_messages = warning", f"drop schema if exists {name} cascade", f"drop table if exists {name}_effects")
        return
    url = f"{server}?prefix={name}_"
    yield url, name + "_effects"
    said(url, *[f"drop table if exists {name}_{table}" for table in ("job", "queue", "note", "waiting", "meta", "effects")])


def killed(url: str, effects: str, step: str) -> int:
    command = [sys.executable, "-c", PROGRAM.format(tests=str(Path(__file__).parents[2])), url, effects, step]
    return subprocess.run(command, timeout=60, check=False).returncode


def test_both_or_neither(place: tuple[str, str]) -> None:
    url, effects = place
    said(url, f"create table {effects} (n int)")
    done = 0
    for step in (*STEPS, "none"):
        with ropeway.connect(url, config=False) as broker:
            broker.queue("in").put(step)
        assert killed(url, effects, step) == (-signal.SIGKILL if step != "none" else 0)
        done += step in ("committed", "none")
        with ropeway.connect(url, config=False) as broker:
            counts = broker.counts(["in", "out"])
            assert said(url, f"select count(*) from {effects}")[0][0] == counts["out"].ready == done, step
            assert counts["in"].ready + counts["in"].running == (0 if step in ("committed", "none") else 1), step
            for queue in ("in",):
                _emptied(broker, queue)


def _emptied(broker: Any, queue: str) -> None:
    """Whatever is left, a claim of the dead process included."""
    wait: Callable[..., Any] = broker.queue(queue).claim
    while broker.counts([queue])[queue].ready + broker.counts([queue])[queue].running:
        if (claim := wait(timeout=5)) is not None:
            claim.ack()
