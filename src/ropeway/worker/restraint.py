"""Which queues nothing may be prefetched from: where a job that only waits in the hand holds up others.

A job of a lane holds its lane, and one of a limited queue a place, from its claim on and in the whole fleet. So from such queues only
what can start at once is claimed. Lanes are seen in what is claimed; limits are asked for now and then, since they can be set at any time.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..link import Link
from ..store import Feature, Lent

LANED = 60.0  # seconds after a job with a lane for which its queue is taken to have more of them
LOOK = 10.0  # seconds between two looks for limits, and at least so many
SHARE = 200  # times what one costs


class Restraint:
    """Used by the ferry alone."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._laned: dict[str, float] = {}  # queue: until when
        self._limited: frozenset[str] = frozenset()
        self._names: Sequence[str] = ()
        self._next_look = 0.0

    def claimed(self, lents: Sequence[Lent]) -> None:
        """What a claim brought."""
        for lent in lents:
            if lent.job.lane:
                self._laned[lent.job.queue] = self._link.clock.boot() + LANED

    def holds(self, names: Sequence[str]) -> bool:
        """Whether nothing beyond the free slots should be claimed from these queues."""
        now = self._link.clock.boot()
        if self._laned:
            self._laned = {queue: until for queue, until in self._laned.items() if until > now}
            if any(name in self._laned for name in names):
                return True
        if now >= self._next_look or names != self._names:
            self._look(names, now)
        return bool(self._limited)

    def _look(self, names: Sequence[str], now: float) -> None:
        store = self._link.store
        if Feature.LIMITS in store.features and names:
            counts = store.counts(names)
            self._limited = frozenset(name for name, count in counts.items() if count.limits.running)
        after = self._link.clock.boot()
        self._names, self._next_look = list(names), after + max(LOOK, SHARE * (after - now))
