"""What `limit` does: set the limits of queues in the store, and print how they stand."""

from __future__ import annotations

from collections.abc import Sequence

from ..store import Limits
from .looking import named_queues
from .rows import queue_row, queue_table
from .session import Session
from .verdict import NOTHING, USAGE, Failure


def limit(session: Session, patterns: Sequence[str], *, running: int | None, lane: int | None, config: bool) -> int:
    """Set what was given for the queues that the patterns mean, and print them."""
    if config and (running is not None or lane is not None):
        raise Failure(USAGE, "give --config, or --running and --lane, not both; nothing was limited")
    names = named_queues(session, patterns)
    if not names:
        raise Failure(NOTHING, f"no queue fits {' '.join(patterns)}; nothing was limited. See: ropeway ls")
    store = session.store
    if config:
        wanted = session.link.limits()
        if unsaid := [name for name in names if name not in wanted]:
            raise Failure(USAGE, f"the configuration has no limits for {' '.join(unsaid)}; nothing was limited")
        for name in names:
            store.limit([name], wanted[name])
    elif running is not None or lane is not None:
        for name, counts in store.counts(names).items():
            now = counts.limits
            store.limit([name], Limits(now.running if running is None else running, now.lane if lane is None else lane))
    if not session.quiet:
        queues = list(store.counts(names).items())
        moment = session.link.clock.now()
        session.out.rows((queue_row(*queue) for queue in queues), lambda _: queue_table(queues, moment), name="queue")
    return 0
