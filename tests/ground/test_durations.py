"""Durations: as people write them, and back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.durations import LONGEST, seconds, spoken
from ropeway.errors import BadValue


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90", 90),
        ("0", 0),
        ("0.5", 0.5),
        ("30s", 30),
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("10us", 1e-5),
        ("1d", 86400),
        ("2w", 1209600),
        ("1d2h3m4s5ms", 93784.005),
        (" 10M ", 600),
    ],
)
def test_what_people_write(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@given(st.floats(0, LONGEST))
def test_numbers_are_seconds(value: float) -> None:
    assert seconds(value) == value
    assert seconds(timedelta(seconds=value)) == pytest.approx(value, abs=1e-5)


@given(st.integers(0, 1000), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_parts_add_up(days: int, hours: int, minutes: int, secs: int) -> None:
    assert seconds(f"{days}d{hours}h{minutes}m{secs}s") == days * 86400 + hours * 3600 + minutes * 60 + secs


WRONG_TEXTS = [
    "",
    " ",
    "x",
    "10 m",
    "10x",
    "1h30",
    "30m1",
    "-1",
    "-1s",
    "1e3",
    "inf",
    "nan",
    "\u0661s",
    "10mm",
    ".5s",
    "1..5s",
    "5s\0",
    "9" * 400,
]
WRONG_SIZES = [-1, -0.1, float("inf"), float("nan"), LONGEST * 1.01, timedelta(seconds=-1), timedelta.max, "101y", "6000w"]
WRONG_TYPES = [True, False, None, b"10s", [1]]


@pytest.mark.parametrize("value", [*WRONG_TEXTS, *WRONG_SIZES, *WRONG_TYPES], ids=lambda value: ascii(value)[:30])
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(BadValue, match="lease"):
        seconds(value, "lease")  # type: ignore[arg-type]


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert 0 <= seconds(text) <= LONGEST
    except BadValue:
        pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0ms"),
        (0.25, "250ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (9.96, "10s"),
        (59, "59s"),
        (90, "1m30s"),
        (3600, "1h"),
        (93784, "1d2h"),
        (-90, "-1m30s"),
    ],
)
def test_what_people_read(value: float, text: str) -> None:
    assert spoken(value) == text


@given(st.floats(0.001, LONGEST))
def test_spoken_is_close_to_the_truth_and_can_be_read_back(value: float) -> None:
    assert seconds(spoken(value)) == pytest.approx(value, rel=0.05, abs=0.001)
