"""Which queues a worker's patterns mean now, and how long it may sleep before that must be asked again."""

from __future__ import annotations

from collections.abc import Sequence

from ..link import Link
from ..names import matching
from .fleet.weights import Turns, split

LONGEST_WAIT = 600.0  # without a wildcard the store's own `wait` knows all; this is for whatever it may have missed
FIRST_LOOK = 0.25  # seconds between two looks for new queues; doubled while nothing comes
LONGEST_LOOK = 1.0, 20.0  # and at most so many: the less, the less a look costs,
SHARE = 20_000  # of whose time at most this part is spent on looking


class Lookout:
    """Patterns, read anew: a queue made after the worker is found without a restart."""

    def __init__(self, link: Link, patterns: Sequence[str]) -> None:
        self.patterns, weights = split(patterns)
        self._turns = Turns(weights) if weights else None
        self._link = link
        self._fixed = not any(c in pattern for pattern in self.patterns for c in "*?[")
        self._names: list[str] | None = None
        self._looked = 0.0
        self._pause = FIRST_LOOK
        self._longest = LONGEST_LOOK[0]

    def names(self, *, fresh: bool = False) -> list[str]:
        """The queues, in the order of the patterns. `fresh`: as they are now, not a moment ago."""
        now = self._link.clock.boot()
        if self._names is None or (not self._fixed and (fresh or now - self._looked >= self._pause)):
            self._names = matching(self.patterns, () if self._fixed else self._link.store.queues())
            self._looked = self._link.clock.boot()
            self._longest = min(max(LONGEST_LOOK[0], SHARE * (self._looked - now)), LONGEST_LOOK[1])
        return self._names

    @property
    def known(self) -> list[str]:
        """What the patterns meant when it was last asked."""
        return self._names or []

    def turn(self, *, fresh: bool = False) -> list[str]:
        """The queues in the order of the next claim: with weights, whose turn it is comes first."""
        names = self.names(fresh=fresh)
        return names if self._turns is None else self._turns.order(names)

    def sleep(self) -> float:
        """How long to sleep at most."""
        if self._fixed:
            return LONGEST_WAIT
        return max(0.0, self._looked + self._pause - self._link.clock.boot())

    def idle(self) -> None:
        """Slept to the end, and nothing came: look less often."""
        self._pause = min(2 * self._pause, self._longest)

    def busy(self) -> None:
        """Something came."""
        self._pause = FIRST_LOOK
