"""What a program tells of itself: state by name, counters, and functions that are asked when somebody looks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ..failure import one_line
from .secrets import GONE, censored, is_secret

PATIENCE = 1.0  # seconds for a function that is asked
DEEPEST, WIDEST, LONGEST = 6, 200, 2000  # levels, items in one, characters of a text
MOST = 1000  # names of state, and of counters


class Board:
    """`state` is a plain dictionary, written by the program at any time; a value that can be called is asked at each look."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.counters: dict[str, int | float] = {}
        self._lock = threading.Lock()
        self._asked: dict[str, _Asking] = {}

    def count(self, name: str, by: float = 1) -> None:
        """Add to a counter, from any thread."""
        with self._lock:
            if name in self.counters or len(self.counters) < MOST:
                self.counters[name] = self.counters.get(name, 0) + by

    def shown(self) -> dict[str, Any]:
        """State and counters as they are shown."""
        counters = dict(self.counters)
        state = {str(name)[:200]: self._value(str(name), value) for name, value in list(self.state.items())[:MOST]}
        return {"state": state, "counters": counters, "iterations": counters.get("iterations", 0)}

    def _value(self, name: str, value: Any) -> Any:
        if is_secret(name):
            return GONE
        return self._ask(name, value) if callable(value) else plain(value)

    def _ask(self, name: str, function: Any) -> Any:
        """What it answers within a second. One that hangs is left to itself, and not asked again until it has ended."""
        asking = self._asked.get(name)
        if asking is None or asking.ended.is_set():
            asking = self._asked[name] = _Asking(function)
            asking.start()
        if not asking.ended.wait(PATIENCE):
            return f"(has not answered within {PATIENCE:g} s)"
        del self._asked[name]
        return asking.answer


class _Asking(threading.Thread):
    def __init__(self, function: Any) -> None:
        super().__init__(name="ropeway-sight-ask", daemon=True)
        self._function = function
        self.answer: Any = None
        self.ended = threading.Event()

    def run(self) -> None:
        try:
            self.answer = plain(self._function())
        except BaseException as error:  # noqa: BLE001 - what the program's function raises is told, and nothing else
            self.answer = f"(raised {censored(one_line(error))})"
        self.ended.set()


def plain(value: Any, depth: int = DEEPEST) -> Any:
    """The value as JSON can have it, bounded, without secrets."""
    if value is None or isinstance(value, bool):
        return value
    if type(value) in (int, float):
        fits = value == value and abs(value) < 1 << 53 if type(value) is int else value - value == 0
        return value if fits else str(value)[:LONGEST]
    if isinstance(value, str):
        return _text(value)
    if depth and isinstance(value, Mapping):
        return {str(k)[:200]: GONE if is_secret(str(k)) else plain(v, depth - 1) for k, v in list(value.items())[:WIDEST]}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [plain(one, depth - 1) for one in list(value)[:WIDEST]]
    try:
        return _text(repr(value))
    except Exception:  # noqa: BLE001 - a hostile __repr__
        return f"({type(value).__name__} that cannot be shown)"


def _text(text: str) -> str:
    text = censored(str(text[: LONGEST + 1])).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
