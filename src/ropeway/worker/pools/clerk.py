"""Does in the store what children ask for, and what must be looked up, in a thread of its own: the hub must not wait for a store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from ...errors import RopewayError
from ...failure import one_line
from ...store import Feature, Query
from ..run import Run, Shift
from .frames import Answer, Ask

CRASHED = "crashed"  # the outcome of an attempt whose process ended under it


class Clerk:
    """One thread, started at the first errand."""

    def __init__(self, shift: Shift) -> None:
        self._shift = shift
        self._errands: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def send(self, errand: Callable[[], None]) -> None:
        """Have this done, after what came before it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ropeway-clerk", daemon=True)
            self._thread.start()
        self._errands.put(errand)

    def close(self) -> None:
        if self._thread is not None:
            self._errands.put(None)

    def _run(self) -> None:
        while (errand := self._errands.get()) is not None:
            try:
                errand()
            except Exception:
                import logging

                logging.getLogger("ropeway.worker").exception("an errand for a child of the process pool failed")

    def answer(self, ask: Ask, run: Run | None) -> Answer:
        """What the store says to a child's question. `run`: the one that asks, which alone it may extend."""
        try:
            return Answer(ask.number, self._do(ask.verb, ask.given, run))
        except RopewayError as error:
            return Answer(ask.number, None, str(error), type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a question that makes no sense must not end the clerk
            return Answer(ask.number, None, one_line(error), "StoreError")

    def _do(self, verb: str, given: list[Any], run: Run | None) -> Any:
        store = self._shift.link.store
        if verb == "extend":
            if run is None or given[0] != [run.lent.receipt]:
                return [False]
            before = self._shift.boot()
            answers = store.extend(given[0], given[1])
            if answers[0]:
                run.lent.until = before + given[1]
            return answers
        if verb == "note":
            return store.notes.note(*given)
        if verb == "notes":
            return store.notes.notes(*given)
        if verb == "forget":
            return store.notes.forget(*given)
        raise ValueError(f"a child asks for {verb}, which is not known here")

    def crashes(self, run: Run) -> int:
        """How many processes have ended under this job before, by its history; 0 when that cannot be told now."""
        store, job = self._shift.link.store, run.lent.job
        try:
            if Feature.HISTORY not in store.features:
                return 0
            (entry,) = store.browse(Query(queues=(job.queue,), ids=(job.id,)))
        except (RopewayError, ValueError):
            return 0
        return sum(attempt.outcome == CRASHED for attempt in entry.history)
