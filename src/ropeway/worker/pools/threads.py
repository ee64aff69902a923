"""The thread pool: slots that take from one hand, run, and report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context

from ..execution import TaskWork, Work
from ..hand import Hand
from ..inbox import Bell, Inbox
from ..judge import Judge
from ..run import Run, Shift
from ..signals import in_thread
from .groups import Group, Groups, fit
from .pool import expired


class ThreadPool:
    """Slots that are threads. A daemon each: a job that cannot be stopped must not keep the process from ending."""

    def __init__(
        self,
        slots: int,
        shift: Shift,
        inbox: Inbox,
        judge: Judge,
        make_work: Callable[[Callable[[Run], None]], Work],
        groups: Groups | None = None,
    ) -> None:
        self.slots = slots
        self.stuck = 0
        self._shift = shift
        self._inbox = inbox
        self._judge = judge
        self._hand = Hand(inbox.hungry)
        self._running: dict[int, Run] = {}  # by id(); who pops a run is the one who reports it
        self._groups = groups or None
        self._work = make_work(self._abandon)
        self._context: Context | None = None
        self._lock = threading.Lock()  # for the three below
        self._made = 0  # slots ever, for their numbers
        self._living = 0
        self._too_many = False

    def open(self) -> None:
        self._context = copy_context()
        self.resize(self.slots)

    @property
    def crowd(self) -> int:
        return self._groups.crowd if self._groups else 0

    @property
    def room(self) -> int:
        return self._groups.room if self._groups else 0

    def take(self, runs: Sequence[Run]) -> None:
        self._hand.give(self._groups.sort(runs) if self._groups else runs)

    def stop(self, run: Run) -> bool:
        if run.group is not None:
            run = run.group.runs[0] if run.group.agreed() else run
        stop = run.stop
        if stop is not None:
            stop()
        return stop is not None

    def waiting(self) -> int:
        return len(self._hand) + (self._groups.waiting if self._groups else 0)

    def hungry(self) -> bool:
        return self._hand.idle > 0

    def recall(self) -> list[Run]:
        back = self._hand.recall()
        return self._groups.recalled(back) if self._groups else back

    def running(self) -> list[Run]:
        return list(self._running.values())

    def disown(self, run: Run) -> bool:
        return self._running.pop(id(run), None) is not None

    def resize(self, slots: int) -> None:
        with self._lock:
            self.slots = slots
            if self._context is None:
                return
            while self._living < slots:
                self._start()
            self._too_many = self._living > slots
        self._hand.nudge(self._made)

    def host(self, work: Callable[[], int]) -> int:
        """The main thread is kept free for signals; another one may do the work itself."""
        return in_thread(work) if threading.current_thread() is threading.main_thread() else work()

    def close(self) -> None:
        self._hand.close(self._made)
        self._work.close()

    def _start(self) -> None:
        number = self._made
        self._made += 1
        self._living += 1
        threading.Thread(target=self._serve, name=f"ropeway-slot-{number}", daemon=True).start()

    def _serve(self) -> None:
        take, wait, report = self._hand.take, self._hand.wait, self._inbox.report
        boot, work, running, fresh = self._shift.boot, self._work, self._running, self._shift.lease / 3
        assert self._context is not None
        new_context = self._context.copy
        while not (self._too_many and self._leave()):
            try:
                run = take()
            except IndexError:
                if not wait():
                    return
                continue
            if run.group is not None:
                if not self._serve_group(run.group):
                    return
                continue
            now = boot()
            if run.verdict:
                self._judge.overruled(run)
            elif not expired(run, now, fresh):
                run.started = now
                running[id(run)] = run
                new_context().run(work, run)  # a context of its own: what one job sets in it the next never sees
                if running.pop(id(run), None) is None:
                    return  # abandoned meanwhile: it was reported, and another slot stands in for this one
            run.ended = boot()
            report(run)

    def _serve_group(self, group: Group) -> bool:
        """Gather, then run. False: the slot was given up meanwhile."""
        boot, bell = self._shift.boot, Bell()
        group.take(boot(), bell.ring)
        bell.wait(group.until - boot())
        now = boot()
        start, ended = fit(group.close(), now, self._shift.lease / 3)
        self._overrule(ended)
        self._report_all(ended)
        for run in start:
            run.started = now
            self._running[id(run)] = run
        if start:
            assert self._context is not None and isinstance(self._work, TaskWork)
            self._context.copy().run(self._work.batch, start)
        left = [run for run in start if self._running.pop(id(run), None) is not None]
        self._report_all(left)
        group.over()
        return len(left) == len(start)

    def _overrule(self, runs: Sequence[Run]) -> None:
        for run in runs:
            if run.verdict:
                self._judge.overruled(run)

    def _report_all(self, runs: Sequence[Run]) -> None:
        now = self._shift.boot()
        for run in runs:
            run.ended = now
            self._inbox.report(run)

    def _abandon(self, run: Run) -> None:
        """It did not end at its timeout, and its slot hangs in it: settle it as timed out, and go on with a new slot."""
        ended = [one for one in (run.group.runs if run.group is not None else (run,)) if self.disown(one)]
        for one in ended:
            one.verdict, one.deadline = one.verdict or run.verdict, run.deadline
            self._judge.overruled(one)
        self._report_all(ended)
        if ended:
            self.stuck += 1
            with self._lock:
                self._living -= 1
                if self._living < self.slots:
                    self._start()

    def _leave(self) -> bool:
        """A slot asks whether it is one too many."""
        with self._lock:
            leaves = self._living > self.slots
            self._living -= leaves
            self._too_many = self._living > self.slots
        if leaves:
            self._hand.nudge(1)  # its token may have been meant for a run
        return leaves
