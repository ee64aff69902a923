"""What a target is: a figure or a ratio of one run, with what was wanted.

A figure depends on the machine and on what else it does. The targets come from a study on one machine, where the floor was known too; so
beside each figure stands what it would be there: scaled by how this run's floor compares with that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..figures import Figures, shown

Value = Callable[[Figures], float | None]


class Target(NamedTuple):
    """`least`: the value must reach it; else it must stay below `wanted`."""

    what: str
    wanted: float
    unit: str
    value: Value
    least: bool = True
    pace: Value | None = None  # how fast this run's floor is, measured by the study's


class Verdict(NamedTuple):
    """`margin`: how much better than wanted, as a factor; below 1 it is not met."""

    target: Target
    value: float
    margin: float
    pace: float | None

    @property
    def met(self) -> bool:
        return self.margin >= 1


def rate(measure: str, row: str) -> Value:
    return lambda f: f.rate(measure, row) if f.has(measure, row) else None


def times(one: tuple[str, str], other: tuple[str, str]) -> Value:
    return lambda f: f.ratio(one, other) if f.has(*one) and f.has(*other) else None


def best_of(one: tuple[str, str], measure: str, peers: Sequence[str]) -> Value:
    """Over the fastest of the peers that are there."""

    def value(f: Figures) -> float | None:
        ratios = [f.ratio(one, (measure, peer)) for peer in peers if f.has(*one) and f.has(measure, peer)]
        return min(ratios) if ratios else None

    return value


def soonest(row: str, peers: Sequence[str], share: float = 0.5) -> Value:
    """How many times sooner than the best of the peers, idle."""

    def value(f: Figures) -> float | None:
        theirs = [f.percentile("idle", peer, share) for peer in peers if f.has("idle", row) and f.has("idle", peer)]
        return min(theirs) / f.percentile("idle", row, share) if theirs else None

    return value


def late(row: str, share: float) -> Value:
    return lambda f: f.percentile("idle", row, share) if f.has("idle", row) else None


def answered(share: float) -> Value:
    """Milliseconds from a call to its answer."""
    return lambda f: f.percentile("call", "call", share) if f.has("call", "call") else None


def calls(p50: float, p99: float) -> list[Target]:
    """What a call may take, back to back."""
    return [
        Target("call, p50", p50, "ms", answered(0.5), least=False),
        Target("call, p99", p99, "ms", answered(0.99), least=False),
    ]


def pace_of(measure: str, row: str, study: float) -> Value:
    """How fast this run's floor is, against the study's."""
    return lambda f: f.rate(measure, row) / study if f.has(measure, row) else None


def idle_pace(study: float) -> Value:
    """The same, of the floor's milliseconds from put to start."""
    return lambda f: study / f.percentile("idle", "floor", 0.5) if f.has("idle", "floor") else None


def backlog(measure: str, what: str = "") -> list[Target]:
    """The rate beside many waiting, against few: the same for every engine."""
    return [
        Target(f"{many}{what} waiting against 1,000", wanted, "x", times((measure, many), (measure, "1,000")))
        for many, wanted in (("100,000", 0.9), ("1,000,000", 0.7))
    ]


def judge(targets: Sequence[Target], figures: Figures) -> Iterator[Verdict]:
    """The targets that this run can tell of."""
    for target in targets:
        value = target.value(figures)
        if value is not None:
            pace = target.pace(figures) if target.pace else None
            yield Verdict(target, value, value / target.wanted if target.least else target.wanted / value, pace)


def line(verdict: Verdict) -> tuple[str, str, str, str, str]:
    """What, the figure, what was wanted, met or not and by how much, and the margin at the study's pace."""
    target = verdict.target
    unit = "" if target.unit == "x" else f" {target.unit}"
    sign = ">=" if target.least else "<="
    times_sign = "x" if target.unit == "x" else ""
    word = f"met, {verdict.margin:.2f}x" if verdict.met else f"NOT met: {verdict.margin:.2f} of it"
    there = f"{verdict.margin / verdict.pace:.2f}" if verdict.pace else ""
    return target.what, f"{shown(verdict.value)}{times_sign}{unit}", f"{sign} {shown(target.wanted)}{times_sign}{unit}", word, there
