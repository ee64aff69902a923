"""The acts of which lives are made: each is a rule of the machine, and can also be one of the many acts of a day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis.stateful import rule
from hypothesis.strategies import SearchStrategy

ACTS: dict[str, dict[str, SearchStrategy[Any]]] = {}


def act(**draws: Any) -> Callable[[Any], Any]:
    """A rule, which can also be one of the many acts of a day."""

    def keep(function: Any) -> Any:
        ACTS[function.__name__] = draws
        made: Any = rule
        return made(**draws)(function)

    return keep
