"""What a measure is: a handful of rows that are asked in turn, and compared with one of them."""

from __future__ import annotations

from typing import Any, NamedTuple

BULK = 500
CALLS = 300  # a slice of the call measure
IDLE = 105  # jobs a slice of the idle measure; the first five are not counted


class Row(NamedTuple):
    """One line of a measure: what a process of its own is asked to do, slice by slice; `at_most` so many slices."""

    label: str
    spec: dict[str, Any]
    at_most: int = 1000


class Measure(NamedTuple):
    """`unit` is jobs/s (more is better) or ms (less is). `reference`: the row to which the others are given as a ratio."""

    name: str
    title: str
    unit: str
    reference: str
    rows: list[Row]


def row(engine: str, label: str, system: str, act: str, count: int, durability: str = "os", *, at_most: int = 1000, **more: Any) -> Row:
    """A row; `more` is what its act wants to know."""
    return Row(label, {"engine": engine, "system": system, "act": act, "count": count, "durability": durability, **more}, at_most)


def call(engine: str, durability: str, rows: list[str]) -> Measure:
    """A call and its answer; the first of the rows is what the others are compared with."""
    labels = {"ropeway": "call", "engine": "engine", "floor": "floor"}
    made = [row(engine, labels[name], name, "call", CALLS, durability, at_most=5) for name in rows]
    title = f"call: from the put to the answer of another process, back to back, durability={durability}"
    return Measure("call", title, "ms", labels[rows[0]], made)


def backlogs(full: bool) -> tuple[int, ...]:
    return (1_000, 10_000, 100_000, *((1_000_000,) if full else ()))
