"""Who sleeps is woken by the commit of a caller's transaction, within 100 ms though the poll is a minute; and by no rollback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

import ropeway

from .test_join_kill import connected, place  # noqa: F401 - a fixture

SOON = 2.0  # seconds, where the poll is a minute


class Sleeper(threading.Thread):
    """Claims one job from a sleep; `came` is when."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.broker = ropeway.connect(url, config=False)
        self.came = 0.0

    def run(self) -> None:
        claim = self.broker.queue("bells").claim(timeout=30)
        self.came = time.monotonic()
        assert claim is not None
        claim.ack()
        self.broker.close()


@pytest.fixture
def polled(place: tuple[str, str]) -> Iterator[str]:  # noqa: F811
    url = place[0] + "&poll=60"
    with ropeway.connect(url, config=False) as broker:
        assert broker.counts() == {}
        yield url


def latency(url: str, put: Callable[[], Any], commit: Callable[[], Any]) -> float:
    """Seconds from the commit to the claim. The sleeper falls asleep after the put and before the commit: the hardest case."""
    sleeper = Sleeper(url)
    put()
    sleeper.start()
    sleeper.join(0.4)  # asleep, and past the look after an announcement
    assert not sleeper.came
    begun = time.monotonic()
    commit()
    sleeper.join(20)
    assert sleeper.came, "nobody was woken"
    return sleeper.came - begun


def best(url: str, put: Callable[[], Any], commit: Callable[[], Any]) -> float:
    """Of three: the machine may be busy with something else."""
    return min(latency(url, put, commit) for _ in range(3))


def test_a_plain_connection(polled: str) -> None:
    connection = connected(polled)
    with ropeway.connect(polled, config=False) as broker:

        def commit() -> None:
            connection.commit()
            if polled.startswith("mysql:"):  # it has no word for those who wait
                broker.ring("bells")

        assert best(polled, lambda: broker.queue("bells").put(1, tx=connection), commit) < SOON
    connection.close()


@pytest.mark.service("mariadb")
@pytest.mark.parametrize("place", ["mariadb"], indirect=True)
def test_the_transaction_of_the_broker_rings(polled: str) -> None:
    connection = connected(polled)
    with ropeway.connect(polled, config=False) as broker:
        held: list[AbstractContextManager[None]] = []

        def put() -> None:
            connection.begin()
            held.append(broker.transaction(connection))
            held[-1].__enter__()
            broker.queue("bells").put(1, tx=connection)

        assert best(polled, put, lambda: held.pop().__exit__(None, None, None)) < SOON
        with pytest.raises(ZeroDivisionError):
            connection.begin()
            with broker.transaction(connection):
                broker.queue("bells").put(1, tx=connection)
                raise ZeroDivisionError
        assert len(broker.queue("bells")) == 0
    connection.close()


def test_a_session_of_sqlalchemy_rings_by_itself(polled: str) -> None:
    url = polled.partition("?")[0]
    for plain, ours in (("sqlite:", "sqlite:///"), ("postgresql:", "postgresql+psycopg:"), ("mysql:", "mysql+pymysql:")):
        url = ours + url.removeprefix(plain) if url.startswith(plain) else url
    with Session(sa.create_engine(url, poolclass=sa.pool.NullPool)) as session, ropeway.connect(polled, config=False) as broker:

        def put() -> None:
            nested = nullcontext() if polled.startswith("sqlite:") else session.begin_nested()  # pysqlite begins nothing before a savepoint
            with nested:
                broker.queue("bells").put(1, tx=session)

        assert best(polled, put, session.commit) < SOON
        put()
        session.rollback()
        assert len(broker.queue("bells")) == 0
