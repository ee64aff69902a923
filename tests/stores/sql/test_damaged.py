"""What cannot be read in the table: damage is given up with its reason, what a newer ropeway has put is left for it, the others go on."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropeway.ids import IdMaker
from ropeway.job import Job, State
from ropeway.store import Ack, Holder, Query, Store
from ropeway.stores import open_store

from . import mariadb, postgres

HOLDER = Holder("host:1:damaged", bound=False)
FUTURE = b"\x63whatever it may be"
DAMAGE = {"cut": b"\x01\x9f\xd9", "emptied": b"", "zeroed": bytes(40), "noise": b"\x01\xc1\xff\x00 noise"}
new_id = IdMaker(time.time_ns, os.urandom)

Write = Callable[[str, bytes], None]
ENGINES = [
    "sqlite",
    pytest.param("mariadb", marks=pytest.mark.service("mariadb")),
    pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
]


@pytest.fixture(params=ENGINES)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Write]]:
    """A store, and what writes the envelope of a job past it."""
    yield from {"sqlite": lambda: in_sqlite(tmp_path), "mariadb": in_mariadb, "postgresql": in_postgresql}[request.param]()


def in_sqlite(folder: Path) -> Iterator[tuple[Store, Write]]:
    store = open_store(f"sqlite:{folder}/jobs.db?driver=sqlite3")

    def write(job_id: str, head: bytes) -> None:
        with sqlite3.connect(folder / "jobs.db") as connection:
            connection.execute("update ropeway_job set head = ? where id = ?", (head, bytes.fromhex(job_id)))
        connection.close()

    yield store, write
    store.close()


def in_mariadb() -> Iterator[tuple[Store, Write]]:
    place = mariadb.Place(os.environ["ROPEWAY_TEST_MARIADB"], "damaged")
    store, connection = open_store(place.url), mariadb.connected(os.environ["ROPEWAY_TEST_MARIADB"])
    statement = f"update {place.prefix}job set head = unhex(%s) where id = unhex(%s)"

    def write(job_id: str, head: bytes) -> None:
        connection.cursor().execute(statement, (head.hex(), job_id))

    yield store, write
    connection.close()
    store.close()
    place.drop()


def in_postgresql() -> Iterator[tuple[Store, Write]]:
    place = postgres.Place(os.environ["ROPEWAY_TEST_POSTGRESQL"], "damaged")
    store = open_store(place.url)

    def write(job_id: str, head: bytes) -> None:
        place.ask("update ropeway_job set head = %s where id = %s", head, job_id)

    yield store, write
    store.close()
    place.drop()


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_job_is_given_up_with_its_reason(table: tuple[Store, Write], how: str) -> None:
    store, write = table
    first, bad, last = jobs = [Job(new_id(), "q", body) for body in (b"first", b"bad", b"last")]
    store.put(jobs)
    write(bad.id, DAMAGE[how])
    assert store.counts(["q"])["q"].ready == 3
    lent = store.claim(["q"], 2, 60.0, HOLDER)
    assert [one.job.id for one in lent] == [first.id, last.id], "a claim brings as many as were asked for"
    assert store.ack([Ack(one.receipt) for one in lent]) == [True, True]
    assert store.claim(["q"], 9, 60.0, HOLDER) == []
    assert store.wait(["q"], 0.0) is False
    counts = store.counts(["q"])["q"]
    assert (counts.ready, counts.running, counts.dead) == (0, 0, 1)
    (dead,) = store.browse(Query(states=frozenset({State.DEAD})))
    assert dead.job.id == bad.id
    assert "Damaged: a job" in dead.history[-1].error
    assert store.delete(Query(ids=(bad.id,))) == 1


def test_a_job_of_a_newer_ropeway_is_left_alone(table: tuple[Store, Write]) -> None:
    store, write = table
    first, future, last = jobs = [Job(new_id(), "q", body) for body in (b"first", b"future", b"last")]
    store.put(jobs)
    write(future.id, FUTURE)
    lent = store.claim(["q"], 2, 60.0, HOLDER)
    assert [one.job.id for one in lent] == [first.id, last.id]
    assert store.ack([Ack(one.receipt) for one in lent]) == [True, True]
    assert store.claim(["q"], 9, 60.0, HOLDER) == []
    assert store.wait(["q"], 0.0) is False
    counts = store.counts(["q"])["q"]
    assert (counts.ready + counts.delayed, counts.running, counts.dead) == (1, 0, 0), "it waits, and is looked at again later"
    store.browse(Query(limit=None))


def test_many_that_cannot_be_read_do_not_hide_the_others(table: tuple[Store, Write]) -> None:
    store, write = table
    jobs = [Job(new_id(), "q", b"x") for _ in range(40)]
    store.put(jobs)
    for number, job in enumerate(jobs[:39]):
        write(job.id, FUTURE if number % 2 else b"")
    lent = store.claim(["q"], 1, 60.0, HOLDER)
    assert [one.job.id for one in lent] == [jobs[39].id]
    assert store.counts(["q"])["q"].dead == 20
