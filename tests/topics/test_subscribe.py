"""Functions of a program that hear topics: as members of durable groups in every pool, and live for as long as a worker runs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.errors import BadName, BadValue, Unsupported
from ropeway.job import State
from ropeway.message import Message
from ropeway.retry import Retry
from ropeway.store import Feature
from ropeway.tasks import Tasks
from ropeway.testing.clock import FakeClock
from ropeway.testing.draining import drain
from ropeway.worker import Worker

from . import shop
from .conftest import until

Connect = Callable[..., Broker]
Serve = Callable[..., Worker]


def lines(folder: Path) -> list[str]:
    file = folder / "heard"
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize("pool", ["thread", "async", "process"])
def test_the_functions_of_a_group_in_every_pool(pool: str, tmp_path: Path, connect: Connect, serve: Serve) -> None:
    broker = connect(f"dir:{tmp_path}/spool?durability=os")
    broker.include(shop.tasks)
    folder = str(tmp_path)
    serve(broker, "default", pool=pool, concurrency=2, retry=Retry(3, base=0.01))
    until(lambda: len(broker.groups.browse()) == 4)
    broker.topic("orders.created").publish({"id": 7, "folder": folder}, headers={"a": "b"})
    broker.topic("orders.twice").publish({"folder": folder})
    broker.topic("orders.stubborn").publish({"folder": folder})
    broker.topic("awaited.one").publish({"folder": folder})
    broker.topic("awaited.both").publish({"folder": folder})
    broker.topic("refused").publish("thanks")
    broker.topic("orders.created").publish({"id": "seven"})  # not what it takes: no try would ever be better
    until(lambda: len(lines(tmp_path)) == 6)
    told = sorted(" ".join(line.split()[:3]) if line.startswith("mail") else line for line in lines(tmp_path))
    assert told == [
        *("audit orders.created 1 b", "audit orders.twice 2 -", "first awaited.both", "first awaited.one"),
        *("mail 7 1", "second"),
    ]
    until(lambda: [broker.groups.counts()[name].dead for name in ("audit", "mailer", "refused")] == [2, 1, 1])
    errors = [entry.error for name in ("mailer", "refused") for entry in broker.queue(f"_group.{name}").browse(state="dead")]
    assert "int" in errors[0]
    assert errors[1] == "no thanks"
    until(lambda: broker.groups.counts()["audit"].done == 2)
    assert broker.groups.replay("audit", since="1h") == 2
    until(lambda: len(lines(tmp_path)) == 8)


def test_workers_of_a_group_share_and_groups_each_get_all(url: str, connect: Connect, serve: Serve) -> None:
    heard: list[tuple[str, str, int]] = []
    brokers = [connect(url) for _ in range(3)]
    for name, broker in zip("abc", brokers, strict=True):
        group = "one" if name in "ab" else "two"

        @broker.subscribe("t.*", group=group)
        def hear(message: Message, name: str = name, group: str = group) -> None:
            heard.append((group, name, message.data))

        serve(broker, concurrency=1)
    until(lambda: {"one", "two"} <= {group.name for group in brokers[0].groups.browse()})
    for number in range(40):
        brokers[number % 3].topic(f"t.{number % 4}").publish(number)
    until(lambda: len(heard) >= 80)
    for group in ("one", "two"):
        assert sorted(number for g, _, number in heard if g == group) == list(range(40))


def test_without_a_group_every_worker_hears_what_comes_while_it_runs(url: str, connect: Connect, serve: Serve) -> None:
    heard: list[tuple[int, Any]] = []
    brokers = [connect(url) for _ in range(2)]
    for number, broker in enumerate(brokers):

        @broker.subscribe("t.#")
        def hear(message: Message, number: int = number) -> None:
            heard.append((number, message.data))

    publisher = connect(url)
    publisher.topic("t").publish("too early")
    workers = [serve(broker) for broker in brokers]
    until(lambda: publisher.topic("t").publish("there?") and {number for number, _ in heard} == {0, 1})
    publisher.topic("t.x").publish("both")
    until(lambda: {(0, "both"), (1, "both")} <= set(heard))
    assert not {"too early"} & {data for _, data in heard}
    assert "_groups" not in publisher.queues()
    workers[0].stop()
    until(lambda: sum(thread.name.startswith("ropeway-hear") for thread in threading.enumerate()) == 1)


def test_a_function_that_fails_or_is_awaited_hears_the_next_one(
    memory: str, connect: Connect, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    broker, heard = connect(memory), list[str]()

    @broker.subscribe("t")
    def fails(text: str) -> None:
        heard.append(f"fails {text}")
        raise RuntimeError("as it always does")

    @broker.subscribe("t", buffer=5)
    async def awaited(message: Message) -> None:
        await asyncio.sleep(0)
        heard.append(f"awaited {message.data}")

    assert fails.__name__ == "fails"
    with caplog.at_level(logging.WARNING):
        serve(broker)
        until(lambda: broker.topic("t").publish("go") and len(set(heard)) == 2)
        broker.topic("t").publish("on")
        broker.topic("t").publish({"not": "text"})
        until(lambda: {"fails on", "awaited on", "awaited {'not': 'text'}"} <= set(heard))
        until(lambda: "as it always does" in caplog.text)
    assert awaited(Message("t", "0" * 32)).close() is None  # type: ignore[func-returns-value]  # it stays what it is


def test_the_code_and_the_operator_agree_on_who_says_what_a_group_hears(memory: str, connect: Connect) -> None:
    broker = connect(memory)
    assert broker.groups.code("one", ("a", "b")) == "added"
    assert broker.groups.code("one", ("b", "a")) == "same"
    broker.groups.edit("one", "c")
    assert broker.groups.code("one", ("a", "b")) == "same"
    assert broker.groups.browse()[0].patterns == ("c",)
    assert broker.groups.code("one", ("a", "b"), 60.0) == "changed"
    assert (broker.groups.browse()[0].patterns, broker.groups.browse()[0].keep) == (("a", "b"), 60.0)
    broker.groups.add("two", "x")
    assert broker.groups.code("two", ("a",)) == "operator"
    assert broker.groups.browse()[1].patterns == ("x",)


def test_what_no_function_hears_is_not_dropped(memory: str, connect: Connect) -> None:
    broker = connect(memory)

    @broker.subscribe("a", group="one", retry=1)
    def hear(message: Message) -> None:
        """Only a."""

    broker.groups.add("one", ["a", "b"])
    broker.topic("b").publish(1)
    broker.topic("a").publish(2)
    broker.queue("_group.one").put("not a message", task="_group.one")
    ran = drain(broker, "_group.one")
    assert [run.outcome for run in ran] == ["dead", "done", "dead"]
    assert "no function of this program hears b" in ran.runs[0].error
    assert "no message of a topic" in ran.runs[2].error


def test_drain_makes_the_groups_and_runs_what_comes_for_them(memory: str, connect: Connect) -> None:
    clock = FakeClock()
    broker, heard = connect(memory, clock), list[Any]()

    @broker.subscribe("t.#", group="g", retry=Retry(3, base="1m", cap="1m"))
    def hear(number: int) -> None:
        heard.append(number)
        if heard.count(number) == 1:
            raise RuntimeError("once more")

    assert len(drain(broker)) == 0
    broker.topic("t.x").publish(7)
    assert [run.outcome for run in drain(broker)] == ["retried"]
    assert [run.outcome for run in drain(broker, until="5m")] == ["done"]
    assert heard == [7, 7]


def test_registries_that_are_included_share_a_group(memory: str, connect: Connect) -> None:
    broker, heard = connect(memory), list[str]()
    one, two = Tasks(), Tasks()
    one.subscribe("a", group="g", retry=3)(lambda message: heard.append(f"one {message.data}"))
    two.subscribe("b", group="g")(lambda message: heard.append(f"two {message.data}"))
    broker.include(one, two)
    assert broker.tasks.groups == {"g": (("a", "b"), 0.0)}
    worker = broker.worker("default", drain=True)
    worker.run()
    broker.topic("a").publish(1)
    broker.topic("b").publish(2)
    assert broker.worker("default", drain=True).run() == 0
    assert sorted(heard) == ["one 1", "two 2"]


def test_a_group_may_be_left_out_of_a_worker(memory: str, connect: Connect) -> None:
    broker, heard = connect(memory), list[Any]()
    broker.subscribe("#", group="one")(heard.append)
    broker.subscribe("#", group="two")(heard.append)
    broker.groups.add("one", "#")
    broker.groups.add("two", "#")
    broker.topic("t").publish(1)
    broker.worker("default", "!_group.one", drain=True).run()
    assert len(heard) == 1
    assert broker.groups.counts()["one"].ready == 1


def nothing() -> None:
    """Takes no message."""


def two(a: int, b: int) -> None:
    """Takes too many."""


def unreadable(body: list[int] | tuple[int, int]) -> None:
    """Takes what cannot be told apart in JSON."""


@pytest.mark.parametrize(
    ("patterns", "options", "function", "error"),
    [
        ((), {"group": "g"}, print, BadValue),
        (("a b",), {"group": "g"}, print, BadValue),
        (("a",), {"group": "../g"}, print, BadName),
        (("a",), {"group": "g", "buffer": 5}, print, BadValue),
        (("a",), {"retry": 5}, print, BadValue),
        (("a",), {"group": "g", "pirority": 5}, print, TypeError),
        (("a",), {"group": "g"}, nothing, BadValue),
        (("a",), {}, two, BadValue),
        (("a",), {"group": "g"}, unreadable, BadValue),
    ],
)
def test_what_cannot_be_subscribed(patterns: Any, options: Any, function: Any, error: type[Exception]) -> None:
    tasks = Tasks()
    with pytest.raises(error):
        tasks.subscribe(*patterns, **options)(function)
    assert tasks.subscriptions == ()
    assert list(tasks) == []


def test_options_of_a_group_stand_once() -> None:
    tasks = Tasks()
    tasks.subscribe("a", group="g", timeout=5)(lambda _: None)
    tasks.subscribe("b", group="g")(lambda _: None)
    with pytest.raises(BadValue, match="its options stand there"):
        tasks.subscribe("c", group="g", timeout=6)(lambda _: None)


def test_a_worker_on_an_engine_without_topics_says_so(memory: str, connect: Connect) -> None:
    broker = connect(memory)
    broker.subscribe("t")(lambda _: None)
    broker.link.store.features -= {Feature.TOPICS}
    with pytest.raises(Unsupported, match="who listens"):
        broker.worker("default", drain=True).run()
    other = connect(memory + "x")
    other.subscribe("t", group="g")(lambda _: None)
    other.link.store.features -= {Feature.KEYS}
    with pytest.raises(Unsupported, match="lacks keys"):
        other.worker("default", drain=True).run()


def test_a_group_is_a_queue_like_any_other_to_an_operator(memory: str, connect: Connect) -> None:
    broker = connect(memory)
    broker.groups.add("one", "#")
    broker.topic("t").publish(1)
    queue = broker.queue("_group.one")
    (entry,) = queue.browse()
    assert (entry.state, entry.job.task) == (State.READY, "_group.one")
    queue.pause(reason="later")
    broker.topic("t").publish(2)
    assert queue.counts().ready == 2
