"""Topics: what a pattern means, and what is none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.errors import BadBody, BadName, BadValue
from ropeway.ids import IdMaker
from ropeway.message import Message, check_message
from ropeway.topics import check_patterns, matches

ID = IdMaker(lambda: 1, lambda n: bytes(n))()


@pytest.mark.parametrize(
    ("pattern", "topic", "meant"),
    [
        ("orders.created", "orders.created", True),
        ("orders.*", "orders.created", True),
        ("orders.*", "orders", False),
        ("orders.*", "orders.a.b", False),
        ("orders.#", "orders", True),
        ("orders.#", "orders.a.b", True),
        ("#", "anything.at.all", True),
        ("*.b.#.c", "a.b.c", True),
        ("*.b.#.c", "a.b.x.y.c", True),
        ("*.b.#.c", "a.b.x.y", False),
        ("#.a.#.b", "a.b", True),
        ("#.#.x", "x", True),
        ("Orders", "orders", False),
    ],
)
def test_words(pattern: str, topic: str, meant: bool) -> None:
    assert matches(pattern, topic) is meant


@pytest.mark.parametrize("pattern", ["", "a*", "#a", ".a", "!a", "a b", "a/b", "\N{GREEK SMALL LETTER ALPHA}", "x" * 129, None, 7])
def test_no_pattern(pattern: object) -> None:
    with pytest.raises(BadValue):
        check_patterns([pattern])  # type: ignore[list-item]


words = st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=7)


@given(words, st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=8))
def test_as_a_regular_expression_says(pattern: list[str], topic: list[str]) -> None:
    parts = {"*": r"\.[^.]+", "#": r"(?:\.[^.]+)*"}
    regex = "".join(parts.get(word, r"\." + word) for word in pattern)
    assert matches(".".join(pattern), ".".join(topic)) is bool(re.fullmatch(regex, "." + ".".join(topic)))


def test_a_hostile_pattern_costs_little() -> None:
    assert not matches("#.a." * 30 + "b", ".".join(["a"] * 60))


def test_messages_are_checked() -> None:
    good = Message("a.b", ID, b'{"x": 1}', "application/json")
    assert check_message(good).data == {"x": 1}
    with pytest.raises(BadName):
        check_message(Message("a/b", ID))
    with pytest.raises(BadName):
        check_message(Message("a", "7"))
    with pytest.raises(BadBody):
        check_message(Message("a", ID, b"xx"), 1)
    with pytest.raises(BadValue):
        check_message(Message("a", ID, content_type="a\nb"))
