"""The history as it is asked for: what all processes wrote, merged."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ..durations import Duration, seconds
from ..errors import BadValue
from ..link import Link
from ..store import Feature
from .scale import quantile
from .sums import DAY, HOUR, HOURS, KEEP_HOURS, KEEP_MINUTES, MINUTE, MINUTES, SLOT, Cell, Sums, merged, unpack

FEW = 8  # notes by the slot, up to so many slots; else all of them at once


class HistoryRow(Struct, frozen=True):
    """What ended in one minute (one hour, for a span over six hours) of the jobs of one task in one queue.

    `at`: when the minute began, seconds since 1970. `failed`: attempts that ended badly and are tried again. The percentiles are seconds:
    how long runs took, and how long they had waited from their due until they began; None where nothing was run.
    """

    at: int
    queue: str
    task: str
    done: int
    failed: int
    dead: int
    run_p50: float | None
    run_p95: float | None
    wait_p50: float | None
    wait_p95: float | None


def step_of(span: float) -> int:
    """How many seconds a row of such a span stands for."""
    return MINUTE if span <= KEEP_MINUTES else HOUR


def span_of(span: Duration) -> float:
    """The span in seconds; BadValue for one that no history covers."""
    length = seconds(span, "span")
    if not 0 < length <= KEEP_HOURS:
        raise BadValue(
            "the history holds minutes for 6 hours and hours for 8 days: ask for a span above 0 and at most 8d; nothing was read"
        )
    return length


def gather(link: Link, span: float) -> dict[Cell, Sums]:
    """All cells that begin within the last `span` seconds, and the one in which those begin."""
    store = link.store
    if Feature.NOTES not in store.features:
        return {}
    now, step = link.clock.now(), step_of(span)
    kind, length = (MINUTES, SLOT) if step == MINUTE else (HOURS, DAY)
    first = int(now - span) // step * step
    slots = range(first // length, int(now) // length + 1)
    prefixes = [f"{kind}{slot}/" for slot in slots] if len(slots) <= FEW else [kind]
    found = (
        (cell, sums)
        for prefix in prefixes
        for key, value in store.notes.notes(prefix).items()
        for cell, sums in unpack(key, value)
        if first <= cell[0] <= now + step
    )
    return merged(found)


def history(link: Link, span: Duration = "1h", queue: str | None = None, task: str | None = None) -> list[HistoryRow]:
    """The rows, by (at, queue, task)."""
    return rows(gather(link, span_of(span)), queue, task)


def rows(cells: dict[Cell, Sums], queue: str | None = None, task: str | None = None) -> list[HistoryRow]:
    """The cells of this queue and this task, or of all, as rows."""
    return [row(cell, cells[cell]) for cell in sorted(cells) if (queue is None or cell[1] == queue) and (task is None or cell[2] == task)]


def row(cell: Cell, sums: Sums) -> HistoryRow:
    """One cell for people: percentiles for buckets."""
    run, wait = sums.run, sums.wait
    shares = (quantile(run, 0.5), quantile(run, 0.95), quantile(wait, 0.5), quantile(wait, 0.95))
    return HistoryRow(*cell, sums.done, sums.failed, sums.dead, *[None if one is None else round(one, 6) for one in shares])


def total(cells: Iterable[Sums]) -> Sums:
    """All of them added up."""
    out = Sums()
    for sums in cells:
        out.add(sums)
    return out
