"""Whatever an application passes as `tx`: committed, rolled back, refused; and never committed behind its back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import psycopg2
import psycopg2.extras
import pymysql
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import ropeway
from ropeway.broker import Broker
from ropeway.errors import BadValue, Conflict, Unsupported
from ropeway.testing.contract import Caller

from .callers import by_apsw, by_psycopg, by_pymysql, by_sqlite3, mysql_parts

Open = Callable[[str], Caller]


def by_session(url: str) -> Caller:
    one = Session(sa.create_engine(url, poolclass=sa.pool.NullPool))
    return Caller(one, str, one.commit, one.rollback)


def by_core(url: str) -> Caller:
    one = sa.create_engine(url, poolclass=sa.pool.NullPool).connect()
    return Caller(one, str, one.commit, one.rollback)


def by_dicts(url: str) -> Caller:
    one = psycopg.connect(url, row_factory=dict_row)
    return Caller(one, str, one.commit, one.rollback)


def by_psycopg2(url: str) -> Caller:
    one = psycopg2.connect(url, cursor_factory=psycopg2.extras.RealDictCursor)
    return Caller(one.cursor(), str, one.commit, one.rollback)


def by_dict_cursor(url: str) -> Caller:
    one = pymysql.connect(**mysql_parts(url), cursorclass=pymysql.cursors.DictCursor, init_command="set time_zone = '+05:00'")
    return Caller(one.cursor(), str, one.commit, one.rollback)


def by_rows(path: str) -> Caller:
    caller = by_sqlite3(path)
    caller.tx.row_factory = sqlite3.Row  # type: ignore[attr-defined]
    return Caller(caller.tx.cursor(), *caller[1:])  # type: ignore[attr-defined]


def django_of(settings: dict[str, Any]) -> Caller:
    from django.conf import settings as all_of_them
    from django.db import connections

    if not all_of_them.configured:
        all_of_them.configure(DATABASES={"default": settings}, USE_TZ=True)
    alias = f"test{uuid4().hex}"
    connections.databases[alias] = connections.databases["default"] | settings
    wrapper = connections[alias]

    def begin() -> None:
        wrapper.set_autocommit(False)

    return Caller(wrapper, begin, wrapper.commit, wrapper.rollback)


def by_django_sqlite(path: str) -> Caller:
    return django_of({"ENGINE": "django.db.backends.sqlite3", "NAME": path})


def by_django_postgres(url: str) -> Caller:
    where = psycopg.conninfo.conninfo_to_dict(url)
    return django_of(
        {"ENGINE": "django.db.backends.postgresql", "NAME": where["dbname"], "USER": where["user"], "HOST": where["host"]}
        | {"PORT": where["port"]}
    )


SQLITE: dict[str, tuple[str, Open]] = {
    "apsw": ("", by_apsw),
    "sqlite3": ("?driver=sqlite3", by_sqlite3),
    "rows": ("?driver=sqlite3", by_rows),
    "session": ("?driver=sqlite3", lambda path: by_session(f"sqlite:///{path}")),
    "core": ("?driver=sqlite3", lambda path: by_core(f"sqlite:///{path}")),
    "django": ("?driver=sqlite3", by_django_sqlite),
}
POSTGRES: dict[str, Open] = {
    "psycopg": by_psycopg,
    "dicts": by_dicts,
    "psycopg2": by_psycopg2,
    "session": lambda url: by_session(url.replace("postgresql:", "postgresql+psycopg:")),
    "session2": lambda url: by_session(url.replace("postgresql:", "postgresql+psycopg2:")),
    "core": lambda url: by_core(url.replace("postgresql:", "postgresql+psycopg:")),
    "django": by_django_postgres,
}
MARIADB: dict[str, Open] = {
    "pymysql": by_pymysql,
    "dicts": by_dict_cursor,
    "session": lambda url: by_session(url.replace("mysql:", "mysql+pymysql:")),
}


def told(broker: Broker, caller: Caller) -> None:
    """The whole story: rollback, commit, a key that is taken, effects and ack together, and back again."""
    queue: Any = broker.queue("mails")
    caller.begin()
    queue.put("never", tx=caller.tx)
    caller.rollback()
    assert len(queue) == 0
    caller.begin()
    first = queue.put({"to": "a"}, key="a", keep="1h", tx=caller.tx)
    with pytest.raises(Conflict):
        queue.put({"to": "b"}, key="a", tx=caller.tx)
    assert queue.put("b", key="a", on_conflict="keep", tx=caller.tx) == first
    assert len(queue.put_many(["c", "d"], tx=caller.tx)) == 2
    caller.commit()
    claims = [queue.claim() for _ in range(3)]
    assert [claim.data for claim in claims] == [{"to": "a"}, "c", "d"]
    for end in (caller.rollback, caller.commit):
        caller.begin()
        claims[0].ack("result", tx=caller.tx)
        claims[1].nack("1m", "later", tx=caller.tx)
        claims[2].bury("no", tx=caller.tx)
        end()
    assert first.result() == "result"
    assert (queue.counts().delayed, queue.counts().dead) == (1, 1)


@pytest.mark.parametrize("library", SQLITE)
def test_sqlite(tmp_path: Path, library: str) -> None:
    option, open_one = SQLITE[library]
    caller = open_one(f"{tmp_path}/app.db")
    with ropeway.connect(f"sqlite:{tmp_path}/app.db{option}", config=False) as broker:
        told(broker, caller)
    caller.rollback()
    shut(caller)


@pytest.mark.service("postgresql")
@pytest.mark.parametrize("library", POSTGRES)
def test_postgres(service_url: str, library: str) -> None:
    caller = POSTGRES[library](service_url)
    schema = f"join_{uuid4().hex[:12]}"
    try:
        with ropeway.connect(f"{service_url}?schema={schema}", config=False) as broker:
            told(broker, caller)
    finally:
        shut(caller)
        with psycopg.connect(service_url, autocommit=True) as one:
            one.execute("set client_min_messages = warning")
            one.execute(f"drop schema if exists {schema} cascade")


@pytest.mark.service("postgresql")
def test_an_async_session(service_url: str) -> None:
    schema = f"join_{uuid4().hex[:12]}"

    async def act() -> None:
        engine = create_async_engine(service_url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.pool.NullPool)
        with ropeway.connect(f"{service_url}?schema={schema}", config=False) as broker:
            queue = broker.queue("q")
            async with AsyncSession(engine) as session:
                await queue.aput("never", tx=session)
                await session.rollback()
                await queue.aput_many(["a", "b"], tx=session)
                assert len(queue) == 0
                await session.commit()
                claim = await queue.aclaim()
                assert claim is not None and claim.data == "a"
                await claim.aack(tx=session)
                assert broker.counts()["q"].running == 1
                await session.commit()
                assert len(queue) == 1
                with pytest.raises(BadValue, match="asynchronous"):
                    queue.put("c", tx=session)
        await engine.dispose()

    asyncio.run(act())
    with psycopg.connect(service_url, autocommit=True) as one:
        one.execute("set client_min_messages = warning")
        one.execute(f"drop schema {schema} cascade")


@pytest.mark.service("mariadb")
@pytest.mark.parametrize("level", ["repeatable read", "read committed"])
def test_two_open_transactions_do_not_wait_for_each_other(service_url: str, prefix: str, level: str) -> None:
    ours, theirs = by_pymysql(service_url), by_pymysql(service_url)
    with ropeway.connect(f"{service_url}?prefix={prefix}", config=False) as broker:
        queue = broker.queue("q")
        for caller, name in ((ours, "a"), (theirs, "b"), (ours, "c"), (theirs, "d")):
            caller.tx.cursor().execute("set innodb_lock_wait_timeout = 2")  # type: ignore[attr-defined]
            if name in "ab":
                caller.tx.cursor().execute(f"set session transaction isolation level {level}")  # type: ignore[attr-defined]
            queue.put(1, tx=caller.tx)
            queue.put(1, key=name, tx=caller.tx)
            queue.put_many([1, 2], tx=caller.tx)
        queue.put(1)
        ours.commit()
        theirs.rollback()
        assert len(queue) == 9
    shut(ours)
    shut(theirs)


@pytest.fixture
def prefix(service_url: str) -> Iterator[str]:
    name = f"join_{uuid4().hex[:8]}_"
    yield name
    one = pymysql.connect(**mysql_parts(service_url))
    for table in ("job", "queue", "note", "waiting", "meta"):
        one.cursor().execute(f"drop table if exists {name}{table}")
    one.close()


@pytest.mark.service("mariadb")
@pytest.mark.parametrize("library", MARIADB)
def test_mariadb(service_url: str, prefix: str, library: str) -> None:
    caller = MARIADB[library](service_url)
    with ropeway.connect(f"{service_url}?prefix={prefix}", config=False) as broker:
        told(broker, caller)
    shut(caller)


def shut(caller: Caller) -> None:
    tx: Any = caller.tx
    tx = getattr(tx, "connection", tx) if type(tx).__name__.endswith("ursor") else tx
    tx.close()


# -- refusals


def test_a_connection_that_commits_by_itself_is_refused(tmp_path: Path) -> None:
    caller = by_sqlite3(f"{tmp_path}/app.db", isolation_level=None)
    with ropeway.connect(f"sqlite:{tmp_path}/app.db?driver=sqlite3", config=False) as broker:
        with pytest.raises(BadValue, match="no transaction open"):
            broker.queue("q").put(1, tx=caller.tx)
        caller.tx.execute("begin")  # type: ignore[attr-defined]
        broker.queue("q").put(1, tx=caller.tx)
        caller.commit()
        assert len(broker.queue("q")) == 1
    shut(caller)


def test_another_file_is_refused(tmp_path: Path) -> None:
    caller = by_sqlite3(f"{tmp_path}/other.db")
    with (
        ropeway.connect(f"sqlite:{tmp_path}/app.db?driver=sqlite3", config=False) as broker,
        pytest.raises(BadValue, match=r"other\.db"),
    ):
        broker.queue("q").put(1, tx=caller.tx)
    shut(caller)


def test_the_other_copy_of_sqlite_is_refused(tmp_path: Path) -> None:
    caller = by_sqlite3(f"{tmp_path}/app.db")
    caller.tx.execute("create table t (x)")  # type: ignore[attr-defined]
    with ropeway.connect(f"sqlite:{tmp_path}/app.db", config=False) as broker:
        with pytest.raises(BadValue, match="Two copies of SQLite"):
            broker.queue("q").put(1, tx=caller.tx)
        with pytest.raises(ropeway.ConfigError, match="Two copies of SQLite"):
            broker.queue("q").put(1)
    shut(caller)


@pytest.mark.service("postgresql")
def test_another_database_and_a_failed_transaction_are_refused(service_url: str) -> None:
    other = psycopg.connect(service_url.rpartition("/")[0] + "/template1")
    failed = psycopg.connect(service_url)
    schema = f"join_{uuid4().hex[:12]}"
    with ropeway.connect(f"{service_url}?schema={schema}", config=False) as broker:
        with pytest.raises(BadValue, match="another server or database"):
            broker.queue("q").put(1, tx=other)
        with pytest.raises(psycopg.Error):
            failed.execute("nonsense")
        with pytest.raises(BadValue, match="roll it back"):
            broker.queue("q").put(1, tx=failed)
    other.close()
    failed.rollback()
    failed.execute(f"drop schema {schema} cascade")
    failed.commit()
    failed.close()


@pytest.mark.parametrize("url", ["memory:joined", "dir:{}"])
def test_engines_that_are_no_database_say_so(tmp_path: Path, url: str) -> None:
    with ropeway.connect(url.format(tmp_path), config=False) as broker:
        for act in (
            lambda: broker.queue("q").put(1, tx=sqlite3.connect(":memory:")),
            lambda: broker.ring("q"),
            lambda: broker.transaction(None),
        ):
            with pytest.raises(Unsupported):
                act()
        assert len(broker.queue("q")) == 0


def test_awaited_and_as_a_task(tmp_path: Path) -> None:
    caller = by_sqlite3(f"{tmp_path}/app.db")
    with ropeway.connect(f"sqlite:{tmp_path}/app.db?driver=sqlite3", config=False) as broker:

        @broker.task
        def double(number: int) -> int:
            return 2 * number

        assert broker.counts() == {}

        async def act() -> None:
            await broker.queue("q").aput(1, tx=caller.tx)
            await double.options(tx=caller.tx).aput(2)

        asyncio.run(act())
        double.options(tx=caller.tx).put(3)
        assert broker.counts() == {}
        caller.commit()
        assert {name: counts.ready for name, counts in broker.counts().items()} == {"q": 1, "default": 2}
    shut(caller)


def test_a_task_that_acks_with_its_effects(tmp_path: Path) -> None:
    caller = by_sqlite3(f"{tmp_path}/app.db", check_same_thread=False)
    connection: Any = caller.tx
    connection.execute("create table done (number)")
    connection.commit()
    lost: list[str] = []
    with ropeway.connect(f"sqlite:{tmp_path}/app.db?driver=sqlite3", config=False) as broker:
        broker.on(lambda event: lost.append(event.name) if event.name == "lost" else None)

        @broker.task(keep="1h")
        def note(number: int) -> int:
            claim = ropeway.current_claim()
            assert claim is not None
            with connection:
                connection.execute("insert into done values (?)", (number,))
                claim.ack(number * 2, tx=connection)
            return number * 2

        handle = note.put(21)
        broker.worker("default", drain=True, concurrency=1).run()
        assert handle.result() == 42
        assert connection.execute("select number from done").fetchall() == [(21,)]
    assert not lost
    shut(caller)
