"""Bytes cut into lines, however they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ropeway.notifier.lines import Splitter, harmless

texts = st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b"")), max_size=8)


@given(texts, st.lists(st.integers(1, 9)), st.booleans())
def test_however_the_network_splits_and_joins_them(lines: list[bytes], cuts: list[int], crlf: bool) -> None:
    data = b"".join(line + (b"\r\n" if crlf else b"\n") for line in lines)
    splitter, out = Splitter(), []
    for cut in cuts:
        out += splitter.feed(data[:cut])
        data = data[cut:]
    out += splitter.feed(data)
    assert out == lines
    assert splitter.rest() == b""


def test_a_line_that_is_too_long_is_passed_over_and_counted() -> None:
    splitter = Splitter(longest=10)
    assert splitter.feed(b"x" * 8) == []
    assert splitter.feed(b"x" * 8) == []
    assert splitter.dropped == 1
    assert splitter.waiting == b""  # nothing is gathered
    assert splitter.feed(b"x" * 1000 + b"\nshort\n" + b"y" * 11 + b"\n" + b"z" * 12 + b"\nend") == [b"short"]
    assert splitter.dropped == 3
    assert splitter.rest() == b"end"


def test_the_longest_line_fits_with_either_end() -> None:
    for end in (b"\n", b"\r\n"):
        assert Splitter(longest=10).feed(b"x" * 10 + end) == [b"x" * 10]


def test_nothing_steers_a_terminal() -> None:
    assert harmless(b"a\x1b[2J\x07\x00\tb\x7f\xc3\xa9") == b"a?[2J??\tb?\xc3\xa9"
    assert harmless("\x9b31m \x90 \x80\x9f à \xa0 ⛵".encode()) == "?31m ? ?? à \xa0 ⛵".encode()  # C1: the same in one character
