"""The notes of a memory store."""

from __future__ import annotations

from collections.abc import Callable

from ...clock import Clock
from ...demands import check_note
from .space import Space


class MemoryNotes:
    """Notes in the store's own space; their lifetimes run by the boot clock."""

    def __init__(self, enter: Callable[[], Space], clock: Clock) -> None:
        self._enter = enter
        self._clock = clock

    def note(self, key: str, value: bytes, lifetime: float) -> None:
        check_note(key, value, lifetime)
        with self._enter() as space:
            self._drop_past(space)
            if key in space.facts:
                space.fact_ends.drop(key)
            space.facts[key] = value
            space.fact_ends.add(key, self._clock.boot() + lifetime)

    def notes(self, prefix: str) -> dict[str, bytes]:
        with self._enter() as space:
            self._drop_past(space)
            return {key: space.facts[key] for key in sorted([key for key in space.facts if key.startswith(prefix)])}

    def forget(self, key: str) -> bool:
        with self._enter() as space:
            self._drop_past(space)
            if key not in space.facts:
                return False
            space.fact_ends.drop(key)
            del space.facts[key]
            return True

    def _drop_past(self, space: Space) -> None:
        for key in space.fact_ends.past(self._clock.boot()):
            space.fact_ends.drop(key)
            del space.facts[key]
