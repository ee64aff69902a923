"""A program as a user with a strict type checker writes it: mypy must understand every line, and refuse those marked as wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, assert_type

from msgspec import Struct

import ropeway
from ropeway import Claim, Handle, Queue, Retry, State


class Mail(Struct):
    """A body."""

    to: str


broker = ropeway.connect("memory:")
mails = broker.queue("mails", Mail)
assert_type(mails, Queue[Mail])


def plain() -> None:
    """Jobs by hand."""
    mails.put(Mail("a"), priority=10, delay="10m", key="k", ttl="1d", headers={"a": "b"}, keep=60, at=datetime.now(UTC), on_conflict="keep")
    mails.put_many([Mail("a")], delay=1)
    mails.put({"to": "a"})  # type: ignore[arg-type]
    mails.put(Mail("a"), priorty=1)  # type: ignore[call-arg]
    mails.put(Mail("a"), delay=[])  # type: ignore[arg-type]
    mails.put(Mail("a"), on_conflict="explode")  # type: ignore[arg-type]
    claim = mails.claim(lease="30s", timeout=0)
    assert_type(claim, Claim[Mail] | None)
    for one in mails.claims(idle="5s", batch=50):
        with one:
            assert_type(one.data, Mail)
            one.data.nonsense  # type: ignore[attr-defined]  # noqa: B018
    handle = mails.handle("0" * 32)
    assert_type(handle.state(), State | None)
    mails.browse(state="dead", limit=5)
    mails.requeue(stat="dead")  # type: ignore[call-arg]
    mails.pause(claim=True, reason="deploy")


@broker.task(queue="mails", retry=Retry(5, base="1s"), timeout="30s", keep="1d")
def welcome(user_id: int, *, lang: str = "en") -> bool:
    """A task."""
    return user_id > 0 and bool(lang)


@broker.task
async def fetch(url: str) -> bytes:
    """An awaited task."""
    return url.encode()


def tasks() -> None:
    """Jobs by function."""
    assert_type(welcome.put(42, lang="de"), Handle[bool])
    assert_type(welcome.put(42).result("10s"), bool)
    assert_type(fetch.put("x").result(), bytes)
    assert_type(welcome(1), bool)
    welcome.put("42")  # type: ignore[arg-type]
    welcome.put(42, language="de")  # type: ignore[call-arg]


async def awaited() -> None:
    """The twins."""
    assert_type(await mails.aput(Mail("a"), delay=5), Handle[object])  # type: ignore[assert-type]
    await mails.aput("a")  # type: ignore[arg-type]
    async with broker:
        async for claim in mails.aclaims(idle=0):
            async with claim:
                assert_type(claim.data, Mail)
                await claim.aextend("5m")
                await claim.aextend([])  # type: ignore[arg-type]
    assert_type(await mails.aclaim(), Claim[Mail] | None)
    assert_type(await mails.apick("x"), Claim[Mail] | None)
    assert_type(await broker.aqueues(), list[str])
    await mails.abrowse(state="dead")
    await mails.abrowse(stat="dead")  # type: ignore[call-arg]
    assert_type(await mails.handle("x").astate(), State | None)


assert_type(ropeway.current_claim() is None, bool)


def executors() -> None:
    """Futures know what a run returns, and what it takes."""
    with broker.executor("default", keep="1h") as pool:
        assert_type(pool.submit(welcome, 42, lang="de").result(), bool)
        pool.submit(fetch, "x").result()
        assert_type(list(pool.map(welcome, [1, 2])), list[bool])
        pool.submit(welcome, "42")  # type: ignore[call-overload]


later = ropeway.Tasks(queue="mails")


@later.task(codec="msgpack")
def shrink(image: bytes, *, width: int = 100) -> bytes:
    """A task of a module that knows no store."""
    return image[:width]


@later.hook("on_failure")
def alarm(ended: object) -> None:
    """A hook stays the function that it is."""


def bound_later() -> None:
    """The same verbs, once it is included."""
    broker.include(later)
    assert_type(shrink.put(b"x", width=3), Handle[bytes])
    assert_type(shrink(b"x"), bytes)
    assert_type(shrink.options(lane="a").put(b"x").result(), bytes)
    assert_type(broker.queue("mails", Mail, codec="msgpack"), Queue[Mail])
    assert_type(broker.queue("raw", codec="raw"), Queue[Any])
    shrink.put("x")  # type: ignore[arg-type]
    shrink.put(b"x", 3)  # type: ignore[call-arg]
    mails.limit(running=3, lane=1)
    mails.limit(runing=3)  # type: ignore[call-arg]
    broker.include(shrink)  # type: ignore[arg-type]
    with broker.inline():
        alarm(None)
