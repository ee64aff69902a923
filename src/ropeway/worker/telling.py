"""The hooks of a worker: who is called when it starts, idles and stops, and when a run has ended badly and the store has said so.

Those of ends are called in order by one thread of their own. The ferry must not wait for them: it would claim nothing meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ..hooks import OF_ENDS, Ended, Hook, call
from .run import Run

if TYPE_CHECKING:
    from ..tasks import Tasks

PATIENCE = 5.0  # seconds that a worker which ends waits for hooks that were called and have not returned


class Teller:
    """Calls the hooks of one worker. `worker` is what those of workers are given. Without tasks there are none. `alone`: the tasks run in
    this process, and in no child of it."""

    def __init__(self, tasks: Tasks | None, worker: Any, warn: Callable[..., None], *, alone: bool = True) -> None:
        self._tasks = tasks
        self._worker = worker
        self._warn = warn
        self._alone = alone
        self._waiting: SimpleQueue[tuple[str, tuple[Hook, ...], Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._now("worker_start", self._worker)
        if self._alone:
            self._now("process_start", os.getpid())

    def idle(self) -> None:
        """Nothing is held, and nothing was due. Called by the ferry."""
        if self._tasks is not None and (hooks := self._tasks.hooked("idle")):
            self._later("idle", hooks, self._worker)

    def ended(self, name: str, runs: Sequence[Run]) -> None:
        """These runs have ended so, and the store knows. `name`: on_retry, on_failure or on_lost. Called by the ferry."""
        if self._tasks is None:
            return
        assert name in OF_ENDS
        for run in runs:
            task = self._tasks.get(run.lent.job.task)
            if hooks := self._tasks.hooked(name, task):
                self._later(name, hooks, _ended(run))

    def stop(self) -> None:
        """The worker has ended: wait for what was called, then tell of it."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                self._warn("hooks went on %g s after the worker's end, and are not waited for any longer", PATIENCE)
        if self._alone:
            self._now("process_stop", os.getpid())
        self._now("worker_stop", self._worker)

    def _now(self, name: str, given: Any) -> None:
        if self._tasks is not None:
            call(name, self._tasks.hooked(name), given)

    def _later(self, name: str, hooks: tuple[Hook, ...], given: Any) -> None:
        self._waiting.put((name, hooks, given))
        if self._thread is None:
            self._thread = threading.Thread(target=self._tell, name="ropeway-hooks", daemon=True)
            self._thread.start()

    def _tell(self) -> None:
        while (one := self._waiting.get()) is not None:
            self._call(*one)

    def _call(self, name: str, hooks: tuple[Hook, ...], given: Any) -> None:
        call(name, hooks, given)


def _ended(run: Run) -> Ended:
    attempt, handback = run.handback.attempt if run.handback else None, run.handback
    return Ended(
        run.lent.job,
        run.lent.attempt,
        attempt.error if attempt else "",
        attempt.traceback if attempt else "",
        handback.delay if handback else 0.0,
    )
