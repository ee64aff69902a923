"""Durable groups on every engine: who gets a copy, when, how often and in which order; edits, replay, deletion, and what is retained."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engines import place
from ropeway.broker import Broker
from ropeway.errors import BadBody, BadName, BadValue, Conflict, Stopped, StoreError, Unsupported
from ropeway.group import LOOK, QUEUE, TOPIC, message_of
from ropeway.link import Link
from ropeway.message import Message
from ropeway.store import Query
from ropeway.testing.clock import FakeClock
from ropeway.topic import publish

Connect = Callable[..., Broker]


def taken(broker: Broker, group: str) -> list[Message]:
    """What waits for the group, handled."""
    found = []
    for claim in broker.queue(f"_group.{group}").claims(idle=0, batch=100):
        with claim:
            found.append(message_of(claim.job))
    return found


def data(messages: list[Message]) -> list[Any]:
    return [message.data for message in messages]


def test_each_group_gets_each_message_that_its_patterns_mean_once(broker: Broker) -> None:
    broker.groups.add("mailer", ["orders.*", "#.created"])
    broker.groups.add("audit", "#")
    sent = broker.topic("orders.created").publish({"id": 1}, headers={"tenant": "7"})
    broker.topic("orders.created.late").publish("text")
    broker.topic("users").publish(b"\0bytes")
    assert taken(broker, "mailer") == [sent]
    found = taken(broker, "audit")
    assert data(found) == [{"id": 1}, "text", b"\0bytes"]
    assert found[0] == sent
    assert found[0].headers == {"tenant": "7"}
    assert abs(found[0].at - broker.link.clock.now()) < 3600


def test_what_was_published_before_a_group_was_made_is_not_its(broker: Broker) -> None:
    broker.topic("news").publish(1)
    assert QUEUE not in broker.queues()
    broker.groups.add("late", "news")
    broker.topic("news").publish(2)
    assert data(taken(broker, "late")) == [2]


def test_the_order_is_that_of_the_publisher(broker: Broker) -> None:
    broker.groups.add("one", "#")
    topics = [broker.topic("a"), broker.topic("b")]
    for number in range(30):
        topics[number % 2].publish(number)
    topics[0].publish_many(range(30, 400))
    assert data(taken(broker, "one")) == list(range(400))


def test_the_members_of_a_group_share_its_messages(url: str, connect: Connect) -> None:
    broker, other = connect(url), connect(url)
    broker.groups.add("workers", "jobs")
    broker.topic("jobs").publish_many(range(10))
    queues = broker.queue("_group.workers"), other.queue("_group.workers")
    claims = [queues[n % 2].claim() for n in range(10)]
    assert sorted(claim.data for claim in claims if claim) == list(range(10))
    assert queues[0].claim() is None


def test_a_publish_may_be_repeated_with_its_id(url: str, connect: Connect) -> None:
    broker, other = connect(url), connect(url)
    broker.groups.add("one", "#")
    message_id = broker.link.new_id()
    first = broker.topic("news").publish("x", id=message_id)
    again = other.topic("news").publish("x", id=message_id)
    assert first.id == again.id == message_id
    assert len(taken(broker, "one")) == 1


def test_a_name_is_taken_once_and_put_changes_it(broker: Broker) -> None:
    made = broker.groups.add("one", "a", keep="1h")
    assert (made.patterns, made.keep, made.source) == (("a",), 3600.0, "operator")
    with pytest.raises(Conflict, match="group one already"):
        broker.groups.add("one", "b")
    broker.topic("a").publish(1)
    assert broker.groups.put("one", ["b", "c.#"]).patterns == ("b", "c.#")
    broker.topic("a").publish(2)
    broker.topic("c.d.e").publish(3)
    assert data(taken(broker, "one")) == [1, 3]
    assert [group.name for group in broker.groups.browse()] == ["one"]
    assert broker.groups.get("two") is None


def test_an_edit_counts_from_the_next_publish_on(broker: Broker) -> None:
    broker.groups.add("one", "a", keep=5)
    for number in range(4):
        edited = broker.groups.edit("one", f"topic.{number}")
        assert edited.keep == 5
        broker.topic(f"topic.{number}").publish(number)
        broker.topic(f"topic.{number - 1}").publish("no longer")
    assert data(taken(broker, "one")) == [0, 1, 2, 3]
    assert broker.groups.edit("one", keep="10s").patterns == ("topic.3",)
    with pytest.raises(BadValue, match="no group"):
        broker.groups.edit("two", "a")


def test_older_generations_go_when_nobody_can_be_looking_at_them(memory: str, connect: Connect) -> None:
    clock = FakeClock()
    broker = connect(memory, clock)

    def records() -> int:
        return len(broker.store.browse(Query(queues=(QUEUE,))))

    broker.groups.add("one", "a")
    for number in range(5):
        broker.groups.edit("one", f"b.{number}")
    assert records() == 6
    clock.advance(LOOK + 1)
    broker.groups.edit("one", "c")
    assert records() == 2
    assert broker.groups.browse()[0].patterns == ("c",)
    assert broker.groups.delete("one")
    assert records() == 0


def test_a_group_is_deleted_with_its_messages(broker: Broker) -> None:
    broker.groups.add("one", "#")
    broker.topic("a").publish_many(range(5))
    assert broker.groups.delete("one")
    assert not broker.groups.delete("one")
    assert broker.groups.browse() == []
    broker.topic("a").publish(1)
    assert "_group.one" not in broker.queues()
    broker.groups.add("one", "#")
    assert taken(broker, "one") == []
    broker.topic("a").publish(2)
    assert data(taken(broker, "one")) == [2]


def test_what_comes_for_a_group_that_is_gone_is_not_for_the_next_of_its_name(broker: Broker) -> None:
    roll_of_a_slow_publisher = broker.groups.add("one", "#")
    broker.groups.delete("one")
    from ropeway.group import copy

    broker.store.put([copy(Message("a", broker.link.new_id(), b"late", at=1.0), roll_of_a_slow_publisher)])
    broker.groups.add("one", "#")
    broker.topic("a").publish("new")
    assert data(taken(broker, "one")) == ["new"]


def test_counts_tell_what_a_group_has_before_it(broker: Broker) -> None:
    broker.groups.add("one", "#", keep="1h")
    broker.groups.add("two", "b")
    broker.topic("a").publish_many(range(3))
    claim = broker.queue("_group.one").claim()
    assert claim is not None
    counts = broker.groups.counts()
    assert (counts["one"].ready, counts["one"].running, counts["two"].ready) == (2, 1, 0)
    claim.ack()
    assert broker.groups.counts()["one"].done == 1


def test_replay_brings_back_what_was_handled(broker: Broker) -> None:
    broker.groups.add("one", "#", keep="1h")
    sent = broker.topic("a").publish_many(range(5))
    assert data(taken(broker, "one")) == [0, 1, 2, 3, 4]
    assert broker.groups.replay("one", since="1h") == 5
    assert taken(broker, "one") == sent
    assert broker.groups.replay("one") == 5
    assert broker.groups.replay("one") == 0
    with pytest.raises(BadValue, match="no group"):
        broker.groups.replay("two")


def test_replay_goes_by_when_a_message_was_published(memory: str, connect: Connect) -> None:
    clock = FakeClock()
    broker = connect(memory, clock)
    broker.groups.add("one", "#", keep="1d")
    for hour in range(4):
        broker.topic("a").publish(hour)
        clock.advance(3600)
    assert len(taken(broker, "one")) == 4
    assert broker.groups.replay("one", since="150m") == 2
    assert data(taken(broker, "one")) == [2, 3]
    clock.advance(86400)
    assert broker.groups.replay("one") == 0


def test_what_is_retained_comes_to_a_group_that_asks_for_it(broker: Broker) -> None:
    broker.groups.retain("orders.#", "1d")
    broker.topic("users").publish("not retained")
    broker.topic("orders.a").publish_many([1, 2])
    broker.topic("orders.b").publish(3)
    assert [(one.pattern, one.keep) for one in broker.groups.retained()] == [("orders.#", 86400.0)]
    broker.groups.add("plain", "#")
    broker.groups.add("late", "orders.#", replay="1h")
    broker.groups.add("some", "orders.b", replay="1h")
    broker.topic("orders.a").publish(4)
    assert data(taken(broker, "plain")) == [4]
    assert data(taken(broker, "late")) == [1, 2, 3, 4]
    assert data(taken(broker, "some")) == [3]
    assert broker.groups.replay("some", since="1h") == 1
    assert broker.groups.replay("some", since="1h") == 0  # it has that already
    assert broker.groups.release("orders.#")
    assert not broker.groups.release("orders.#")
    broker.topic("orders.a").publish(5)
    assert broker.groups.forget() == 4
    assert broker.groups.replay("late") == 0


def test_what_is_retained_is_forgotten_in_time_and_the_longest_pattern_holds(memory: str, connect: Connect) -> None:
    clock = FakeClock()
    broker = connect(memory, clock)
    broker.groups.retain("#", "1h")
    broker.groups.retain("orders", "1d")
    broker.topic("orders").publish(1)
    broker.topic("users").publish(2)
    clock.advance(7200)
    broker.groups.add("late", "#", replay="1w")
    assert data(taken(broker, "late")) == [1]
    assert broker.groups.retain("#", "2h").keep == 7200.0
    with pytest.raises(BadValue, match="longer than none"):
        broker.groups.retain("#", 0)


@pytest.mark.parametrize(
    ("name", "patterns", "error"),
    [
        ("../x", "a", BadName),
        ("", "a", BadName),
        ("x" * 122, "a", BadName),
        ("one", "a..#b", BadValue),
        ("one", [], BadValue),
        ("one", "a b", BadValue),
        ("one", ["a"] * 101, BadValue),
    ],
)
def test_what_is_no_group_is_refused(memory: str, connect: Connect, name: str, patterns: Any, error: type[Exception]) -> None:
    broker = connect(memory)
    with pytest.raises(error):
        broker.groups.add(name, patterns)
    assert broker.queues() == []


def test_what_cannot_be_published_goes_to_nobody(memory: str, connect: Connect) -> None:
    broker = connect(memory)
    broker.groups.add("one", "#")
    with broker.listen("#") as news:
        for topic in ("", "a b", "*", "../a", "x" * 129):
            with pytest.raises(BadName):
                broker.topic(topic)
        for wrong in (
            lambda: broker.topic("a").publish(object()),
            lambda: broker.topic("a").publish(b"x" * (1024 * 1024 + 1)),
            lambda: broker.topic("a").publish_many([1, {2}]) and broker.topic("a").publish({object()}),
        ):
            with pytest.raises(BadBody):
                wrong()
                raise BadBody("sets are carried as arrays")
        for headers in ({"a b": "c"}, {"a": "b\n"}, {"a": "x" * 16_384}, {"a": "x" * 16_300}):
            with pytest.raises(BadName):
                broker.topic("a").publish(1, headers=headers)
        with pytest.raises(BadName):
            broker.topic("a").publish(1, id="no id")
        with pytest.raises(BadValue, match="share an id"):
            broker.topic("a").publish_many([1], id=broker.link.new_id())
        with pytest.raises(TypeError, match="no option"):
            broker.topic("a").publish(1, priority=1)  # type: ignore[call-arg]
        assert news.get(0) is not None or taken(broker, "one") == []


def test_a_group_that_takes_nothing_stops_the_publisher_before_anything_is_done(broker: Broker) -> None:
    broker.groups.add("one", "#")
    broker.groups.add("two", "#")
    broker.queue("_group.two").pause(put=True, reason="disk full")
    with pytest.raises(Stopped, match="disk full"):
        broker.topic("a").publish(1)
    broker.queue("_group.two").resume()
    assert taken(broker, "one") == []


def test_a_damaged_record_is_not_passed_over(broker: Broker) -> None:
    broker.groups.add("one", "#")
    broker.queue(QUEUE).put({"type": "group", "name": "two"}, delay="1d")
    with pytest.raises(StoreError, match="no record of a group") as caught:
        broker.topic("a").publish(1)
    assert caught.value.definite
    assert taken(broker, "one") == []


def test_strangers_headers_do_not_say_what_a_message_is(broker: Broker) -> None:
    broker.groups.add("one", "#")
    broker.topic("a").publish(1, headers={TOPIC: "b", "x": "y"})
    (found,) = taken(broker, "one")
    assert (found.topic, found.headers) == ("a", {"x": "y"})


def test_awaited_publishes_share_the_way(broker: Broker) -> None:
    broker.groups.add("one", "#")
    broker.groups.retain("kept", "1h")

    async def many() -> list[Message]:
        topic = broker.topic("a")
        sent = await asyncio.gather(*(topic.apublish(number) for number in range(50)))
        return [*sent, *await topic.apublish_many([50, 51]), await broker.topic("kept").apublish("kept")]

    sent = asyncio.run(many())
    found = taken(broker, "one")
    assert sorted(m.id for m in found) == sorted(m.id for m in sent)
    broker.groups.add("late", "#", replay="1h")
    assert data(taken(broker, "late")) == ["kept"]


def test_an_engine_that_lacks_all_of_it_says_so(memory: str, connect: Connect) -> None:
    from ropeway.store import Feature

    broker = connect(memory)
    broker.link.store.features = frozenset({Feature.PRIORITY})  # what a queue with nothing but priorities has
    for refused in (
        lambda: broker.topic("a").publish(1),
        lambda: broker.groups.add("one", "#"),
        lambda: broker.groups.browse(),
        lambda: broker.listen("#"),
    ):
        with pytest.raises(Unsupported, match="nothing was"):
            refused()
    broker.link.store.features = frozenset({Feature.TOPICS})
    with broker.listen("#") as news:
        sent = broker.topic("a").publish(1)
        assert news.get(0) == sent


def test_rolled_back_and_committed_with_the_caller(tmp_path: Any, connect: Connect) -> None:
    import sqlite3

    path = tmp_path / "jobs.db"
    broker = connect(f"sqlite:{path}?driver=sqlite3")
    broker.groups.add("one", "#")
    broker.groups.retain("#", "1h")
    own = sqlite3.connect(path, isolation_level=None)
    try:
        own.execute("create table orders (id integer)")
        for end in ("rollback", "commit"):
            own.execute("begin immediate")
            own.execute("insert into orders values (1)")
            broker.topic("a").publish(end, tx=own)
            own.execute(end)
        assert own.execute("select count(*) from orders").fetchone() == (1,)
    finally:
        own.close()
    assert data(taken(broker, "one")) == ["commit"]
    broker.groups.add("late", "#", replay="1h")
    assert data(taken(broker, "late")) == ["commit"]


def test_publish_takes_messages_of_several_topics(broker: Broker) -> None:
    broker.groups.add("one", "a")
    link: Link = broker.link
    messages = [Message(topic, link.new_id(), b"x", at=link.clock.now()) for topic in ("a", "b", "a")]
    assert publish(link, messages) == messages
    assert taken(broker, "one") == [messages[0], messages[2]]


@pytest.mark.service("postgresql")
@pytest.mark.parametrize("end", ["rollback", "commit"])
def test_with_the_callers_transaction_on_a_server(end: str, tmp_path: Any, connect: Connect) -> None:
    import psycopg

    with place("postgresql", tmp_path) as url:
        broker = connect(url)
        broker.groups.add("one", "#")
        with psycopg.connect(url.partition("?")[0]) as own:
            own.execute("select 1")
            broker.topic("a").publish_many([1, 2], tx=own)
            assert broker.groups.counts()["one"].ready == 0
            getattr(own, end)()
        assert data(taken(broker, "one")) == ([1, 2] if end == "commit" else [])
        broker.close()
