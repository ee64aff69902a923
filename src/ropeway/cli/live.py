"""What `top` does: the live screen on a terminal, one table or JSON elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..names import check_patterns
from .output import is_terminal
from .rows import queue_row
from .session import Session
from .signals import termination
from .table import terminal_width
from .verdict import DONE, UNREACHABLE, Failure

SHORTEST = 0.2


def top(session: Session, patterns: Sequence[str], interval: float, *, own: bool) -> int:
    """Show it until somebody quits."""
    positive = [pattern for pattern in patterns if not pattern.startswith("!")]
    wanted = check_patterns(patterns if positive or not patterns else ["*", *patterns])
    live = is_terminal(sys.stdin) and is_terminal(sys.stdout) and os.environ.get("TERM", "dumb") != "dumb"
    if not live or session.output not in ("auto", "table"):
        return _once(session, wanted, own=own)
    from ..top.live import Live

    with termination():
        screen = Live(session.link, wanted, max(SHORTEST, interval), own=own)
        if not screen.run():
            session.abandon()  # to wait for its answer would be to wait for what just was not waited for
    return 128 + screen.died if screen.died else DONE


def _once(session: Session, patterns: Sequence[str], *, own: bool) -> int:
    from ..top.drawing import plain
    from ..top.looker import Looker
    from ..top.model import Model

    model = Model()
    model.see(Looker(session.link, patterns, 1.0, lambda: None, own=own).look())
    if model.snapshot.error:
        raise Failure(UNREACHABLE, model.snapshot.error)
    if session.output in ("auto", "table"):
        for line in plain(model, terminal_width()):
            session.out.line(line)
        return DONE
    rows = (queue_row(row.name, row.counts) | {"done_per_second": row.rate} for row in model.rows())
    session.out.rows(rows, lambda _: (), name="queue")
    return DONE
