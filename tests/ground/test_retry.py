"""Retry: within its bounds, by exception type, and never for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.errors import BadValue
from ropeway.retry import DEFAULT, Retry

policies = st.builds(
    Retry,
    st.integers(1, 50),
    base=st.floats(0, 1e6),
    cap=st.floats(0, 1e9),
    factor=st.floats(1, 100),
    jitter=st.floats(0, 1),
)
chances = st.floats(0, 1, exclude_max=True)


@given(policies, st.integers(1, 2000), chances)
def test_a_delay_lies_between_nothing_and_the_bound(retry: Retry, attempt: int, chance: float) -> None:
    delay = retry.delay(attempt, ValueError(), lambda: chance)
    if attempt >= retry.attempts:
        assert delay is None
        return
    assert delay is not None
    bound = min(retry.cap, retry.base * retry.factor ** (attempt - 1))
    assert bound * (1 - retry.jitter) * (1 - 1e-9) <= delay <= bound * (1 + 1e-9)


@given(policies, chances)
def test_it_runs_at_most_as_often_as_it_says(retry: Retry, chance: float) -> None:
    runs = 1
    while retry.delay(runs, None, lambda: chance) is not None:
        runs += 1
    assert runs == retry.attempts


@given(policies)
def test_bounds_never_shrink(retry: Retry) -> None:
    delays = [retry.delay(attempt, None, lambda: 0.0) for attempt in range(1, retry.attempts)]
    assert delays == sorted(delays)  # type: ignore[type-var]


def test_without_jitter_the_doubling_is_exact() -> None:
    retry = Retry(8, base="1s", cap="10s", jitter=0)
    assert [retry.delay(n, None, lambda: 0.9) for n in range(1, 9)] == [1, 2, 4, 8, 10, 10, 10, None]


def test_full_jitter_spreads_over_the_whole() -> None:
    retry = Retry(base=8, cap=100)
    assert [retry.delay(1, None, lambda chance=chance: chance) for chance in (0.0, 0.25, 0.75)] == [8, 6, 2]


def test_the_largest_numbers_end_at_the_cap() -> None:
    assert Retry(10_000_000, factor=100, cap=60, jitter=0).delay(999, None, lambda: 0) == 60
    assert Retry(10_000_000, factor=100, cap=60, jitter=0).delay(9_999_999, None, lambda: 0) == 60
    assert Retry(10_000_000, factor=1, base=3, jitter=0).delay(9_999_999, None, lambda: 0) == 3


def test_by_exception_type() -> None:
    retry = Retry(5, on=(OSError, ValueError), give_up_on=FileNotFoundError)
    assert retry.delay(1, OSError(), lambda: 0) is not None
    assert retry.delay(1, ConnectionResetError(), lambda: 0) is not None
    assert retry.delay(1, FileNotFoundError(), lambda: 0) is None
    assert retry.delay(1, TypeError(), lambda: 0) is None
    assert retry.delay(1, KeyboardInterrupt(), lambda: 0) is None
    assert retry.delay(1, None, lambda: 0) is not None, "no exception of ours: only the count decides"


def test_the_default() -> None:
    assert (DEFAULT.attempts, DEFAULT.base, DEFAULT.cap, DEFAULT.factor, DEFAULT.jitter) == (5, 1.0, 3600.0, 2.0, 1.0)
    assert DEFAULT.delay(4, Exception(), lambda: 0) == 8


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True, "3", None], ids=ascii)
def test_attempts_are_a_whole_number(attempts: int) -> None:
    with pytest.raises(BadValue):
        Retry(attempts)


@pytest.mark.parametrize(
    "wrong",
    [{"base": -1}, {"cap": "x"}, {"factor": 0.9}, {"factor": float("nan")}, {"jitter": 1.1}, {"jitter": -0.1}, {"jitter": float("nan")}],
    ids=str,
)
def test_numbers_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(BadValue):
        Retry(5, **wrong)
