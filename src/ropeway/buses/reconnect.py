"""A connection that listens, and another one when it breaks: what the buses of the servers have alike."""

from __future__ import annotations

from collections.abc import Callable
from random import random
from typing import Protocol, TypeVar

from ..bells.place import readable

FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0


class Connection(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Connection)


def keep_listening(
    first: C | None,
    connect: Callable[[], C],
    listen: Callable[[C], None],
    ended: Callable[[], bool],
    pipe: int,
    broken: tuple[type[Exception], ...],
    lost: Callable[[], None] = lambda: None,
    refused: tuple[type[Exception], ...] = (),
) -> None:
    """Until `ended`: `listen` by the `first` connection, and when that raises one of `broken`, by another that `connect` makes, after a
    pause that grows while none can be made; what is written into the `pipe` cuts it short. `lost` is called when one is closed, or cannot
    be made. After one of `refused`, which another try would meet again, the pause is the longest at once."""
    backoff, line = FIRST_BACKOFF, first
    while not ended():
        try:
            if line is None:
                line = connect()
                backoff = FIRST_BACKOFF
            listen(line)
        except broken:
            pass
        except refused:
            backoff = LONGEST_BACKOFF
        if line is not None:
            line.close()
            line = None
        lost()
        if not ended():
            readable([pipe], backoff * (0.5 + random() / 2))
            backoff = min(2 * backoff, LONGEST_BACKOFF)
