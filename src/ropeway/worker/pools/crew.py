"""The children of a process pool as a crew: enough of them, a spare where timeouts may kill one, none that is too old or too large."""

from __future__ import annotations

import os
import select
import threading
from time import monotonic

from ...tasks import Tasks
from .frames import Hello
from .kid import Kid, exit_fd
from .outlet import Outlet
from .wake import Wake

WEIGH = 1.0  # seconds between two looks at a child's memory
FIRST_BACKOFF, LONGEST_BACKOFF = 0.2, 30.0  # seconds until a child is started after one that did not get ready
TO_LEAVE = 5.0  # seconds for a child that may go to be gone
TO_REAP = 0.2
LEAVING = 2.0  # at the worker's end


class Crew:
    """Used by the hub's thread alone, but for `settled`, `error`, and looks at `kids`, which is replaced and never changed."""

    def __init__(self, slots: int, tasks: Tasks, *, spare: bool, max_jobs: int | None, max_memory: int | None) -> None:
        self.slots = slots
        self.kids: tuple[Kid, ...] = ()
        self.settled = threading.Event()  # a child is ready, or none ever will be
        self.error = ""
        self.poll = select.poll()
        self.by_fd: dict[int, Kid] = {}
        self.exits: set[int] = set()  # of these, the ones that tell of an exit
        self._tasks = tasks
        self._spare = int(spare)
        self._max_jobs = max_jobs
        self._max_memory = max_memory
        self._next_start = self._backoff = 0.0
        self._listening: dict[int, int] = {}
        self._exit_of: dict[Kid, int] = {}
        self._hello: Hello | None = None
        self._outlet: Outlet | None = None

    def hire(self, hello: Hello, outlet: Outlet) -> None:
        """What new children are told."""
        self._hello, self._outlet = hello, outlet

    # Whom there is

    def fit(self) -> list[Kid]:
        """Those that may get jobs, the ones with the fewest first."""
        kids = [kid for kid in self.kids if kid.ready and not kid.leaving and not kid.killed and self.left(kid) > 0]
        kids.sort(key=_load)
        return kids

    def left(self, kid: Kid) -> int:
        """How many more jobs it may get in its life."""
        return 1 << 30 if self._max_jobs is None else self._max_jobs - kid.given

    def busy(self) -> int:
        return sum([bool(kid.outstanding) for kid in self.kids])

    def idle(self) -> bool:
        """Whether a slot has nothing to do."""
        kids = self.fit()
        return bool(kids) and not kids[0].outstanding and self.busy() < self.slots

    def takes_more(self, frame: int, now: float) -> bool:
        """Whether a frame could be sent now."""
        idle = self.busy() < self.slots
        for kid in self.fit():
            if not kid.outstanding:
                if idle:
                    return True
            elif frame > 1 and len(kid.outstanding) <= frame and not (kid.recalled or kid.batch or kid.stalled(now)):
                return True
        return False

    # Coming

    def fill(self, now: float) -> None:
        """Start those that are missing; let those go that are too many or have served their time."""
        staying = [kid for kid in self.kids if not kid.leaving and not kid.retiring and not kid.killed]
        want = self.slots + self._spare
        for _ in range(want - len(staying)):
            if now < self._next_start:
                break
            self._start(now)
        surplus = len(staying) - want
        for kid in sorted(staying, key=_load)[: max(0, surplus)]:
            kid.leaving = True
        rested = sum(kid.ready for kid in staying)
        for kid in self.kids:
            if kid.retiring and (rested >= self.slots or self.left(kid) <= 0):  # its successor is there first, unless its time is up
                kid.leaving = True
            if kid.leaving and not kid.outstanding and not kid.told_to_leave:
                kid.leave()
                kid.kill_at = now + TO_LEAVE

    def _start(self, now: float) -> None:
        assert self._hello is not None and self._outlet is not None
        try:
            kid = Kid()
        except OSError as error:
            self._not_started(f"no process can be started: {error}", now)
            return
        for fd, to in kid.outputs.items():
            self._outlet.add(fd, to, kid.whose)
        self.kids = (*self.kids, kid)
        self.by_fd[kid.fileno()] = kid
        fd = self._exit_of[kid] = exit_fd(kid.pid)
        if fd >= 0:
            self.by_fd[fd] = kid
            self.exits.add(fd)
            self.poll.register(fd, select.POLLIN)
        kid.send(self._hello)

    def ready(self, kid: Kid, names: list[str]) -> None:
        """It has loaded the tasks: these."""
        missing = sorted({task.name for task in self._tasks} - set(names))
        if missing:
            kid.error = (
                f"it has no task {' '.join(missing[:5])}: register tasks where the module is imported, for each process does that anew"
            )
            kid.kill()
            return
        kid.ready = True
        self._backoff = 0.0
        self.settled.set()

    def fail(self, error: str) -> None:
        """No child will ever be ready."""
        if not self.settled.is_set():
            self.error = error
            self.settled.set()

    def _not_started(self, error: str, now: float) -> None:
        if not self.settled.is_set():
            self.fail(error)
        elif not self._backoff:
            self.warn("a child of the process pool did not get ready, and is tried again: %s", error)
        self._backoff = min(2 * self._backoff or FIRST_BACKOFF, LONGEST_BACKOFF)
        self._next_start = now + self._backoff

    # Growing old

    def tend(self, kid: Kid, now: float) -> None:
        """It has done something: see whether it should be replaced."""
        if kid.retiring:
            return
        if self._max_jobs is not None and kid.given >= self._max_jobs:
            kid.retiring = True
        elif self._max_memory is not None and now - kid.weighed >= WEIGH:
            kid.weighed = now
            kid.retiring = kid.memory() > self._max_memory

    def next_look(self, now: float) -> float:
        """When `fill` has something to do by itself."""
        staying = sum(not kid.leaving and not kid.retiring and not kid.killed for kid in self.kids)
        return self._next_start if staying < self.slots + self._spare else now + 3600.0

    # Going

    def listen(self, wake: Wake) -> None:
        """Have `poll` look at all that there is now, and at those that are written to."""
        wanted = {wake.fileno(): select.POLLIN}
        for kid in self.kids:
            if not kid.gone:
                wanted[kid.fileno()] = select.POLLIN | (select.POLLOUT if kid.behind else 0)
        if wanted != self._listening:
            for fd in self._listening.keys() - wanted.keys():
                self.poll.unregister(fd)
            for fd, events in wanted.items():
                if self._listening.get(fd) != events:
                    self.poll.register(fd, events)
            self._listening = wanted

    def bury(self, kid: Kid, now: float) -> int:
        """It has ended, or closed its end: reap it and forget it; its exit code."""
        kid.wait(TO_REAP)
        kid.cell_at_death = kid.cell.begun()
        if not kid.ready and not kid.told_to_leave:
            self._not_started(kid.error or f"its process ended before it had loaded the tasks (exit code {kid.code})", now)
        fd = self._exit_of.pop(kid, -1)
        for one in (kid.fileno(), fd):
            self.by_fd.pop(one, None)
            if one in self._listening or one in self.exits:
                self.poll.unregister(one)
                self._listening.pop(one, None)
        if fd >= 0:
            self.exits.discard(fd)
            os.close(fd)
        self.kids = tuple(one for one in self.kids if one is not kid)
        kid.close()
        return kid.code or 0

    def dismiss(self, now: float) -> None:
        """The worker ends: all children go."""
        for kid in self.kids:
            kid.leave()
            if kid.outstanding or not kid.ready:
                kid.kill()
        until = monotonic() + LEAVING
        for kid in self.kids:
            kid.wait(max(0.0, until - monotonic()))
            self.bury(kid, now)

    @staticmethod
    def warn(text: str, *args: object) -> None:
        """A line that somebody should see."""
        import logging

        logging.getLogger("ropeway.worker").warning(text, *args)


def _load(kid: Kid) -> int:
    return len(kid.outstanding)
