"""Lanes, limits and dropped queues where it matters that they stand in tables: transactions that last, rows that others have touched."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from engines import place
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.names import ended
from ropeway.store import Ack, Handback, Holder, Limits, Query
from ropeway.stores import open_store
from ropeway.stores.sql.store import SqlStore
from ropeway.testing.clock import FakeClock
from ropeway.testing.contract import Caller

from .callers import by_apsw, by_psycopg, by_pymysql

HOLDER = Holder("host:1:lanes")
ENGINES: list[Any] = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
    pytest.param("mysql", marks=pytest.mark.service("mariadb")),
]
SERVERS = ENGINES[1:]
new_id = IdMaker(time.time_ns, os.urandom)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as one:
        yield one


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(url: str, clock: FakeClock) -> Iterator[SqlStore]:
    one = open_store(f"{url}{'&' if '?' in url else '?'}timeout=5", clock)
    assert isinstance(one, SqlStore)
    yield one
    one.close()


@pytest.fixture
def caller(url: str) -> Iterator[Caller]:
    scheme, rest = url.split(":", 1)
    if scheme == "sqlite":
        one = by_apsw(rest.partition("?")[0])
    else:
        one = by_psycopg(url.partition("?")[0]) if scheme == "postgresql" else by_pymysql(url.partition("?")[0])
    yield one
    one.tx.close()  # type: ignore[attr-defined]


def put(store: SqlStore, *lanes: str) -> list[Job]:
    jobs = [Job(new_id(), "q", b"%d" % number, lane=lane) for number, lane in enumerate(lanes)]
    assert store.put(jobs) == [True] * len(jobs)
    return jobs


def claimed(store: SqlStore, limit: int = 10) -> dict[str, str]:
    """The receipts of what can be claimed, by body."""
    return {one.job.body.decode(): one.receipt for one in store.claim(["q"], limit, 30.0, HOLDER)}


def changed(store: SqlStore, statement: str) -> None:
    """Somebody's own SQL on the tables."""

    def work(session: Any) -> None:
        text = statement.format(job=session.statements["settle"].split()[1], queue=session.statements["stop_put"].split()[1])
        if hasattr(session, "ask"):
            session.ask(text)
        elif hasattr(session, "connection"):
            session.connection.execute(text)
        else:
            from ropeway.stores.sql.postgres.wire import Call

            session.wire.ask(Call(text.encode()))

    store.desk.read(work)


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_a_lane_opens_with_the_callers_commit(store: SqlStore, caller: Caller) -> None:
    put(store, "x", "x", "y", "y")
    first = claimed(store)
    assert sorted(first) == ["0", "2"]
    caller.begin()
    assert store.join(caller.tx).ack([Ack(first["0"])]) == [True]
    if not store.url.startswith("sqlite:"):  # where one writes at a time
        assert store.ack([Ack(first["2"])]) == [True]
        assert sorted(claimed(store)) == ["3"], "a transaction that lasts holds up nobody else, and its own lane"
    caller.commit()
    assert "1" in claimed(store)


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_a_lane_stays_shut_after_the_callers_rollback(store: SqlStore, caller: Caller) -> None:
    put(store, "x", "x")
    first = claimed(store)
    caller.begin()
    joined = store.join(caller.tx)
    assert joined.ack([Ack(first["0"])]) == [True]
    caller.rollback()
    assert claimed(store) == {}
    assert store.ack([Ack(first["0"])]) == [True]
    assert sorted(claimed(store)) == ["1"]


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_what_left_without_a_word_opens_its_lane_within_minutes(store: SqlStore, clock: FakeClock) -> None:
    """Jobs that somebody has deleted by SQL of his own, or that an older release has acked, leave no mark behind."""
    gone = put(store, "x", "x")
    clock.advance(1)
    put(store, "", "", "x", "y", "y")
    assert sorted(claimed(store)) == ["0", "1", "3"]
    assert claimed(store) == {}
    changed(store, f"delete from {{job}} where lane = 'x' and created <= {round(gone[0].created * 1e6)}")
    seen: dict[str, str] = {}
    for _ in range(20):
        clock.advance(15)
        seen |= claimed(store)
    assert "2" in seen
    assert store.counts(["q"])["q"].ready == 1, "the second of lane y; what is gone is not counted"


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_a_put_that_missed_the_drop_of_its_queue_is_seen(store: SqlStore) -> None:
    put(store, "x")
    changed(store, "update {queue} set dropped = 1")
    assert store.queues() == ["q"], "it holds a job"
    (receipt,) = claimed(store).values()
    assert store.ack([Ack(receipt)]) == [True]
    assert store.queues() == []
    put(store, "x", "")
    assert store.queues() == ["q"]
    assert len(claimed(store)) == 2


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_settings_of_a_dropped_queue_do_not_come_back(store: SqlStore) -> None:
    store.limit(["q"], Limits(running=1, lane=2))
    assert store.queues() == ["q"]
    assert store.drop(["q"]) == [True]
    put(store, "", "")
    assert store.counts(["q"])["q"].limits == Limits()
    assert len(claimed(store)) == 2


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_a_plain_queue_costs_an_ack_nothing_more(store: SqlStore) -> None:
    """What is claimed from a queue without limits and lanes says so in its receipt: nobody looks for places at its end."""
    put(store, "")
    store.put([Job(new_id(), "lanes", lane="x")])
    plain, laned = store.claim(["q", "lanes"], 2, 30.0, HOLDER)
    asked: list[str] = []
    session_class = type(store.desk._stack._free[-1])
    run = session_class.run

    def noted(session: Any, name: str, **values: Any) -> Any:
        asked.append(name)
        return run(session, name, **values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_class, "run", noted)
        assert store.ack([Ack(plain.receipt)]) == [True]
        assert {*asked} <= {"drop"}
        assert store.ack([Ack(laned.receipt)]) == [True]
        assert {"rows", "remove", "place"} <= {*asked}


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_pages_of_what_is_parked(store: SqlStore) -> None:
    jobs = put(store, *("x" for _ in range(7)), "", "y", "y")
    first = claimed(store, 1)
    assert claimed(store, 1) != {}
    want = [job.id for job in jobs if job.body.decode() not in first][:-2]
    assert [entry.job.id for entry in store.browse(Query(limit=None))][: len(want) - 1] == [one for one in want if one != jobs[7].id]
    seen, after = [], ""
    while page := store.browse(Query(limit=2, after=after)):
        seen += [entry.job.id for entry in page]
        after = page[-1].cursor
    assert seen == [entry.job.id for entry in store.browse(Query(limit=None))]


