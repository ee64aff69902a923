"""What a worker does for topics: makes the durable groups that the code asks for, and calls the functions that only listen.

The messages of a group are jobs like any other, so their way is that of every job. What only listens has a thread of its own for each
function: a slow one misses messages, and holds up neither jobs nor the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import Unsupported
from ..failure import one_line
from ..group import PREFIX
from ..groups import Groups
from ..link import Link
from ..listening import Listening
from ..message import Message
from .patience import Patience

if TYPE_CHECKING:
    from ..tasks import Tasks
    from ..tasks.subscribing import Subscription

JOIN = 5.0  # seconds for a function to end that is called just then


class Audience:
    """One worker's. `warn` takes a line for people."""

    def __init__(self, link: Link, tasks: Tasks | None, warn: Callable[..., None]) -> None:
        self._link = link
        self._groups = {} if tasks is None else tasks.groups
        self._live = [] if tasks is None else [one for one in tasks.subscriptions if not one.group]
        self._warn = warn
        self._ears: list[_Ear] = []

    @property
    def queues(self) -> tuple[str, ...]:
        """Where the messages of the code's groups wait: the worker works these too."""
        return tuple(PREFIX + name for name in self._groups)

    @property
    def failed(self) -> int:
        """How many messages a function that only listens has raised an error for."""
        return sum(ear.failed for ear in self._ears)

    def start(self, patience: Patience) -> None:
        """Make the groups, then listen. While the store fails it is tried again, until the worker ends. Raises Unsupported when the engine
        has no such thing."""
        try:
            patience.until_done(self._begin, "the topics of the code cannot be heard yet, and nothing is claimed before")
        except Unsupported:
            self.close()
            raise

    def make(self) -> None:
        """Make the groups that the code asks for, where they are not there."""
        groups = Groups(self._link)
        for name, (patterns, keep) in self._groups.items():
            if groups.code(name, patterns, keep) == "operator":
                self._warn("group %s was added by hand, so its patterns in the code were not written down", name)

    def close(self) -> None:
        for ear in self._ears:
            ear.end()
        for ear in self._ears:
            ear.join()

    def _begin(self) -> None:
        self.make()
        for one in self._live[len(self._ears) :]:
            self._ears.append(_Ear(self._link, one, self._warn))


class _Ear:
    """One function that listens, and its thread."""

    def __init__(self, link: Link, one: Subscription, warn: Callable[..., None]) -> None:
        self.failed = 0
        self._one = one
        self._warn = warn
        self._name = getattr(one.function, "__qualname__", repr(one.function))
        self._news = Listening(link, one.patterns, buffer=one.buffer)
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"ropeway-hear-{self._name}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended = True
        self._news.close()

    def join(self) -> None:
        self._thread.join(JOIN)
        if self._news.missed or self._news.gaps:
            self._warn("%s missed %d messages, and some of unknown number %d times", self._name, self._news.missed, self._news.gaps)

    def _run(self) -> None:
        if not self._one.awaited:
            self._hear(self._one.call)
            return
        from asyncio import Runner

        with Runner() as runner:
            self._hear(lambda message: runner.run(self._one.call(message)))

    def _hear(self, call: Callable[[Message], object]) -> None:
        for message in self._news:
            if self._ended:
                return
            try:
                call(message)
            except Exception as error:  # noqa: BLE001 - whatever it raises: the next message is heard all the same
                self.failed += 1
                self._warn("%s failed for message %s of %s: %s", self._name, message.id, message.topic, one_line(error))
