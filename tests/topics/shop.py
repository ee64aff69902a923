"""A program with functions that hear topics, as a module that processes of a pool can load."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from ropeway.errors import Discard
from ropeway.message import Message
from ropeway.tasks import Tasks, current_claim

tasks = Tasks()


class Order(Struct):
    """What orders.created carries."""

    id: int
    folder: str


def note(folder: str, text: str) -> None:
    """A line that other processes may write at the same time."""
    with (Path(folder) / "heard").open("a") as file:
        file.write(text + "\n")


@tasks.subscribe("orders.created", group="mailer")
def mail(order: Order) -> None:
    """Reads the body as what it says that it takes."""
    claim = current_claim()
    assert claim is not None
    note(order.folder, f"mail {order.id} {claim.attempt} {os.getpid()}")


@tasks.subscribe("orders.#", group="audit", retry=2, keep="1h")
def audit(message: Message) -> None:
    """Gets the message; fails once."""
    claim = current_claim()
    assert claim is not None
    if message.topic.endswith("stubborn") or (message.topic.endswith("twice") and claim.attempt == 1):
        raise RuntimeError("not yet")
    note(message.data["folder"], f"audit {message.topic} {claim.attempt} {message.headers.get('a', '-')}")


@tasks.subscribe("awaited.*", group="awaited", timeout="30s")
async def first(message: Message) -> None:
    """One of two functions of a group, awaited."""
    note(message.data["folder"], f"first {message.topic}")


@tasks.subscribe("awaited.both", group="awaited")
def second(body: dict[str, str]) -> None:
    """The other one, for some of its topics, and not awaited."""
    note(body["folder"], "second")


@tasks.subscribe("refused", group="refused")
def refuse(message: Message) -> None:
    """Is never satisfied."""
    raise Discard(f"no {message.data}")
