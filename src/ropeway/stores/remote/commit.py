"""A commit over HTTP: the verbs inside are gathered and sent as one request, when somebody looks at an answer or the block ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from ...errors import BadValue, RopewayError

Send = Callable[[list[tuple[str, Any]]], list[Any]]
_SETTLES = frozenset({"ack", "nack", "bury"})


class Answers(Sequence[bool]):
    """The answers of a verb that is gathered: looking at them sends all that was gathered."""

    def __init__(self, gathered: Gathered) -> None:
        self._gathered = gathered
        self.told: list[bool] | None = None
        self.error: RopewayError | None = None

    def read(self) -> list[bool]:
        if self.told is None and self.error is None:
            self._gathered.flush()
        if self.error is not None:
            raise self.error
        return self.told or []

    @overload
    def __getitem__(self, index: int) -> bool: ...
    @overload
    def __getitem__(self, index: slice) -> list[bool]: ...
    def __getitem__(self, index: int | slice) -> bool | list[bool]:
        return self.read()[index]

    def __len__(self) -> int:
        return len(self.read())

    def __iter__(self) -> Iterator[bool]:
        return iter(self.read())

    def __eq__(self, other: object) -> bool:
        return self.read() == other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return repr(self.read())


class Gathered:
    """What one thread has done inside its commit, and not sent yet."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._line: list[tuple[str, Any, Answers | None]] = []
        self._settled = False

    def later(self, verb: str, arguments: Any) -> Answers:
        """Gather it; what it answers is seen by looking."""
        self._settled = self._settled or verb in _SETTLES
        answers = Answers(self)
        self._line.append((verb, arguments, answers))
        return answers

    def now(self, verb: str, arguments: Any) -> Any:
        """Send it behind all that was gathered, as one commit; its answer."""
        if verb in ("put", "bring") and self._settled:
            raise BadValue("inside commit, put comes before ack, nack and bury; nothing was stored")
        return self._go((verb, arguments))

    def flush(self) -> None:
        """Send what was gathered."""
        if self._line:
            self._go(None)

    def _go(self, last: tuple[str, Any] | None) -> Any:
        line, self._line = self._line, []
        try:
            told = self._send([(verb, arguments) for verb, arguments, _ in line] + ([last] if last else []))
        except RopewayError as error:
            for _, _, answers in line:
                if answers is not None:
                    answers.error = error
            raise
        for (_, _, answers), one in zip(line, told, strict=False):
            if answers is None:
                continue
            if isinstance(one, RopewayError):
                answers.error = one
            else:
                answers.told = one
        if last is None:
            return None
        if isinstance(told[-1], RopewayError):
            raise told[-1]
        return told[-1]
