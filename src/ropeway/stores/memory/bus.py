"""The bus of a memory store: who listens is told in the thread of whoever publishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...bus import MESSAGE_LIMIT, Heard
from ...buses.hearers import Hearer
from ...message import Message, check_message

if TYPE_CHECKING:
    from .space import Space


class MemoryBus:
    """The Bus contract within this process."""

    def __init__(self, enter: Callable[[], Space]) -> None:
        self._enter = enter
        self._ends: list[Callable[[], None]] = []

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            check_message(message, MESSAGE_LIMIT)
        with self._enter() as space:
            listeners = list(space.listeners)
        for listener in listeners:
            listener.tell(messages)

    def listen(self, patterns: Sequence[str], heard: Heard) -> Callable[[], None]:
        listener = Hearer(patterns, heard)
        with self._enter() as space:
            space.listeners.append(listener)

        def end() -> None:
            listener.end()
            with space:
                if listener in space.listeners:
                    space.listeners.remove(listener)
            if end in self._ends:
                self._ends.remove(end)

        self._ends.append(end)
        return end

    def close(self) -> None:
        """Those who listen by this object hear no more."""
        for end in list(self._ends):
            end()
