"""Weights between queues: `mails=3 web=1` gives mails the first place in three turns of four, so that web is never starved.

Without weights the order of the patterns is strict. With them each turn has an order of its own: queues come first in proportion to their
weights, evenly spread, and those behind the first one are asked as well, so a turn is never lost to an empty queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ...errors import BadValue
from ...names import check_patterns, shown

HEAVIEST = 1000


def split(patterns: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """The patterns without their weights, and the weights by pattern (empty when none was given). One word may hold several, parted
    by commas. Raises BadValue for what is no pattern or no weight."""
    plain: list[str] = []
    weights: dict[str, int] = {}
    for word in patterns:
        for part in word.split(",") if isinstance(word, str) else (word,):
            if isinstance(part, str) and not part and "," in word:
                continue  # a comma too many
            pattern, equals, weight = part.partition("=") if isinstance(part, str) else (part, "", "")
            plain.append(pattern)
            if equals:
                weights[pattern] = _weight(weight, part)
    if not plain:
        raise BadValue(f"{shown(' '.join(map(str, patterns)))} names no queue")
    return check_patterns(plain), weights


def _weight(text: str, part: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= HEAVIEST and not part.startswith("!"):
        return int(text)
    raise BadValue(f"{shown(part)} gives no weight: write QUEUE=N with N from 1 to {HEAVIEST}, such as mails=3")


class Turns:
    """Whose turn it is: each queue gains its weight each turn, the one that has gained most goes first and pays what all have gained."""

    def __init__(self, weights: dict[str, int]) -> None:
        self._weights = weights
        self._gained: dict[str, int] = {}

    def order(self, names: Sequence[str]) -> list[str]:
        """The queues in the order of this turn; equal ones as they were given."""
        gained = {name: self._gained.get(name, 0) + self._weight_of(name) for name in names}
        turn = sorted(names, key=lambda name: -gained[name])
        if turn:
            gained[turn[0]] -= sum(self._weight_of(name) for name in names)
        self._gained = gained
        return turn

    def _weight_of(self, name: str) -> int:
        for pattern, weight in self._weights.items():
            if fnmatchcase(name, pattern):
                return weight
        return 1
