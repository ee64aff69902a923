"""Tasks as a user with a strict type checker writes them: mypy must understand every line, and refuse those marked as wrong."""

from __future__ import annotations

from typing import assert_type

from ropeway.broker import Broker
from ropeway.calls.call import Call
from ropeway.group import Group
from ropeway.handle import Handle
from ropeway.link import Link
from ropeway.message import Message
from ropeway.tasks import Handles, TaskClaim, Tasks, current_claim

tasks = Tasks(Link("memory:"))


@tasks.task(queue="mails", timeout="3s", retry=3, unique="user:{user_id}", keep="1d", priority=1, ttl=60, lane="l")
def welcome(user_id: int, *, lang: str = "en") -> bool:
    """A plain one."""
    return bool(user_id) and bool(lang)


@tasks.task
async def fetch(url: str) -> str:
    """An async one."""
    return url


@tasks.task()
def bare(a: int) -> float:
    """With empty brackets."""
    return a / 2


@tasks.subscribe("orders.*", group="mailer", retry=3, timeout="30s", keep="1d")
def on_order(message: Message) -> int:
    """Hears topics, and stays what it is."""
    return message.data["id"] + len(message.topic)  # type: ignore[no-any-return]


def news(broker: Broker) -> None:
    """Topics."""
    assert_type(on_order(Message("t", "0" * 32)), int)
    tasks.subscribe("t", group="g", retires=3)(on_order)  # type: ignore[call-arg]
    sent = broker.topic("t").publish({"id": 1}, headers={"a": "b"})
    assert_type(sent, Message)
    broker.topic("t").publish(1, priority=3)  # type: ignore[call-arg]
    for message in broker.listen("orders.*", replay="1h"):
        assert_type(message, Message)
    assert_type(broker.groups.get("g"), Group | None)
    broker.groups.add("g", 7)  # type: ignore[arg-type]


@tasks.task(batch=100, batch_wait="50ms", queue="index")
def index(documents: list[str]) -> list[bool]:
    """Several at once."""
    return [bool(document) for document in documents]


@tasks.task(batch=10)
async def pairs(items: list[tuple[int, str]]) -> list[str]:
    """Several at once, awaited, each with two arguments."""
    return [f"{number}{text}" for number, text in items]


@tasks.task(batch=10)
def silent(items: list[int]) -> None:
    """Several at once, without a word."""


async def batches() -> None:
    """Put one by one, called with a list."""
    assert_type(index.put("x"), Handle[bool])
    assert_type(index(["x"]), list[bool])
    assert_type(await pairs([(1, "x")]), list[str])
    assert_type(pairs.put(1, "x"), Handle[str])
    silent.put(1)
    index.put(3)  # type: ignore[arg-type]
    index.put(["x"])  # type: ignore[arg-type]
    pairs.put("x", 1)  # type: ignore[arg-type]
    silent.put("x")  # type: ignore[arg-type]


async def use() -> None:
    """Right, and wrong."""
    assert_type(welcome(1, lang="de"), bool)
    assert_type(welcome.put(42, lang="de"), Handle[bool])
    assert_type(welcome.put(42).result(), bool)
    assert_type(await welcome.options(delay="1m", priority=1, headers={"a": "b"}).aput(42), Handle[bool])
    assert_type(welcome.map([1, 2]), Handles[bool])
    assert_type(await fetch("x"), str)
    assert_type(fetch.put("x").result(), str)
    assert_type(bare.put(1).result("1s"), float)
    assert_type(current_claim(), TaskClaim | None)
    assert_type(welcome.call(42), bool)
    assert_type(welcome.call(42, timeout="2s"), bool)
    assert_type(welcome.options(timeout="2s").call(42, lang="de"), bool)
    assert_type(await welcome.acall(42, timeout=2), bool)
    assert_type(await welcome.options(timeout=2).acall(42), bool)
    assert_type(welcome.begin(42), Call[bool])
    assert_type(welcome.begin(42).result(), bool)
    assert_type(fetch.call("x"), str)
    assert_type(fetch.options(queue="q").begin("x"), Call[str])
    welcome.options(timeout="2s").call("42")  # type: ignore[call-overload]
    welcome.call("42")  # type: ignore[call-overload]
    welcome.begin(42, lan="de")  # type: ignore[call-overload]
    welcome.put("42")  # type: ignore[arg-type]
    welcome.put()  # type: ignore[call-arg]
    welcome.options(delay="1m").put(42, lan="de")  # type: ignore[call-arg]
    welcome.options(dely=1)  # type: ignore[call-arg]
    await welcome.aput(None)  # type: ignore[arg-type]
    fetch.put()  # type: ignore[call-arg]
    tasks.task(queu="x")  # type: ignore[call-overload]
    assert_type(welcome.put(1).result(), str)  # type: ignore[assert-type]
