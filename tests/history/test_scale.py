"""Durations on their scale: counted, added up, and asked for percentiles."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.history.scale import BOUNDS, BUCKETS, count_in, quantile
from ropeway.history.sums import added

durations = st.lists(st.one_of(st.floats(-1.0, 1e5), st.sampled_from(BOUNDS)), max_size=60)


@given(durations)
def test_many_at_once_are_counted_as_one_by_one(values: list[float]) -> None:
    counts, alone = [0] * BUCKETS, [0] * BUCKETS
    for value in values:
        alone[bisect_left(BOUNDS, value)] += 1
    count_in(list(values), counts)
    assert counts == alone
    assert sum(counts) == len(values)


@given(durations.filter(bool), st.floats(0.01, 1.0))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    counts = [0] * BUCKETS
    count_in(list(values), counts)
    from math import ceil

    true = sorted(values)[ceil(share * len(values) - 1e-9) - 1]
    place = bisect_left(BOUNDS, true)
    guess = quantile(counts, share)
    assert guess is not None
    low, high = BOUNDS[place - 1] if place else 0.0, BOUNDS[min(place, len(BOUNDS) - 1)]
    assert low <= guess <= high + 1e-12


def test_nothing_has_no_percentile() -> None:
    assert quantile([], 0.5) is None
    assert quantile([0] * BUCKETS, 0.5) is None
    assert quantile([*[0] * len(BOUNDS), 3], 0.5) == 3600.0


@pytest.mark.parametrize(("one", "other", "both"), [([], [], []), ([1], [], [1]), ([1, 2], [3], [4, 2]), ([], [0, 5], [0, 5])])
def test_short_lists_of_buckets_end_in_zeros(one: list[int], other: list[int], both: list[int]) -> None:
    assert added(one, other) == added(other, one) == both
