"""The third contract: news to whoever listens now. Nothing is kept, nothing is waited for, and nobody's slowness is another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .errors import Unsupported
from .message import Message

MESSAGE_LIMIT = 1024 * 1024  # bytes of a message's body, on every engine

Heard = Callable[[Sequence[Message], int], None]
"""What a listener gives: called with the messages that have come, and how many are known to have been lost on the way before them (-1:
some, nobody knows how many; the line was broken). One call at a time, from a thread of the bus; it must be quick, and keep within
bounds itself."""


class Bus(Protocol):
    """Publishes messages to all who listen at that moment, in any process that has this store open.

    At most once: what is not heard is gone, and what was lost on the way is counted where that can be known. Messages of one thread arrive
    in the order in which it published them. A listener that is slow, stopped or gone costs the publisher nothing but a bounded buffer;
    what does not fit in there is dropped, and the listener is told how many.
    """

    def publish(self, messages: Sequence[Message]) -> None:
        """Send these to whoever listens. When it answers, all who listened before are being told. Raises BadName, BadBody or BadValue
        before anything is sent; StoreError when the store cannot be reached, and then some may have been told."""
        ...

    def listen(self, patterns: Sequence[str], heard: Heard) -> Callable[[], None]:
        """From when this answers on, `heard` is told of every message whose topic one of the patterns means (topics.py), this process's
        own messages too. Answers the function that ends it: once that has answered, `heard` is not called any more; it may be called
        twice, but not from inside `heard`. Raises BadValue for what is no pattern, StoreError when the store cannot be reached."""
        ...


class OwnBus(Bus, Protocol):
    """A bus as its store has it."""

    def close(self) -> None:
        """Nobody hears any more, and what is on its way has a moment to go out. May be called twice; before the store is closed."""
        ...


class LateBus:
    """A bus that is made when it is first asked for: who only puts jobs loads none of it."""

    def __init__(self, make: Callable[[], OwnBus]) -> None:
        self._make = make
        self._made: dict[str, OwnBus] = {}

    def _it(self) -> OwnBus:
        bus = self._made.get("bus")
        return bus if bus is not None else self._made.setdefault("bus", self._make())  # of two threads both get the one

    def publish(self, messages: Sequence[Message]) -> None:
        self._it().publish(messages)

    def listen(self, patterns: Sequence[str], heard: Heard) -> Callable[[], None]:
        return self._it().listen(patterns, heard)

    def close(self) -> None:
        for bus in list(self._made.values()):
            bus.close()


class NoBus:
    """The bus of a store that has none."""

    def __init__(self, url: str) -> None:
        self._url = url

    def publish(self, messages: Sequence[Message]) -> None:  # noqa: ARG002 - refused whatever they are
        raise Unsupported(f"{self._url} has no topics; nothing was published. See the table of engines in the docs")

    def listen(self, patterns: Sequence[str], heard: Heard) -> Callable[[], None]:  # noqa: ARG002 - refused whatever they are
        raise Unsupported(f"{self._url} has no topics, so nobody can listen; nothing was done. See the table of engines in the docs")

    def close(self) -> None:
        """There is nothing to close."""
