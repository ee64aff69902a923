"""A commit: one connection for all verbs inside. What settles is sent and not waited for: it shares the round trip of the next claim.

Nothing here is all or nothing; the order is kept, which is what makes a put safe before an ack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

from hiredis import ReplyError

from ...errors import StoreError
from . import faults
from .hub import Hub, push
from .scripts import Request
from .wire import Broken, Wire

Finish = Callable[[Sequence[Any]], list[bool]]


class Answers(Sequence[bool]):
    """The answers of a verb that was sent: read when somebody looks at them, at the latest when the commit ends."""

    def __init__(self, held: Held, sent: list[Request], finish: Finish) -> None:
        self._held = held
        self.sent = sent
        self._finish = finish
        self._answers: list[bool] | None = None
        self.error: StoreError | None = None

    def take(self, replies: Sequence[Any], hub: Hub) -> None:
        """The replies are there."""
        for reply in replies:
            if isinstance(reply, ReplyError):
                try:
                    hub.failed(reply)
                except StoreError as error:
                    self.error = error
                return
        self._answers = self._finish(replies)

    def _read(self) -> list[bool]:
        if self._answers is None and self.error is None:
            self._held.flush()
        if self.error is not None:
            raise self.error
        return self._answers or []

    @overload
    def __getitem__(self, index: int) -> bool: ...
    @overload
    def __getitem__(self, index: slice) -> list[bool]: ...
    def __getitem__(self, index: int | slice) -> bool | list[bool]:
        return self._read()[index]

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[bool]:
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        return self._read() == other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return repr(self._read())


class Held:
    """The connection of one commit, in one thread."""

    def __init__(self, hub: Hub, copies: int) -> None:
        self.settled = False  # something was acked, nacked or buried
        self._hub = hub
        self._copies = copies  # how many replicas must have what was settled
        self._unsafe = False  # what was settled is perhaps only here
        self._wire: Wire | None = None
        self._waiting: list[Answers] = []

    def ask(self, requests: Iterable[Request], copies: int) -> list[Any]:
        """As Hub.through, behind what was sent before."""
        wire = self._open()
        try:
            sent = push(wire, requests)
            replies = self._receive(sent)
            if copies:
                self._hub.copied(wire, copies)
        except Broken as error:
            raise self._broken(error) from error
        except BaseException:
            self._drop(None)
            raise
        return replies

    def later(self, requests: Iterable[Request], finish: Finish) -> Answers:
        """Send them now, look for the replies later."""
        wire = self._open()
        try:
            answers = Answers(self, push(wire, requests), finish)
        except Broken as error:
            raise self._broken(error) from error
        self._waiting.append(answers)
        self._unsafe = True
        return answers

    def flush(self) -> None:
        """Read all that was sent. Raises StoreError when the connection broke."""
        if self._waiting or (self._unsafe and self._copies):
            self._unsafe = False
            self.ask((), self._copies)

    def end(self) -> None:
        """The commit is over: all is answered, and an error that nobody has looked at is raised."""
        waiting = list(self._waiting)
        try:
            self.flush()
        finally:
            wire, self._wire = self._wire, None
            if wire is not None:
                self._hub.give(wire)
        for answers in waiting:
            if answers.error is not None:
                raise answers.error

    def _open(self) -> Wire:
        if self._wire is None:
            self._wire = self._hub.take()
        return self._wire

    def _receive(self, sent: Sequence[Request]) -> list[Any]:
        """All replies first: what the server had no script for is sent again behind them."""
        wire, waiting = self._open(), self._waiting
        asked = [request for answers in waiting for request in answers.sent] + list(sent)
        replies = [wire.receive() for _ in asked]
        for index, reply in enumerate(replies):
            if isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT"):
                wire.send(asked[index].packed(whole=True))
                replies[index] = wire.receive()
        self._waiting = []
        at = 0
        for answers in waiting:
            answers.take(replies[at : at + len(answers.sent)], self._hub)
            at += len(answers.sent)
        return replies[at:]

    def _broken(self, error: Broken) -> StoreError:
        failure = faults.broken(self._hub.where, str(error))
        self._drop(failure)
        self._hub.forget()
        return failure

    def _drop(self, failure: StoreError | None) -> None:
        """The connection cannot be used any more: replies may still be on their way."""
        waiting, self._waiting = self._waiting, []
        for answers in waiting:
            answers.error = failure or StoreError(f"{self._hub.where}: interrupted; it is unknown whether it was done")
        if self._wire is not None:
            self._wire.close()
            self._wire = None
