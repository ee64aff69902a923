"""A publish does not look at the groups each time, and yet no group misses what is published after it was there for anybody to see."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from ropeway.broker import Broker
from ropeway.census import BELIEVED, SETTLED, Census
from ropeway.job import Job
from ropeway.message import Message
from ropeway.store import Entry, Query
from ropeway.testing.clock import FakeClock

from .test_groups import data, taken

Connect = Callable[..., Broker]


def looks(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> list[Query]:
    """The looks that this connection takes at its store, as they come."""
    found: list[Query] = []
    store = broker.link.store
    browse = store.browse

    def counted(query: Query) -> list[Entry]:
        found.append(query)
        return browse(query)

    monkeypatch.setattr(store, "browse", counted)
    return found


@pytest.fixture
def sqlite(tmp_path: object) -> str:
    return f"sqlite:{tmp_path}/s.db"


def test_a_look_is_believed_for_a_moment(sqlite: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    broker = connect(sqlite, clock)
    broker.groups.add("g", "#")
    found = looks(broker, monkeypatch)
    for number in range(20):
        broker.topic("t").publish(number)
    assert len(found) == 1
    clock.advance(BELIEVED)
    broker.topic("t").publish(20)
    assert len(found) == 2
    assert data(taken(broker, "g")) == list(range(21))


def test_who_has_just_looked_knows_what_was_added(url: str, connect: Connect) -> None:
    warm, other = connect(url), connect(url)
    for turn in range(3):
        warm.topic("t").publish("before")
        other.groups.add(f"g{turn}", "#")
        warm.topic("t").publish("after")
        assert data(taken(other, f"g{turn}")) == ["after"]


def test_who_has_just_looked_knows_what_was_edited_and_deleted(url: str, connect: Connect) -> None:
    warm, other = connect(url), connect(url)
    other.groups.add("g", "a")
    warm.topic("b").publish("before")
    other.groups.edit("g", ["b"])
    warm.topic("a").publish("no more")
    warm.topic("b").publish("after")
    assert data(taken(other, "g")) == ["after"]
    warm.topic("b").publish("deleted with it")
    other.groups.delete("g")
    warm.topic("b").publish("to nobody")
    assert "_group.g" not in other.link.store.queues()


def test_who_has_just_looked_knows_what_is_retained(sqlite: str, connect: Connect) -> None:
    warm, other = connect(sqlite), connect(sqlite)
    warm.topic("t").publish("before")
    other.groups.retain("t", "1h")
    warm.topic("t").publish("kept")
    other.groups.release("t")
    warm.topic("t").publish("after")
    with other.listen("t", replay="1h") as news:
        assert [message.data for message in [news.get(timeout=5)] if message] == ["kept"]
        assert news.get(timeout=0) is None


@pytest.mark.parametrize("see", [lambda groups: groups.get("g"), lambda groups: groups.browse(), lambda groups: groups.counts()])
def test_who_sees_a_group_of_one_who_died_adding_it_may_rely_on_it(
    url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch, see: Callable[..., object]
) -> None:
    warm, died, other = connect(url), connect(url), connect(url)
    warm.topic("t").publish("before")
    with monkeypatch.context() as patch:
        patch.setattr(Census, "changed", lambda _: None)
        died.groups.add("g", "#")
    assert see(other.groups)
    warm.topic("t").publish("after")
    assert data(taken(other, "g")) == ["after"]


def test_who_finds_the_name_taken_may_rely_on_that_group(sqlite: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    warm, died, other = connect(sqlite), connect(sqlite), connect(sqlite)
    warm.topic("t").publish("before")
    with monkeypatch.context() as patch:
        patch.setattr(Census, "changed", lambda _: None)
        died.groups.code("g", ["#"])
    assert other.groups.code("g", ["#"]) == "same"
    warm.topic("t").publish("after")
    assert data(taken(other, "g")) == ["after"]


def test_what_is_known_to_be_old_is_not_waited_for(sqlite: str, connect: Connect) -> None:
    clock = FakeClock()
    broker = connect(sqlite, clock)
    before = clock.boot()
    broker.groups.add("g", "#")
    assert clock.boot() - before == pytest.approx(SETTLED)
    broker.groups.get("g")
    clock.advance(60)
    later = clock.boot()
    assert connect(sqlite, clock).groups.get("g")
    assert clock.boot() == later


def test_many_threads_share_a_look(sqlite: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight come while one looks; one of them looks again, and the others take what it has found, however long a look takes."""
    clock = FakeClock()
    broker = connect(sqlite, clock)
    found = looks(broker, monkeypatch)
    counted = broker.link.store.browse
    first, go = threading.Event(), threading.Event()

    def slow(query: Query) -> list[Entry]:
        first.set()
        assert go.wait(60)
        clock.advance(60)
        return counted(query)

    monkeypatch.setattr(broker.link.store, "browse", slow)
    census = Census(broker.link)
    asked = threading.Semaphore(0)

    def ask() -> None:
        asked.release()
        census.roll()

    threads = [threading.Thread(target=ask) for _ in range(9)]
    threads[0].start()
    assert first.wait(60)
    clock.advance(1)
    for thread in threads[1:]:
        thread.start()
    for _ in threads:
        assert asked.acquire(timeout=60)
    go.set()
    for thread in threads:
        thread.join(60)
    assert 2 <= len(found) <= 5, "nine, were each to look for itself; two, unless a thread was held up before it asked"


def test_a_look_that_was_overtaken_by_a_change_is_not_kept(sqlite: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, other = connect(sqlite), connect(sqlite)
    store = broker.link.store
    browse = store.browse
    looked, go = threading.Event(), threading.Event()

    def slow(query: Query) -> list[Entry]:
        found = browse(query)
        looked.set()
        assert go.wait(60)
        return found

    monkeypatch.setattr(store, "browse", slow)
    thread = threading.Thread(target=broker.topic("t").publish, args=("early",))
    thread.start()
    assert looked.wait(60)
    monkeypatch.setattr(store, "browse", browse)
    broker.groups.add("g", "#")
    go.set()
    thread.join(60)
    broker.topic("t").publish("after")
    assert data(taken(other, "g")) == ["after"]


def test_awaited_publishes_share_commits_and_words(sqlite: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = connect(sqlite)
    broker.groups.add("g", "#")
    store = broker.link.store
    put, say = store.put, store.bus.publish
    puts, words = list[int](), list[int]()

    def counted(jobs: Sequence[Job]) -> list[bool]:
        puts.append(len(jobs))
        return put(jobs)

    def said(messages: Sequence[Message]) -> None:
        words.append(len(messages))
        say(messages)

    monkeypatch.setattr(store, "put", counted)
    monkeypatch.setattr(store.bus, "publish", said)

    async def many() -> None:
        await asyncio.gather(*(broker.topic("t").apublish(number) for number in range(200)))

    with broker.listen("#", buffer=500) as news:
        asyncio.run(many())
        heard = [message.data for message in (news.get(timeout=20) for _ in range(200)) if message]
    assert sum(puts) == sum(words) == 200
    assert len(puts) < 50
    assert len(words) < 50
    assert sorted(heard) == list(range(200))
    assert sorted(data(taken(broker, "g"))) == list(range(200))
