"""Topics over HTTP: what is published reaches who listens there, in Python and on a WebSocket; who was cut off is told what it missed."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

import ropeway
from ropeway.broker import Broker
from ropeway.clock import SYSTEM
from ropeway.ids import IdMaker
from ropeway.link import Link
from ropeway.message import Message
from ropeway.server import Grant, news
from ropeway.server.grants import EVERYTHING, Role
from ropeway.server.news import News
from ropeway.server.stopping import Stopping
from ropeway.stores import open_store
from ropeway.stores.remote.bus import Ear
from ropeway.testing.contract.topics import Notebook

from .conftest import Server, Start
from .test_talking import dial

new_id = IdMaker(time.time_ns, os.urandom)


class Stream:
    """Server-sent events, read by hand."""

    def __init__(self, server: Server, path: str, last: str = "", token: str | None = None) -> None:
        self._connection = http.client.HTTPConnection(server.host, timeout=30)
        headers = {"Authorization": f"Bearer {server.token if token is None else token}"}
        if last:
            headers["Last-Event-ID"] = last
        self._connection.request("GET", path, headers=headers)
        self.response = self._connection.getresponse()
        assert self.response.status == 200, self.response.read()
        assert self.response.getheader("content-type", "").startswith("text/event-stream")
        self.last = ""

    def next(self) -> tuple[str, Any]:
        """The kind of the next event, and what it says."""
        kind, data = "", []
        while True:
            line = self.response.readline().decode()
            assert line, "the stream has ended"
            name, _, value = line.rstrip("\n").partition(":")
            if name == "event":
                kind = value.strip()
            elif name == "id":
                self.last = value.strip()
            elif name == "data":
                data.append(value.removeprefix(" "))
            elif not name and (kind or data):
                return kind or "message", json.loads("\n".join(data)) if data else None

    def message(self) -> Any:
        kind, data = self.next()
        assert kind == "message", (kind, data)
        return data

    def close(self) -> None:
        self.response.close()
        self._connection.close()


@pytest.fixture
def listen(server: Server) -> Iterator[Any]:
    made: list[Stream] = []

    def one(*patterns: str, **more: Any) -> Stream:
        made.append(Stream(server, f"/v1/topics/{quote(','.join(patterns), safe=',*')}/events{more.pop('query', '')}", **more))
        assert made[-1].next()[0] == "listening"
        return made[-1]

    yield one
    for stream in made:
        stream.close()


def test_a_body_is_heard_as_it_was_published(server: Server, listen: Any) -> None:
    plain, exact = listen("shop.#"), listen("shop.#", query="?body=base64")
    bodies = [
        (b'{"id": 1,\r\n "a": [1]}', "application/json", {"body": {"id": 1, "a": [1]}}),
        ("Zoë\nin two lines".encode(), "text/plain; charset=utf-8", {"body": "Zoë\nin two lines"}),
        (bytes(range(256)), "application/octet-stream", {"body_base64": base64.b64encode(bytes(range(256))).decode()}),
        (b"", "application/octet-stream", {"body": ""}),
    ]
    for body, kind, shown in bodies:
        answer = server.ask("POST", "/v1/topics/shop.orders", body, Content_Type=kind, Ropeway_H_Tenant="7")
        assert answer.status == 201
        told = plain.message()
        assert {name: told[name] for name in ("topic", "id", "content_type", "headers")} == {
            "topic": "shop.orders",
            "id": answer.json["id"],
            "content_type": kind,
            "headers": {"tenant": "7"},
        }
        assert {name: told[name] for name in shown} == shown
        assert base64.b64decode(exact.message()["body_base64"]) == body


def test_lines_are_many_messages(server: Server, listen: Any) -> None:
    stream = listen("lines.*")
    lines = "\n".join(json.dumps({"n": n}) for n in range(100))
    answer = server.ask("POST", "/v1/topics/lines.a", lines, Content_Type="application/x-ndjson")
    assert answer.status == 201
    told = [stream.message() for _ in range(100)]
    assert [one["id"] for one in told] == answer.json["ids"]
    assert [one["body"]["n"] for one in told] == list(range(100))


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("/v1/topics/a%20b", "x", "text/plain", 400),
        ("/v1/topics/a.*", "x", "text/plain", 400),
        ("/v1/topics/.a", "x", "text/plain", 400),
        ("/v1/topics/a?id=short", "x", "text/plain", 400),
        ("/v1/topics/a?key=1", "x", "text/plain", 400),
        ("/v1/topics/a", b"x" * (1024 * 1024 + 1), "text/plain", 413),
        ("/v1/topics/a", "{}\n{", "application/x-ndjson", 400),
        ("/v1/topics/a", "{}\n" * 1001, "application/x-ndjson", 413),
    ],
)
def test_what_cannot_be_published(server: Server, path: str, body: bytes | str, kind: str, status: int) -> None:
    answer = server.ask("POST", path, body, Content_Type=kind)
    assert answer.status == status
    assert len(answer.json["detail"]) > 20


def test_patterns_that_are_none(server: Server) -> None:
    for pattern in ("a%20b", ".a", ",", "a,", "a%0Ab", "x" * 129, ",".join(["a"] * 101)):
        assert server.ask("GET", f"/v1/topics/{pattern}/events").status == 400
    assert server.ask("GET", "/v1/topics/a/events?body=yes").status == 400


def test_who_comes_back_is_told_what_it_missed(server: Server, listen: Any) -> None:
    first = listen("back.#")
    server.ask("POST", "/v1/topics/back.a", "1", Content_Type="text/plain")
    assert first.message()["body"] == "1"
    first.close()
    for number in range(2, 6):
        server.ask("POST", "/v1/topics/back.a", str(number), Content_Type="text/plain")
        server.ask("POST", "/v1/topics/other", "x", Content_Type="text/plain")
    second = listen("back.#", last=first.last)
    assert [second.message()["body"] for _ in range(4)] == ["2", "3", "4", "5"]
    server.ask("POST", "/v1/topics/back.a", "6", Content_Type="text/plain")
    assert second.message()["body"] == "6"


@pytest.mark.parametrize("last", ["elsewhere-5", "nonsense", "-", "x" * 500, "{life}-99999999", "{life}--1", "{life}-1e3"])
def test_a_number_that_means_nothing_here_is_said_so(server: Server, listen: Any, last: str) -> None:
    life = listen("a").last.rpartition("-")[0]
    assert listen("a", last=last.format(life=life)).next() == ("missed", {"missed": -1})


def test_one_publishes_and_all_hear(server: Server, listen: Any) -> None:
    """Over HTTP, by Python and on a WebSocket, each hears all."""
    url = f"http://:{server.token}@{server.host}"
    stream, book = listen("all.*"), Notebook()
    store = open_store(url)
    with dial(server) as talk, ropeway.connect(url) as broker:
        store.bus.listen(["all.*"], book)
        talk.send(json.dumps({"n": 1, "op": "subscribe", "topics": ["all.*"]}))
        assert json.loads(talk.recv(30)) == {"n": 1, "listening": True}
        server.ask("POST", "/v1/topics/all.http", '"h"', Content_Type="application/json")
        broker.topic("all.python").publish("p")
        talk.send(json.dumps({"n": 2, "op": "publish", "topic": "all.socket", "body": ["s"], "headers": {"a": "1"}}))
        told = [json.loads(talk.recv(30)) for _ in range(4)]
        book.until(lambda book: len(book.heard) == 3)
        assert [stream.message()["body"] for _ in range(3)] == ["h", "p", ["s"]]
        assert [message.data for message in book.heard] == ["h", "p", ["s"]]
        assert [one["message"]["body"] for one in told if one["n"] == 1] == ["h", "p", ["s"]]
        assert [one["id"] for one in told if one["n"] == 2] == [book.heard[2].id]
        assert book.heard[2].headers == {"a": "1"}
        talk.send(json.dumps({"n": 3, "op": "unsubscribe", "of": 1}))
        assert json.loads(talk.recv(30)) == {"n": 3, "listening": False}
        broker.topic("all.python").publish("nobody on the socket")
        talk.send(json.dumps({"n": 4, "op": "unsubscribe", "of": 1}))
        assert json.loads(talk.recv(30))["problem"]["status"] == 400
    store.close()


def test_a_socket_has_so_many_subscriptions(server: Server) -> None:
    with dial(server) as talk:

        def say(**message: Any) -> Any:
            talk.send(json.dumps(message))
            return json.loads(talk.recv(30))

        for number in range(1, 21):
            assert say(n=number, op="subscribe", topics=["a"])["listening"] is True
        assert say(n=21, op="subscribe", topics=["a"])["problem"]["status"] == 400
        assert say(n=1, op="subscribe", topics=["a"])["problem"]["status"] == 400
        assert say(n=30, op="subscribe", topics=["a b"])["problem"]["status"] == 400
        assert say(n=31, op="publish", topic="*", body=1)["problem"]["status"] == 400


def test_the_groups_and_how_far_each_is_behind(server: Server) -> None:
    with ropeway.connect(f"http://:{server.token}@{server.host}") as broker:
        broker.groups.add("mailer", ["orders.*"], keep="1h")
        for number in range(3):
            server.ask("POST", "/v1/topics/orders.created", str(number), Content_Type="text/plain")
        (group,) = (one for one in server.ask("GET", "/v1/topics").json["groups"] if one["name"] == "mailer")
        assert (group["patterns"], group["lag"], group["dead"], group["queue"]) == (["orders.*"], 3, 0, "_group.mailer")
        twice = "0" * 12 + "7" + "0" * 3 + "8" + "0" * 15
        for _ in range(2):
            assert server.ask("POST", f"/v1/topics/orders.paid?id={twice}", "x").json == {"id": twice}
        assert broker.groups.counts()["mailer"].ready == 4
        broker.groups.delete("mailer")


def test_one_queue_live(server: Server) -> None:
    server.ask("POST", "/v1/queues/watched/jobs", "1")
    stream = Stream(server, "/v1/queues/watched/events")
    try:
        kind, data = stream.next()
        assert (kind, [row["queue"] for row in data["queues"]]) == ("snapshot", ["watched"])
        server.ask("POST", "/v1/queues/unwatched/jobs", "1")
        server.ask("POST", "/v1/queues/watched/jobs", "2")
        kind, data = stream.next()
        assert (kind, data["event"], data["queue"]) == ("job", "put", "watched")
        kind, data = stream.next()
        assert (kind, [(row["queue"], row["ready"]) for row in data["queues"]]) == ("change", [("watched", 2)])
    finally:
        stream.close()


ROLES = """
[[token]]
name = "shop"
token = "the-shop-has-this-token"
produce = ["orders.*"]

