"""What `stats` does: asks for the report, and prints it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..durations import spoken
from ..names import check_patterns, matching
from ..report import WINDOWS, report
from .session import Session
from .table import Column, render, terminal_width
from .verdict import DONE, NOTHING

Row = tuple[str, str, dict[str, Any], dict[str, Any]]  # queue, span, how the queue stands, what ended in the span


def show_stats(session: Session, patterns: Sequence[str]) -> int:
    """Print the report, of the queues that the patterns mean."""
    names = session.store.queues()
    if patterns:
        positive = [p for p in patterns if not p.startswith("!")]
        named = set(matching(check_patterns(patterns if positive else ["*", *patterns]), names))
        if not named & set(names):
            session.note(f"no queue fits {' '.join(patterns)}; see: ropeway ls")
            return NOTHING
        told = report(session.link, named.__contains__)
    else:
        told = report(session.link)
    session.out.one(told, _lines(told))
    return DONE


def _lines(told: dict[str, Any]) -> Iterator[str]:
    fleet = told["fleet"]
    if fleet["workers"]:
        yield (
            f"{fleet['workers']} workers ({fleet['ever']} ever) with {fleet['slots']} slots, {fleet['running']} of them busy; "
            f"{100 * fleet['utilisation']:.0f} % used so far, {fleet['memory'] >> 20} MiB"
        )
    else:
        yield f"no workers now, {fleet['ever']} ever"
    if told["paused"] is not None:
        yield f"everything is paused: {told['paused'] or 'no reason given'}"
    yield ""
    rows: list[Row] = [
        (name if span == next(iter(WINDOWS)) else "", span, stands if span == next(iter(WINDOWS)) else {}, windows)
        for name, stands in [*told["queues"].items(), *_all(told)]
        for span, windows in stands["windows"].items()
    ]
    yield from render(_COLUMNS, rows, terminal_width())


def _all(told: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The sums, where there are several queues."""
    if len(told["queues"]) != 1:
        yield "all", {**told["jobs"], "oldest_seconds": told["oldest_seconds"], "windows": told["windows"]}


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1e6:.0f}us" if seconds < 0.001 else spoken(seconds)


def _rate(a_second: float) -> str:
    """How many a second, or a minute or an hour where that says more."""
    for rate, unit in ((a_second, "s"), (60 * a_second, "min")):
        if rate >= 0.5:
            return f"{rate:.3g}/{unit}" if rate < 100 else f"{rate:,.0f}/{unit}"
    return f"{3600 * a_second:.3g}/h" if a_second else "0"


def _latency(title: str, name: str) -> Column:
    return Column(title, lambda row: _time(row[3][name]), right=True)


_COLUMNS = [
    Column("QUEUE", lambda row: row[0], flex=True),
    Column("READY", lambda row: f"{row[2]['ready']:,}" if row[2] else "", right=True),
    Column("OLDEST", lambda row: spoken(row[2]["oldest_seconds"]) if row[2] and row[2]["oldest_seconds"] else "", right=True),
    Column("SPAN", lambda row: row[1], right=True),
    Column("DONE", lambda row: _rate(row[3]["done_per_second"]), right=True),
    Column("FAILED", lambda row: _rate(row[3]["failed_per_second"]), right=True),
    _latency("WAIT P50", "wait_p50"),
    _latency("P95", "wait_p95"),
    _latency("RUN P50", "run_p50"),
    _latency("P95", "run_p95"),
]
