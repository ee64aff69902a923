"""Trying again until the store answers: what a worker needs to know before it can begin."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import StoreError
from ..failure import one_line
from ..link import Link

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between two tries


class Patience:
    """Of one worker. It says once what it waits for, takes a `nap` between two tries, and gives up when it is `over`."""

    def __init__(self, link: Link, warn: Callable[..., None], nap: Callable[[float], object], over: Callable[[], bool]) -> None:
        self._link = link
        self._warn = warn
        self._nap = nap
        self._over = over

    def until_done(self, work: Callable[[], object], complaint: str) -> bool:
        """Whether the work was done before it was over. Raises what is no failure of the store, and all of a store that was closed."""
        pause = FIRST_PAUSE
        while not self._over():
            try:
                work()
            except StoreError as error:
                if self._link.closed:
                    raise
                if pause == FIRST_PAUSE:
                    self._warn(f"{complaint}: %s", one_line(error))
                self._nap(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return True
        return False
