"""The scale of durations: fixed buckets from 0.1 ms to an hour, so that what many processes counted can be added up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

# Upper bounds in seconds; one more bucket holds what is beyond. Stored: new bounds would need a new version of the notes.
BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0),
)
BUCKETS = len(BOUNDS) + 1


def count_in(values: list[float], counts: list[int]) -> None:
    """Add these durations to the counts, one a bucket. Sorts the values: with many, that is less work than to look each one up."""
    if len(values) < 8:
        for value in values:
            counts[bisect_left(BOUNDS, value)] += 1
        return
    values.sort()
    before = 0
    for place in range(bisect_left(BOUNDS, values[0]), BUCKETS - 1):
        upto = bisect_left(values, _after(BOUNDS[place]), before)
        counts[place] += upto - before
        before = upto
        if before == len(values):
            return
    counts[-1] += len(values) - before


def _after(bound: float) -> float:
    from math import inf, nextafter

    return nextafter(bound, inf)  # a bucket holds its upper bound


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The duration that this share of all stays below, guessed within its bucket; None when there are none. What is beyond the scale
    counts as an hour."""
    total = sum(counts)
    if not total:
        return None
    wanted, before = share * total, 0
    for place, count in enumerate(counts):
        if count and before + count >= wanted:
            if place >= len(BOUNDS):
                return BOUNDS[-1]
            low = BOUNDS[place - 1] if place else 0.0
            return low + (BOUNDS[place] - low) * (wanted - before) / count
        before += count
    return BOUNDS[-1]
