"""From samples to figures: medians, percentiles, and ratios taken within each repetition."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any


class Figures:
    """All samples of a run on one disk."""

    def __init__(self, taken: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
        """`taken`: what each slice answered, by measure and row."""
        self._taken = taken

    def has(self, measure: str, row: str) -> bool:
        return bool(self._taken.get(measure, {}).get(row))

    def rates(self, measure: str, row: str) -> list[float]:
        return [float(one["rate"]) for one in self._taken[measure][row]]

    def rate(self, measure: str, row: str) -> float:
        return median(self.rates(measure, row))

    def cpu(self, measure: str, row: str) -> float | None:
        """Microseconds of processor time a job, where that was taken."""
        told = [float(one["cpu"]) for one in self._taken[measure][row] if "cpu" in one]
        return median(told) if told else None

    def percentile(self, measure: str, row: str, share: float) -> float:
        """The median, over the slices, of each one's percentile."""
        return median(at(sorted(one["ms"]), share) for one in self._taken[measure][row])

    def ratio(self, one: tuple[str, str], other: tuple[str, str]) -> float:
        """How many times faster: of each round, and then the median; of the medians where one was asked more often."""
        mine, theirs = self.rates(*one), self.rates(*other)
        if len(mine) == len(theirs):
            return median(a / b for a, b in zip(mine, theirs, strict=True))
        return median(mine) / median(theirs)

    def spread(self, measure: str, row: str) -> float:
        """How far the middle half of the rates reaches: its top over its bottom."""
        rates = sorted(self.rates(measure, row))
        return at(rates, 0.75) / at(rates, 0.25)


def at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def shown(number: float) -> str:
    """Three digits of it: 55.1k, 1.25M, 0.38."""
    for scale, letter in ((1e6, "M"), (1e3, "k")):
        if abs(number) >= scale:
            return f"{_three(number / scale)}{letter}"
    return _three(number)


def short(ratio: float) -> str:
    """A ratio: 0.0026, 0.79, 1.3, 180."""
    return f"{ratio:.2g}" if ratio < 10 else shown(ratio).removesuffix(".0")


def _three(number: float) -> str:
    size = abs(number)
    return f"{number:.0f}" if size >= 100 else f"{number:.1f}" if size >= 10 else f"{number:.2f}"
