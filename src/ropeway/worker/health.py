"""Whether a worker is well: it reaches its store, by what the store has answered lately, and not by a process that merely exists."""

from __future__ import annotations

from ..durations import Duration, seconds
from .ferry import Ferry
from .inbox import Inbox


def is_healthy(ferry: Ferry, inbox: Inbox, now: float, lately: Duration) -> bool:
    """Whether the store has answered a claim or a wait within that time, is being waited in at this moment (a wait fails when the server
    goes away), or has renewed leases that still last: a worker whose slots are all busy asks for nothing else. False before it runs, and
    when it has nothing more to do. `now`: by the boot clock."""
    span = seconds(lately, "lately")
    if ferry.finished or not ferry.answered:
        return False
    return now - ferry.answered <= span or inbox.in_store or any(run.lent.until > now for run in list(ferry.held.values()))