[[token]]
name = "mailer"
token = "the-mailer-has-this-token"
consume = ["orders.*", "!orders.secret"]
"""
SHOP, MAILER = "the-shop-has-this-token", "the-mailer-has-this-token"


def test_who_may_publish_and_who_hears_what(starter: Start, tmp_path: Any) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--token-file", str(file))
    for topic, token, status in (("orders.a", SHOP, 201), ("mails.a", SHOP, 403), ("_own", SHOP, 403), ("orders.a", MAILER, 403)):
        assert server.ask("POST", f"/v1/topics/{topic}", "x", token=token).status == status
    for pattern, token, status in (
        ("orders.a", SHOP, 403),
        ("mails.a", MAILER, 403),
        ("orders.secret", MAILER, 403),
        ("a,orders.b", MAILER, 403),
    ):
        assert server.ask("GET", f"/v1/topics/{pattern}/events", token=token).status == status
    stream = Stream(server, "/v1/topics/%23/events", token=MAILER)
    assert stream.next()[0] == "listening"
    for topic in ("orders.secret", "orders.b"):
        assert server.ask("POST", f"/v1/topics/{topic}", "x", token=SHOP).status == 201
    assert stream.message()["topic"] == "orders.b", "of what a pattern means, only what the token may hear"
    stream.close()
    with pytest.raises(ropeway.NotAllowed), ropeway.connect(f"http://:{MAILER}@{server.host}") as broker:
        broker.store.bus.publish([Message("orders.a", new_id())])


# -- the buffers, by hand


def message(topic: str, body: bytes = b"") -> Message:
    return Message(topic, new_id(), body)


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker(Link("memory:", SYSTEM), config=False)
    yield broker
    broker.close()


def test_a_slow_client_loses_the_oldest_and_is_told_how_many(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "BUFFER", 10)
    everything = Grant("test", EVERYTHING)

    async def run() -> None:
        all_of_it = News(broker, Stopping())
        slow, other = await all_of_it.join(["a.*"], everything), await all_of_it.join(["b"], everything)
        broker.store.bus.publish([message("a.x", b"%d" % number) for number in range(25)] + [message("b")])
        await asyncio.wait_for(other.news.wait(), 10)
        missed, items = slow.take()
        assert (missed, [int(item.message.body) for item in items]) == (15, list(range(15, 25)))
        assert slow.take() == (0, [])
        assert other.take()[0] == 0
        all_of_it.leave(slow)
        all_of_it.leave(other)

    asyncio.run(run())


def test_a_ring_that_does_not_reach_so_far_says_so(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "RING", 5)
    everything = Grant("test", EVERYTHING)

    async def run() -> None:
        all_of_it = News(broker, Stopping())
        one = await all_of_it.join(["#"], everything)
        broker.store.bus.publish([message("a", b"%d" % number) for number in range(10)])
        await asyncio.wait_for(one.news.wait(), 10)
        for after, missed, count in ((0, -1, 5), (4, -1, 5), (5, 0, 5), (8, 0, 2), (10, 0, 0)):
            again = await all_of_it.join(["#"], everything, all_of_it.mark(after))
            told = again.take()
            assert (told[0], len(told[1])) == (missed, count), after
            all_of_it.leave(again)
        all_of_it.leave(one)

    asyncio.run(run())


def test_what_the_store_has_lost_is_told_to_all(broker: Broker) -> None:
    grant = Grant("test", {Role.CONSUME: ("*",)})

    async def run() -> None:
        all_of_it = News(broker, Stopping())
        whole, part = await all_of_it.join(["#"], grant), await all_of_it.join(["a"], grant)
        all_of_it._heard(asyncio.get_running_loop(), [message("a")], 7)
        await asyncio.wait_for(part.news.wait(), 10)
        assert (whole.take()[0], part.take()[0]) == (7, -1)
        again = await all_of_it.join(["a"], grant, all_of_it.mark(0))
        assert again.take()[0] == -1
        for client in (whole, part, again):
            all_of_it.leave(client)

    asyncio.run(run())


def test_the_secrets_of_those_who_listen_stay_in_the_store(server: Server) -> None:
    """With one of them anybody on that host could speak to a listener past the gate."""
    url = f"http://:{server.token}@{server.host}"
    store = open_store(url)
    end = store.bus.listen(["a"], Notebook())
    store.notes.note("worker/x", b"1", 60.0)
    assert [key for key in store.notes.notes("") if key.startswith("listen/")] == []
    assert store.notes.notes("listen/") == {}
    for act in (lambda: store.notes.note("listen/x", b"1", 60.0), lambda: store.notes.forget("listen/x")):
        with pytest.raises(ropeway.NotAllowed):
            act()
    end()
    store.close()


def test_who_leaves_before_it_begins_has_left(broker: Broker) -> None:
    async def run() -> None:
        all_of_it = News(broker, Stopping())
        client = await all_of_it.join(["a"], Grant("test", EVERYTHING))

        async def gone() -> Any:
            return {"type": "http.disconnect"}

        async def closed(_: Any) -> None:
            raise OSError("the client is gone")

        with pytest.raises(BaseException):  # noqa: B017 - whatever the framework makes of it
            await news.EventStream(all_of_it, client, lambda: True, exact=False)(
                {"type": "http", "asgi": {"spec_version": "2.4"}}, gone, closed
            )
        assert not all_of_it._clients

    asyncio.run(run())


def cut(ear: Ear) -> None:
    """Break the line on which it listens, once it has one."""
    end_of_waiting = time.monotonic() + 20
    while True:
        try:
            assert ear._stream is not None
            assert ear._stream.sock is not None
            return ear._stream.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # that is the last one, which is broken already
            assert time.monotonic() < end_of_waiting
            time.sleep(0.01)


def test_the_engine_http_takes_up_where_it_was_cut_off(server: Server) -> None:
    """Nothing is missed while the ring of the server reaches so far."""
    url, book = f"http://:{server.token}@{server.host}", Notebook()
    listener, publisher = open_store(url), open_store(url)
    end = listener.bus.listen(["cut.*"], book)
    (ear,) = listener.bus._ears  # type: ignore[attr-defined]
    for number in range(30):
        if number % 10 == 5:
            cut(ear)
        publisher.bus.publish([message("cut.a", b"%d" % number)])
    book.until(lambda book: len(book.heard) == 30)
    assert [int(one) for one in book.bodies()] == list(range(30))
    assert book.gaps == []
    end()
    listener.close()
    publisher.close()


def test_another_life_of_the_server_is_told(starter: Start, tmp_path: Any) -> None:
    book = Notebook()
    server = starter(home=tmp_path)
    store = open_store(f"http://:{server.token}@{server.host}")
    store.bus.listen(["a"], book)
    server.stop()
    again = starter(home=tmp_path, bind=server.host)
    book.until(lambda book: book.gaps)
    again.ask("POST", "/v1/topics/a", "x")
    book.until_topic("a")
    assert {missed for _, missed in book.gaps} == {-1}
    store.close()
