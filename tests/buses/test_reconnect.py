"""How often a connection that listens is made anew."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ropeway.buses import reconnect
from ropeway.buses.reconnect import FIRST_BACKOFF, LONGEST_BACKOFF, keep_listening


class Broken(Exception):
    pass


class Refused(Exception):
    pass


class Line:
    """A connection that breaks as soon as it listens."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_the_pauses_grow_until_one_stands_and_are_the_longest_where_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    lines = [Line()]
    tries = [Broken, Broken, None, Broken, Refused, Broken, None]
    told = 0

    def connect() -> Line:
        if (error := tries.pop(0)) is not None:
            raise error
        lines.append(Line())
        return lines[-1]

    def listen(_: Line) -> None:
        raise Broken

    def lost() -> None:
        nonlocal told
        told += 1

    def pause(_: Sequence[int], seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(reconnect, "readable", pause)
    monkeypatch.setattr(reconnect, "random", lambda: 1.0)  # the pauses as long as they may be
    keep_listening(lines[0], connect, listen, lambda: not tries, 0, (Broken,), lost, (Refused,))
    assert told == 8  # the first one, and each try
    assert all(line.closed for line in lines)
    grow = [FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF]
    assert pauses == pytest.approx([*grow, FIRST_BACKOFF, 2 * FIRST_BACKOFF, LONGEST_BACKOFF, LONGEST_BACKOFF])
