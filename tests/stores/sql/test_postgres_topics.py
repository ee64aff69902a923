"""Topics on PostgreSQL: large messages in pieces, a broken line, a pooler between, and what strangers notify."""

from __future__ import annotations

import os
import time

import pytest

from ropeway.errors import StoreError
from ropeway.ids import IdMaker
from ropeway.message import Message
from ropeway.stores import open_store
from ropeway.stores.sql.postgres import bus
from ropeway.stores.sql.postgres.bus import Pieces, _gathered, _pieces
from ropeway.stores.sql.postgres.session import PostgresSession
from ropeway.testing.contract.topics import Notebook

from .postgres import Place
from .test_postgres_pooler import pooler  # noqa: F401 - a fixture

new_id = IdMaker(time.time_ns, os.urandom)


def message(topic: str, body: bytes = b"") -> Message:
    return Message(topic, new_id(), body)


@pytest.mark.service("postgresql")
def test_a_broken_line_is_told_and_mended(schema: Place) -> None:
    store, book = open_store(schema.url), Notebook()
    try:
        store.bus.listen(["a.*"], book)
        listening = f'listen "{store.bus._it().channel}"'  # type: ignore[attr-defined]
        assert schema.ask("select pg_terminate_backend(pid) from pg_stat_activity where query = %s", listening)
        book.until(lambda book: book.gaps)
        assert [missed for _, missed in book.gaps] == [-1]
        store.bus.publish([message("a.x", bytes(100_000))])
        book.until_topic("a.x")
    finally:
        store.close()


@pytest.mark.service("postgresql")
@pytest.mark.timeout(120)
def test_through_a_pooler_one_publishes_and_is_told_that_nobody_listens(pooler: str, schema: Place) -> None:  # noqa: F811
    direct, book = open_store(schema.url), Notebook()
    where = schema.url.partition("@")[2].partition("/")[0]
    through = open_store(schema.url.replace(where, pooler))
    try:
        direct.bus.listen(["a"], book)
        with pytest.raises(StoreError, match="pooler in transaction mode"):
            through.bus.listen(["a"], book)
        through.bus.publish([message("a", bytes(20_000))])
        book.until_topic("a")
    finally:
        direct.close()
        through.close()


@pytest.mark.service("postgresql")
def test_what_somebody_else_notifies_harms_nobody(schema: Place) -> None:
    store, book = open_store(schema.url), Notebook()
    try:
        store.bus.listen(["#"], book)
        channel = store.bus._it().channel  # type: ignore[attr-defined]
        for text in ("", "hello", "0" * 16 + ".1.1.%%%", "0" * 16 + ".2.3.aaaa", "0" * 16 + ".1.99999.aaaa", "0" * 16 + ".1.1.wQ=="):
            schema.ask("select pg_notify(%s, %s)", channel, text)
        store.bus.publish([message("a.end")])
        book.until_topic("a.end")
        assert book.topics() == ["a.end"]
    finally:
        store.close()


def test_pieces_are_put_together_and_what_is_lost_is_told() -> None:
    first, second = message("a", os.urandom(20_000)), message("b", os.urandom(20_000))
    some, more = (list(_pieces(next(_gathered([one])))) for one in (first, second))
    assert all(len(piece) < 8_000 for piece in some)
    pieces = Pieces()
    assert [pieces.add(piece) for piece in some][-1] == ([first], False)
    assert [pieces.add(piece) for piece in [*some[:-1], *more]][-1] == ([second], False)
    told = [pieces.add(piece) for piece in [*some[:-1], *more]]
    assert [lost for _, lost in told].count(True) == 1
    assert [pieces.add(piece) for piece in some[1:]] == [([], True)] * (len(some) - 1)
    assert [pieces.add(piece) for piece in some][-1] == ([first], False)


def test_a_batch_is_one_notification_where_it_fits() -> None:
    assert [len(list(_pieces(some))) for some in _gathered([message("a", bytes(30)) for _ in range(50)])] == [1]


@pytest.mark.service("postgresql")
def test_a_quiet_server_is_asked_whether_it_lives(schema: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes together with its answer is heard."""
    asked = []
    ask = bus.Ear._ask_whether_it_lives

    def count(session: PostgresSession) -> None:
        ask(session)
        asked.append(session)

    monkeypatch.setattr(bus, "QUIET", 0.02)
    monkeypatch.setattr(bus.Ear, "_ask_whether_it_lives", staticmethod(count))
    store, book = open_store(schema.url), Notebook()
    try:
        store.bus.listen(["a"], book)
        for number in range(50):
            store.bus.publish([message("a", b"%d" % number)])
            book.until(lambda book, number=number: len(book.heard) > number)  # type: ignore[misc]
        end = time.monotonic() + 20
        while len(asked) < 5:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert book.gaps == []
    finally:
        store.close()
