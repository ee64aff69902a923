"""The process pool: long-lived children that run one job each, fed by a thread of the worker, the hub (hub.py).

A child that crashes, leaks or hangs takes no other with it. The job that it was in is known, and charged; the rest goes back uncounted. A
timeout kills the child, whatever it is in. Children are made by starting the interpreter anew, never by a fork, and hold no connection to
the store: the lease is kept, and everything settled, by a process that no job can block.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import ConfigError
from ...retry import Retry
from ...tasks import Tasks
from ..app import find
from ..inbox import Inbox
from ..judge import Judge
from ..run import Run, Shift
from ..signals import in_thread
from .frames import Hello, policy_of, said_of
from .groups import Groups
from .hub import Hub
from .outlet import Outlet


class ProcessPool:
    """Slots that are processes. `max_jobs`, `max_memory`: after so many jobs, or beyond so many bytes, a child is replaced by a fresh one.

    Raises ConfigError when the tasks cannot be found by another process."""

    stuck = 0  # what hangs is killed

    def __init__(
        self,
        slots: int,
        shift: Shift,
        inbox: Inbox,
        judge: Judge,
        tasks: Tasks,
        *,
        retry: Retry | None = None,
        max_jobs: int | None = None,
        max_memory: int | None = None,
    ) -> None:
        self.slots = slots
        self._app = find(tasks)
        self._policy = policy_of(retry)
        self._shift = shift
        self._inbox = inbox
        self._owned: dict[int, Run] = {}  # by id(); who pops a run is the one who reports it
        self._hand: deque[Run] = deque()
        self._groups = Groups(tasks)
        self._outlet: Outlet | None = None
        self._hub = Hub(slots, shift, inbox, judge, tasks, self._hand, self._groups, self._report, max_jobs=max_jobs, max_memory=max_memory)

    def open(self) -> None:
        """Start the children, and wait until one has loaded the tasks. Raises ConfigError when it could not."""
        store = self._shift.link.store
        queues = {name: said_of(settings) for name, settings in self._shift.link.configured().items()}
        hello = Hello(self._app, self._shift.link.url, self._shift.name, self._shift.lease, store.max_body, self._policy, queues)
        self._outlet = Outlet()
        error = self._hub.start(hello, self._outlet)
        if error:
            self.close()
            raise ConfigError(f"a process of the pool could not load the tasks, so nothing was run: {error}")

    @property
    def crowd(self) -> int:
        return self._groups.crowd

    @property
    def room(self) -> int:
        return self._groups.room

    def take(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._owned[id(run)] = run
        self._hand.extend(self._groups.sort(runs) if self._groups else runs)
        self._hub.nudge()

    def stop(self, run: Run) -> bool:
        if id(run) not in self._owned:
            return False
        self._hub.order(lambda: self._hub.stop(run))
        return True

    def waiting(self) -> int:
        return len(self._hand) + self._groups.waiting + self._hub.pending()

    def hungry(self) -> bool:
        return self._hub.hungry

    def recall(self) -> list[Run]:
        leaders: list[Run] = []
        while True:
            try:
                leaders.append(self._hand.pop())
            except IndexError:
                break
        back = [run for run in (self._groups.recalled(leaders) if self._groups else leaders) if self.disown(run)]
        if self._hub.pending() or self._shift.stopping:
            self._hub.order(self._hub.call_back)
        return back

    def running(self) -> list[Run]:
        return [run for run in list(self._owned.values()) if run.started]

    def disown(self, run: Run) -> bool:
        return self._owned.pop(id(run), None) is not None

    def resize(self, slots: int) -> None:
        self.slots = slots
        self._hub.order(lambda: self._hub.resize(slots))

    def host(self, work: Callable[[], int]) -> int:
        """The main thread is kept free for signals; another one may do the work itself."""
        return in_thread(work) if threading.current_thread() is threading.main_thread() else work()

    def look(self, what: str) -> list[tuple[int, Any]]:
        """That view of each child, by its pid; None of one that does not answer soon."""
        return self._hub.look(what)

    def pid(self, run: Run) -> int | None:
        """The process that has this one."""
        return self._hub.pid(run)

    def printed(self, job_id: str) -> bytes:
        """The end of what that job has printed, if it is still known."""
        return self._outlet.printed(job_id) if self._outlet is not None else b""

    def close(self) -> None:
        self._hub.close()
        if self._outlet is not None:
            self._outlet.close()

    def _report(self, run: Run) -> None:
        if self.disown(run):
            self._inbox.report(run)
