"""How fast a queue is: what came in, by when its jobs were made, and what was done, by the history of the last minutes."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from ..errors import RopewayError
from ..history.reading import HistoryRow, history
from .facts import Facts

SPAN = 600.0  # seconds of history that are looked at
FEW = 20  # jobs below which the moments at which they were made say nothing


class Pace(NamedTuple):
    """Jobs a second, and the median seconds of a run; None where it is not known."""

    come: float | None
    gone: float | None
    run: float | None


def pace(facts: Facts) -> Pace:
    """How fast it is now."""
    gone, run = done(facts)
    return Pace(_come(facts), gone, run)


def done(facts: Facts) -> tuple[float | None, float | None]:
    """Jobs that end a second, and the median of a run; without a look at the backlog."""
    rows = _rows(facts)
    gone = run = None
    if rows:
        minutes = {row.at for row in rows}
        length = max(60.0, facts.now - min(minutes))
        gone = sum(row.done + row.dead for row in rows) / length
        runs = [row.run_p50 for row in rows if row.run_p50 is not None]
        run = median(runs) if runs else None
    return gone, run


def _come(facts: Facts) -> float | None:
    """Of a queue with a backlog, whatever was made since its oldest ready job was is still there, so its jobs tell their rate. A crowd
    that was put at once tells none."""
    made = sorted(entry.job.created for entry in facts.ready if not entry.attempts)
    if len(made) < FEW or made[-1] - made[0] < 1.0:
        return None
    return (len(made) - 1) / (made[-1] - made[0])


def _rows(facts: Facts) -> list[HistoryRow]:
    try:
        return history(facts.link, SPAN, facts.queue)
    except RopewayError:  # an engine without notes, or a history that cannot be read: nothing is known
        return []
