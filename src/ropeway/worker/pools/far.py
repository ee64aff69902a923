"""What stands in a child for things that the worker has: the store, by the worker's own connection, and the worker's word on a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, cast

from ... import errors
from ...errors import ConfigError, StoreError
from ...job import Job
from ...link import Link
from ...store import Store
from ...stores import ENGINES, open_store
from ..run import Run, Shift, Verdict
from .cell import Cell
from .frames import Answer, Ask, Hello

Send = Callable[[Ask], None]


class Line:
    """Questions to the worker, and its answers. From any thread of the child but the one that hears."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._numbers = count(1)
        self._waiting: dict[int, _Question] = {}

    def ask(self, verb: str, *given: Any) -> Any:
        """What the worker answers. Raises what the verb raised there."""
        question = _Question()
        number = next(self._numbers)
        self._waiting[number] = question
        self._send(Ask(number, verb, list(given)))
        question.answered.wait()
        answer = question.answer
        assert answer is not None
        if answer.kind:
            kind = getattr(errors, answer.kind, StoreError)
            raise kind(answer.error)
        return answer.value

    def heard(self, answer: Answer) -> None:
        """The worker has answered."""
        question = self._waiting.pop(answer.number, None)
        if question is not None:
            question.answer = answer
            question.answered.set()


class _Question:
    __slots__ = ("answer", "answered")

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.answer: Answer | None = None


class FarNotes:
    """The store's notes, by way of the worker."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def note(self, key: str, value: bytes, lifetime: float) -> None:
        self._line.ask("note", key, value, lifetime)

    def notes(self, prefix: str) -> dict[str, bytes]:
        found: dict[str, bytes] = self._line.ask("notes", prefix)
        return found

    def forget(self, key: str) -> bool:
        return bool(self._line.ask("forget", key))


class FarStore:
    """The verbs that a running job needs, by way of the worker; for all others the child opens the store itself."""

    def __init__(self, hello: Hello, line: Line, here: Callable[[], Store]) -> None:
        self.max_body = hello.max_body
        self.notes = FarNotes(line)
        self._line = line
        self._here = here
        self._store: Store | None = None

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        answers: list[bool] = self._line.ask("extend", list(receipts), lease)
        return answers

    def __getattr__(self, name: str) -> Any:
        if self._store is None:
            self._store = self._here()
        return getattr(self._store, name)


class FarShift(Shift):
    """What the runs of a child share: its link leads to the worker, and so does what they say while they go on."""

    __slots__ = ("_cell", "_line", "current")

    def __init__(self, hello: Hello, cell: Cell, line: Line) -> None:
        self._cell = cell
        self._line = line
        self.current: FarRun | None = None
        store = FarStore(hello, line, lambda: open_store(hello.url))
        super().__init__(Link(hello.url, opener=lambda *_: cast("Store", store)), hello.lease)
        self.name = hello.name
        self.post = self._post
        self.full = self._is_full

    @property
    def stopping(self) -> bool:
        """The worker was told to stop."""
        return self._cell.stopping

    @stopping.setter
    def stopping(self, value: bool) -> None:
        """It is the worker that is told."""

    def _post(self, part: Job) -> bool:
        return bool(self._line.ask("post", part))

    def _is_full(self) -> bool:
        return bool(self._line.ask("full"))


class FarRun(Run, gc=False, eq=False):
    """A run in a child; the verdict on it may stand in the cell."""

    number: int = 0
    cell: Cell | None = None

    @property
    def lost(self) -> bool:
        """Whether another may hold the job by now."""
        return self.verdict is Verdict.LOST or (self.cell is not None and self.cell.told(self.number) == Verdict.LOST)


def keep_memory_out() -> None:
    """A store in memory is the worker's alone: opened here it would be another one, and what was put into it lost without a word."""

    class Elsewhere:
        def __init__(self, *_: object) -> None:
            raise ConfigError(
                "memory: is in the worker's own process, and this is a child of its process pool; nothing was done. "
                "Take an engine that processes can share, such as dir:, or pool='thread'"
            )

    from ...stores import memory

    memory.MemoryStore = Elsewhere  # type: ignore[misc,assignment]
    assert ENGINES["memory"][1] == "MemoryStore"
