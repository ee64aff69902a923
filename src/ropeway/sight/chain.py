"""A place in the chain of the factories that make log records, each of which asks the one that it found there."""

from __future__ import annotations

import logging
from collections.abc import Callable

Factory = Callable[..., logging.LogRecord]


class Place:
    """Taken with `take`, given up with `leave`; `around` makes the factory that stands there, of the one that it is to ask.

    A factory that another has since put around ours still asks ours: it cannot be taken out then, only be deaf. So it stays, and is used
    when the place is taken again: put around that other one as well, each would ask the other, for ever. Only when plain records are made
    has somebody thrown out all of them. Not for two threads at once.
    """

    def __init__(self, around: Callable[[Factory], Factory]) -> None:
        self._around = around
        self._ours: Factory | None = None
        self._before: Factory = logging.LogRecord

    def take(self) -> None:
        """Be asked for each record from now on."""
        now = logging.getLogRecordFactory()
        if self._ours is None or now is logging.LogRecord:
            self._before, self._ours = now, self._around(now)
            logging.setLogRecordFactory(self._ours)

    def leave(self) -> None:
        """No longer, where that can be. What stands there must be deaf from now on."""
        if self._ours is not None and logging.getLogRecordFactory() is self._ours:
            logging.setLogRecordFactory(self._before)
            self._ours = None
