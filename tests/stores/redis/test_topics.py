"""Topics on Redis when the line breaks, when the server is another one by now, and when the user may not listen."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from ropeway.errors import StoreError
from ropeway.ids import IdMaker
from ropeway.message import Message
from ropeway.stores.redis.bus import _common, _start
from ropeway.testing.contract.topics import Notebook

from .conftest import Opener, Serve

_new_id = IdMaker(time.time_ns, os.urandom)


def message(topic: str, body: bytes = b"") -> Message:
    return Message(topic, _new_id(), body)


@pytest.fixture
def book() -> Iterator[Notebook]:
    return Notebook()


def test_a_broken_line_is_told_and_mended(serve: Serve, opened: Opener, book: Notebook) -> None:
    server = serve()
    listener, publisher = opened(server.url), opened(server.url)
    listener.bus.listen(["a.*"], book)
    with server.client() as client:
        client.client_kill_filter(_type="pubsub")
    book.until(lambda book: book.gaps)
    assert [missed for _, missed in book.gaps] == [-1]
    publisher.bus.publish([message("a.x")])
    book.until_topic("a.x")
    listener.bus.listen(["b"], book)
    publisher.bus.publish([message("b")])
    book.until_topic("b")


def test_a_server_that_was_away(serve: Serve, opened: Opener, book: Notebook) -> None:
    server = serve()
    listener, publisher = opened(f"{server.url}?timeout=5s"), opened(f"{server.url}?timeout=5s")
    listener.bus.listen(["a.*"], book)
    server.kill()
    with pytest.raises(StoreError):
        publisher.bus.publish([message("a.lost")])
    server.start()
    book.until(lambda book: book.gaps)
    end = time.monotonic() + 20
    while "a.x" not in book.topics():
        assert time.monotonic() < end
        publisher.bus.publish([message("a.x")])
        time.sleep(0.05)
    assert {missed for _, missed in book.gaps} == {-1}
    assert "a.lost" not in book.topics()


def test_databases_of_a_server_are_apart(serve: Serve, opened: Opener, book: Notebook) -> None:
    server = serve()
    there = Notebook()
    base = server.url.rstrip("/").removesuffix("/0")
    opened(f"{base}/0").bus.listen(["#"], book)
    opened(f"{base}/1").bus.listen(["#"], there)
    opened(f"{base}/0").bus.publish([message("in.0")])
    opened(f"{base}/1").bus.publish([message("in.1")])
    book.until_topic("in.0")
    there.until_topic("in.1")
    assert (book.topics(), there.topics()) == (["in.0"], ["in.1"])


def test_a_user_who_may_not_listen_is_told(serve: Serve, opened: Opener, book: Notebook) -> None:
    server = serve()
    with server.client() as client:
        client.acl_setuser("deaf", enabled=True, passwords=["+word"], commands=["+@all", "-psubscribe"], keys=["*"], channels=["*"])
    store = opened(server.url.replace("redis://", "redis://deaf:word@"))
    with pytest.raises(StoreError, match="may not listen"):
        store.bus.listen(["a"], book)


def test_a_user_who_may_listen_to_one_pattern_only(serve: Serve, opened: Opener, book: Notebook) -> None:
    """Redis compares patterns with those of the ACL letter by letter: the one that is documented is enough for all of ours."""
    server = serve()
    rights = {"commands": ["+@all", "-@dangerous", "+info"], "keys": ["ropeway*"]}
    with server.client() as client:
        client.acl_setuser("app", enabled=True, passwords=["+word"], channels=["ropeway*", "ropeway:topic:*"], **rights)
        client.acl_setuser("old", enabled=True, passwords=["+word"], channels=["ropeway*"], **rights)
    app = opened(server.url.replace("redis://", "redis://app:word@"))
    app.bus.listen(["a.b"], book)
    app.bus.listen(["c.*"], book)
    app.bus.publish([message("a.b"), message("b"), message("c.d")])
    book.until_topic("c.d")
    assert book.topics() == ["a.b", "c.d"]
    old = opened(server.url.replace("redis://", "redis://old:word@"))
    with pytest.raises(StoreError, match=r"&ropeway:topic:\*"):
        old.bus.listen(["a"], Notebook())


def test_what_somebody_else_publishes_there_harms_nobody(serve: Serve, opened: Opener, book: Notebook) -> None:
    server = serve()
    store = opened(server.url)
    store.bus.listen(["#"], book)
    with server.client() as client:
        for data in (b"", b"\xc1", b"text", b"\x91\x01", b"\x91\x92\xa1a\xa1b"):
            assert client.publish("ropeway:topic:a", data) == 1
    store.bus.publish([message("a.end")])
    book.until_topic("a.end")
    assert book.topics() == ["a.end"]


@pytest.mark.parametrize(
    ("patterns", "start"),
    [(["a.b"], "a.b"), (["a.*"], "a."), (["a.#"], "a"), (["a.b", "a.c"], "a."), (["#"], ""), (["*.b"], ""), (["a.b.*", "a.bc"], "a.b"),
     (["a.*.c", "b"], ""), (["a", "a"], "a")],
)  # fmt: skip
def test_one_subscription_covers_all_patterns(patterns: list[str], start: str) -> None:
    assert _common([_start(pattern) for pattern in patterns]) == start
