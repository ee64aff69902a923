"""The work that everybody gets: JSON bodies of 100 bytes, and the same as Python values for those who encode by themselves."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Protocol

SIZE = 100
QUEUE = "mails"
_TEXT = "Your parcel is on its way, and the rest of the line as well"


class Item(NamedTuple):
    """One job: the value, for those who encode by themselves, and its JSON, for those who take bytes."""

    value: dict[str, Any]
    body: bytes


def item(number: int) -> Item:
    """An item whose JSON has SIZE bytes, as long as the number is not too large for that."""
    made = {"n": number, "to": "someone@example.org", "text": ""}
    spare = max(0, SIZE - len(_json(made)))
    made["text"] = _TEXT[:spare].ljust(spare, ".")
    return Item(made, _json(made))


def items(count: int) -> list[Item]:
    return [item(number) for number in range(count)]


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def number_of(data: bytes) -> int:
    return int(json.loads(data)["n"])


class System(Protocol):
    """What is measured: a store in a folder, opened by one process. `durability` is "os" or "full".

    Only some have `aput`, `fill`, `tell` and `starts`, or `ask` and `answers`; measures.py asks nobody for what it has not.
    """

    def __init__(self, folder: str, durability: str) -> None: ...

    def put(self, work: list[Item]) -> None:
        """Put them one by one."""
        ...

    def bulk(self, work: list[Item], size: int) -> None:
        """Put them, so many a call."""
        ...

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        """Take and settle up to `most`, up to `limit` a claim: how many, and the seconds from the first to the last."""
        ...

    def tell(self, one: Item) -> None:
        """Put one while somebody waits for it."""
        ...

    def starts(self, count: int) -> list[int]:
        """Wait for so many jobs, one after the other: nanoseconds from the moment in each (`n`) to its start."""
        ...

    def ask(self, one: Item) -> None:
        """Put one as a call, and wait for its answer: its number."""
        ...

    def answers(self) -> None:
        """Answer calls for ever, after the word "waiting"."""
        ...

    def close(self) -> None: ...
