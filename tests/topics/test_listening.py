"""Who listens now, on every engine: what is heard, in which order, what a slow reader misses, and replay without a gap."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.errors import BadName, BadValue, StoreError
from ropeway.listening import Ear
from ropeway.message import Message
from ropeway.testing.clock import FakeClock

from .conftest import LONG, until

Connect = Callable[..., Broker]


def test_who_listens_hears_what_is_published_from_then_on(url: str, connect: Connect) -> None:
    broker, other = connect(url), connect(url)
    other.topic("orders.created").publish("too early")
    with broker.listen("orders.*", "users.#") as news, other.listen("#") as all_news:
        sent = [
            other.topic("orders.created").publish({"id": 1}, headers={"a": "b"}),
            broker.topic("users").publish(b"\0\xff"),
            other.topic("users.eu.new").publish("text"),
        ]
        other.topic("orders.created.late").publish("not meant")
        sent.append(other.topic("users").publish("last"))
        heard = [message for message in (news.get(LONG) for _ in range(4)) if message]
        assert sorted(message.id for message in heard) == sorted(message.id for message in sent)
        assert [message for message in heard if message != sent[1]] == [sent[0], sent[2], sent[3]]  # of one publisher, in order
        assert sent[1] in heard
        assert sorted(str(m.data) for m in (all_news.get(LONG) for _ in range(5)) if m) == sorted(
            ["{'id': 1}", "b'\\x00\\xff'", "text", "not meant", "last"]
        )
        assert (news.missed, news.gaps, news.waiting) == (0, 0, 0)


def test_the_order_is_that_of_one_publisher(url: str, connect: Connect) -> None:
    broker, other = connect(url), connect(url)
    with broker.listen("#") as news:
        topics = [other.topic(f"t.{n}") for n in range(3)]
        for number in range(150):
            topics[number % 3].publish(number)
        other.topic("many").publish_many(range(150, 400))
        heard = [news.get(LONG) for _ in range(400)]
    assert [message.data for message in heard if message] == list(range(400))


def test_a_slow_reader_misses_the_oldest_and_is_told_how_many(url: str, connect: Connect) -> None:
    broker, other = connect(url), connect(url)
    with broker.listen("#", buffer=10) as slow, broker.listen("#", buffer=1000) as quick:
        other.topic("t").publish_many(range(200))
        assert [m.data for m in (quick.get(LONG) for _ in range(200)) if m] == list(range(200))
        until(lambda: slow.missed == 190)
        assert [m.data for m in (slow.get(LONG) for _ in range(10)) if m] == list(range(190, 200))
        assert quick.missed == 0


def test_nobody_hears_after_close(broker: Broker) -> None:
    news = broker.listen("t")
    sent = broker.topic("t").publish(1)
    until(lambda: news.waiting == 1)
    news.close()
    news.close()
    broker.topic("t").publish(2)
    assert list(news) == [sent]
    assert news.get() is None
    assert news.closed


def test_close_wakes_who_waits(memory: str, connect: Connect) -> None:
    broker = connect(memory)
    heard: list[Message] = []
    news = broker.listen("t")
    thread = threading.Thread(target=lambda: heard.extend(news))
    thread.start()
    broker.topic("t").publish(1)
    until(lambda: heard)
    broker.close()  # ends what listens as well
    thread.join(LONG)
    assert not thread.is_alive()
    assert [message.data for message in heard] == [1]
    with pytest.raises(StoreError, match="closed"):
        broker.listen("t")


def test_get_waits_so_long_and_no_longer(memory: str, connect: Connect) -> None:
    clock = FakeClock()
    broker = connect(memory, clock)
    with broker.listen("t") as news:
        assert news.get(0) is None
        began = clock.boot()
        assert news.get("90s") is None
        assert clock.boot() == began + 90


def test_awaited(url: str, connect: Connect) -> None:
    broker, other = connect(url), connect(url)

    async def go() -> list[Any]:
        async with await broker.alisten("t.#") as news:
            assert await news.aget(0.01) is None
            for number in range(5):
                await other.topic("t").apublish(number)
            await other.topic("t.x").apublish_many(["a", "b"])
            heard: list[Any] = []
            async with asyncio.timeout(LONG):
                async for message in news:
                    heard.append(message.data)
                    if len(heard) == 7:
                        break
            waiting = asyncio.create_task(news.aget())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            last = asyncio.create_task(news.aget(LONG))
            await other.topic("t").apublish("last")
            message = await last
            assert message is not None
            heard.append(message.data)
        assert [message async for message in news] == []
        return heard

    assert asyncio.run(go()) == [0, 1, 2, 3, 4, "a", "b", "last"]


def test_replay_comes_first_and_nothing_comes_twice(url: str, connect: Connect) -> None:
    broker, other = connect(url), connect(url)
    broker.groups.retain("orders.#", "1h")
    before = other.topic("orders.a").publish_many([1, 2])
    other.topic("users").publish("not retained")
    with broker.listen("orders.#", "users", replay="1h") as news, broker.listen("#", after=before[0].id) as later:
        other.topic("orders.b").publish(3)
        assert [m.data for m in (news.get(LONG) for _ in range(3)) if m] == [1, 2, 3]
        assert [m.data for m in (later.get(LONG) for _ in range(2)) if m] == [2, 3]
        assert news.get(0.05) is None


def test_replay_under_publish_has_no_gap(url: str, connect: Connect) -> None:
    """Listeners that begin while somebody publishes hear everything, in order, once: first from what is retained, then live."""
    broker, publisher = connect(url), connect(url)
    broker.groups.retain("#", "1h")
    over, sent = threading.Event(), [0]

    def publish() -> None:
        while not over.is_set():
            publisher.topic("t").publish(sent[0])
            sent[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for _ in range(4):
            until(lambda: sent[0] > 3)
            with broker.listen("#", replay="1h", buffer=10_000) as news:
                target = sent[0] + 10
                heard = [news.get(LONG) for _ in range(target)]
            assert [m.data for m in heard if m] == list(range(target))
    finally:
        over.set()
        thread.join()


def test_what_was_replayed_is_passed_over_when_it_comes_live() -> None:
    ear = Ear(10)
    first, second, third = (Message("t", f"{n:032x}", b"x") for n in (1, 2, 3))
    ear.hear([second], 0)  # published after we began to listen, and before what is retained was read
    ear.replay([first, second])
    ear.hear([third], 4)
    ear.hear([], -1)
    assert [ear.take() for _ in range(4)] == [first, second, third, None]
    assert (ear.missed, ear.gaps) == (4, 1)


def test_one_that_is_forgotten_ends(memory: str, connect: Connect) -> None:
    broker = connect(memory)
    ends = len(broker.link.at_close)
    news = broker.listen("t")
    assert len(broker.link.at_close) == ends + 1
    del news
    gc.collect()
    until(lambda: len(broker.link.at_close) == ends)


@pytest.mark.parametrize(
    ("patterns", "options", "error"),
    [
        ((), {}, BadValue),
        (("a b",), {}, BadValue),
        (("a",), {"buffer": 0}, BadValue),
        (("a",), {"buffer": True}, BadValue),
        (("a",), {"replay": "soon"}, BadValue),
        (("a",), {"after": "x"}, BadName),
    ],
)
def test_what_cannot_be_listened_to(memory: str, connect: Connect, patterns: Any, options: Any, error: type[Exception]) -> None:
    broker = connect(memory)
    with pytest.raises(error):
        broker.listen(*patterns, **options)
    assert broker.link.at_close == []


def test_a_bus_that_fails_takes_nothing_back(memory: str, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    broker = connect(memory)

    class Broken:
        def publish(self, messages: object) -> None:
            raise StoreError("the line is cut")

        def close(self) -> None:
            pass

    broker.store.bus = Broken()  # type: ignore[assignment]
    with pytest.raises(StoreError, match="cut"):
        broker.topic("t").publish(1)
    broker.groups.add("one", "#")
    broker.topic("t").publish(2)
    assert "safe for their groups" in caplog.text
    assert broker.groups.counts()["one"].ready == 1
