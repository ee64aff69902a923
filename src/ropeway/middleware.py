"""Middleware: functions around the run of every task, composed once for each task and not for each job.

    def timed(claim, call_next):
        start = time.monotonic()
        try:
            return call_next(claim)
        finally:
            print(claim.job.task, time.monotonic() - start)

    tasks.use(timed)

The first one used is the outermost. It is called in the slot's thread, with the job's claim, after the arguments were decoded. What it
raises is the job's error, what it returns the job's result. It is a plain function also around a task that is `async def`, and goes around
the whole of that run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .errors import BadValue

if TYPE_CHECKING:
    from .tasks.context import TaskClaim

CallNext = Callable[["TaskClaim"], Any]
Middleware = Callable[["TaskClaim", CallNext], Any]


def check_middleware(middleware: Middleware) -> Middleware:
    """The middleware itself; BadValue for what is no plain function of two arguments."""
    from inspect import iscoroutinefunction, signature

    if not callable(middleware) or iscoroutinefunction(middleware):
        raise BadValue(f"{middleware!r:.80} is no middleware: it must be a plain function (claim, call_next)")
    try:
        signature(middleware).bind(None, None)
    except (TypeError, ValueError):
        raise BadValue(f"{middleware!r:.80} is no middleware: it must take (claim, call_next)") from None
    return middleware


def compose(middleware: Sequence[Middleware], innermost: CallNext) -> CallNext:
    """One function that runs them all, the first outermost, around `innermost`."""
    chain = innermost
    for layer in reversed(middleware):
        chain = _around(layer, chain)
    return chain


def _around(layer: Middleware, call_next: CallNext) -> CallNext:
    return lambda claim: layer(claim, call_next)
