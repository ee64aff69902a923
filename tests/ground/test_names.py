"""Names, keys, headers and patterns: the one gate that everything from outside passes."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.errors import BadName, BadValue
from ropeway.names import (
    HEADER_LIMIT,
    KEY_LIMIT,
    NAME_LIMIT,
    check_headers,
    check_key,
    check_name,
    check_patterns,
    matching,
    shown,
)

LETTERS = set(string.ascii_letters + string.digits + "._-")
names = st.text(sorted(LETTERS), min_size=1, max_size=NAME_LIMIT).filter(lambda name: not name.startswith("."))


@given(names)
def test_names(name: str) -> None:
    assert check_name(name) is name


@given(st.text(max_size=200))
def test_a_text_is_a_name_only_by_the_rule(text: str) -> None:
    legal = 0 < len(text) <= NAME_LIMIT and set(text) <= LETTERS and not text.startswith(".")
    if legal:
        assert check_name(text) == text
    else:
        with pytest.raises(BadName):
            check_name(text)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "a\n", "a\0", "é", "e\u0301", "a" * 129, "\uff21", b"a", None, 1, ["a"]], ids=ascii
)
def test_no_names(name: object) -> None:
    with pytest.raises(BadName) as caught:
        check_name(name, "topic")
    assert "topic" in str(caught.value)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_a_bad_name_is_a_value_error() -> None:
    assert issubclass(BadName, ValueError)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=KEY_LIMIT // 4))
def test_keys(key: str) -> None:
    assert check_key(key) is key


@pytest.mark.parametrize(
    "key", ["", "a\0", "x" * (KEY_LIMIT + 1), "ä" * (KEY_LIMIT // 2 + 1), "\ud800", b"a", None], ids=lambda key: ascii(key)[:20]
)
def test_no_keys(key: object) -> None:
    with pytest.raises(BadName):
        check_key(key)


@given(st.dictionaries(st.text(st.characters(codec="ascii"), max_size=140), st.text(max_size=30), max_size=5))
def test_headers_are_whole_or_refused(headers: dict[str, str]) -> None:
    def legal(name: str, value: str) -> bool:
        visible = 0 < len(name) <= 128 and all("!" <= letter <= "~" and letter != ":" for letter in name)
        return visible and not set(value) & set("\0\r\n") and not any("\ud800" <= letter <= "\udfff" for letter in value)

    if all(legal(*pair) for pair in headers.items()):
        checked = check_headers(headers)
        assert checked == headers
        assert checked is not headers
    else:
        with pytest.raises(BadName):
            check_headers(headers)


def test_the_size_of_headers() -> None:
    assert check_headers({"a": "x" * (HEADER_LIMIT - 1)})
    for headers in ({"a": "x" * HEADER_LIMIT}, {"a": "ä" * (HEADER_LIMIT // 2)}, {f"h{n}": "x" * 50 for n in range(400)}):
        with pytest.raises(BadName, match=str(HEADER_LIMIT)):
            check_headers(headers)


@pytest.mark.parametrize("headers", [None, [], "a", [("a", "b")], {1: "a"}, {"a": None}, {"a": b"b"}, {"a": 1}], ids=ascii)
def test_headers_are_text_by_text(headers: object) -> None:
    with pytest.raises(BadName):
        check_headers(headers)


# -- patterns

KNOWN = ["mail", "mail-low", "reports", "_own", "a.b"]


@pytest.mark.parametrize(
    ("patterns", "means"),
    [
        (["*"], ["a.b", "mail", "mail-low", "reports"]),
        (["reports", "mail*"], ["reports", "mail", "mail-low"]),
        (["mail*", "!mail-low", "reports"], ["mail", "reports"]),
        (["!mail-low", "mail*"], ["mail"]),
        (["new", "mail"], ["new", "mail"]),
        (["mail", "mail", "m*"], ["mail", "mail-low"]),
        (["_own"], ["_own"]),
        (["_*"], []),
        (["critical", "*", "!low"], ["critical", "a.b", "mail", "mail-low", "reports"]),
        (["mail", "!mail"], []),
        (["mai?", "a.[ab]"], ["mail", "a.b"]),
        ([], []),
    ],
    ids=str,
)
def test_what_patterns_mean(patterns: list[str], means: list[str]) -> None:
    assert matching(check_patterns(patterns), KNOWN) == means
    assert matching(patterns, reversed(KNOWN)) == means


@pytest.mark.parametrize(
    "patterns", [["!a"], ["!a", "!b*"], [""], ["a b"], ["a/b"], ["!"], ["a\n"], ["x" * 200], [None], ["!!a"]], ids=ascii
)
def test_no_patterns(patterns: list[str]) -> None:
    with pytest.raises(BadValue):
        check_patterns(patterns)


# -- showing


@given(st.text() | st.binary() | st.none() | st.integers())
def test_a_hostile_value_is_shown_harmlessly(value: object) -> None:
    text = shown(value)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 80
