"""What a task takes, told to those who cannot read its code."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

import ropeway
from ropeway.errors import BadValue
from ropeway.tasks import describing
from ropeway.tasks.describing import described

tasks = ropeway.Tasks(queue="mails")


class Address(msgspec.Struct):
    street: str
    number: int = 1


class Odd:
    pass


@tasks.task
def welcome(user_id: int, to: Address, *, lang: str = "en", tries: Annotated[int, Meta(ge=1)] = 3) -> bool:
    """Send the first mail.

    And nothing else.
    """
    return True


@tasks.task
def anything(first, /, *rest: int, **more: Any) -> None: ...  # type: ignore[no-untyped-def]


def test_arguments_are_told_with_their_schemas() -> None:
    told = json.loads(described(tasks, "welcome"))
    assert (told["task"], told["queue"], told["says"]) == ("welcome", "mails", "Send the first mail.")
    assert told["signature"].startswith("welcome(user_id: ")
    rows = {row["name"]: row for row in told["parameters"]}
    assert {name: (row["kind"], row["required"]) for name, row in rows.items()} == {
        "user_id": ("either", True),
        "to": ("either", True),
        "lang": ("name", False),
        "tries": ("name", False),
    }
    assert rows["user_id"]["schema"] == {"type": "integer"}
    assert rows["tries"]["schema"] == {"type": "integer", "minimum": 1}
    assert rows["to"]["schema"] == {"$ref": "#/$defs/Address"}
    assert told["defs"]["Address"]["required"] == ["street"]


def test_places_and_names_are_told_apart() -> None:
    told = json.loads(described(tasks, "anything"))
    assert [(row["name"], row["kind"], row["required"]) for row in told["parameters"]] == [
        ("first", "place", True),
        ("rest", "places", False),
        ("more", "names", False),
    ]
    assert [row["schema"] for row in told["parameters"]] == [{}, {"type": "integer"}, {}]


def test_an_unknown_one_is_said() -> None:
    with pytest.raises(BadValue, match="no task 'gone' is registered"):
        described(tasks, "gone")


def test_one_that_is_too_large_loses_its_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describing, "LARGEST", 300)
    told = json.loads(described(tasks, "welcome"))
    assert told["defs"] == {}
    assert all(row["schema"] == {} for row in told["parameters"])