@pytest.mark.service("postgresql")
@pytest.mark.parametrize("url", SERVERS[:1], indirect=True)
def test_a_fleeting_put_does_not_wait_for_the_disk(url: str) -> None:
    store = open_store(url)
    store.put([Job(new_id(), "q")])
    own = psycopg.connect(url.partition("?")[0], autocommit=True)

    def behind(*jobs: Job) -> bool:
        """Whether the log was not on disk when the put answered."""
        store.put(jobs)
        row = own.execute("select pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()").fetchone()
        assert row is not None
        return bool(row[0])

    try:
        assert any(behind(Job(new_id(), "q", fleeting=True)) for _ in range(50)), "each was waited for"
        assert any(behind(*(Job(new_id(), "q", fleeting=True) for _ in range(5))) for _ in range(50)), "in a batch, too"
        assert not all(behind(Job(new_id(), "q"), Job(new_id(), "q", fleeting=True)) for _ in range(5)), "one that stays decides"
    finally:
        own.close()
        store.close()


@pytest.mark.parametrize("url", ENGINES[:1], indirect=True)
def test_a_fleeting_put_is_not_synced(url: str) -> None:
    path = urlsplit(url).path
    store: Any = open_store(f"sqlite:{path}")
    store.put([Job(new_id(), "q")])
    levels = []
    for fleeting in (True, False):
        store.put([Job(new_id(), "q", fleeting=fleeting)])
        levels.append(store.desk.read(lambda session: session.connection.pragma("synchronous")))
    store.close()
    assert levels == [1, 2]


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_a_lane_that_is_retried_passes_its_ttl_while_it_sleeps(store: SqlStore, clock: FakeClock) -> None:
    """What holds a lane and expires before its retry frees it, though nobody ever claims it again."""
    assert store.put([Job(new_id(), "q", b"0", lane="x", ttl=30.0), Job(new_id(), "q", b"1", lane="x")]) == [True, True]
    assert store.nack([Handback(claimed(store)["0"], 3600.0)]) == [True]
    assert claimed(store) == {}
    clock.advance(31)
    assert sorted(claimed(store)) == ["1"]
    assert [entry.job.body for entry in store.browse(Query())] == [b"1"]


@pytest.mark.parametrize("url", ENGINES[:1], indirect=True)
def test_the_bells_of_private_queues_leave_with_them(url: str, clock: FakeClock) -> None:
    """Each caller has a queue of its own for replies: nothing of it may stay."""
    store = open_store(url, clock)
    store.put([Job(new_id(), "_reply.1"), Job(new_id(), "q")])
    (lent,) = store.claim(["_reply.1"], 1, 30.0, HOLDER)
    assert store.wait(["_reply.1", ended("_reply.1")], 0.1) is False
    assert store.ack([Ack(lent.receipt)]) == [True]
    assert store.drop(["_reply.1"]) == [True]
    beside = Path(url.partition(":")[2].partition("?")[0] + "-ropeway")
    assert sorted(one.name for one in beside.iterdir()) == ["+q", "turn"]
    store.put([Job(new_id(), "_reply.1")])
    assert store.wait(["_reply.1"], 0.1) is True
    store.close()
