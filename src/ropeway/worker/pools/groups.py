"""Jobs of tasks that take several at once, on their way into one call.

The first job of a group leads it: it goes through the hand like any other, with the group at its side, and takes one slot. The slot waits a
moment for the group to fill. Until then whatever the ferry claims of that task joins it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from ...tasks import Tasks
from ..run import NEVER, Run
from .pool import expired

APART = 1000  # jobs that are remembered as having been in a batch that ended its process


class Group:
    """Runs for one call. `add` is the ferry's, from `take` on it is its slot's as well."""

    __slots__ = ("_home", "closed", "full", "runs", "size", "taken", "until", "wait")

    def __init__(self, home: Groups, run: Run, size: int, wait: float) -> None:
        self.runs = [run]
        self.size = size
        self.wait = wait
        self.until = NEVER  # when it goes as it is; from `take` on
        self.taken = self.closed = False
        self.full: Callable[[], None] | None = None  # whom to tell once it is full
        self._home = home

    @property
    def is_full(self) -> bool:
        return len(self.runs) >= self.size

    def take(self, now: float, full: Callable[[], None]) -> None:
        """A slot has it: `full` is called when it has filled up, from another thread, or now. Else it goes at `until`."""
        self._home.taken(self, now, full)

    def close(self) -> list[Run]:
        """No more join it: the runs."""
        return self._home.closed(self)

    def over(self) -> None:
        """Its runs have left the slot."""
        self._home.over(self)

    def agreed(self) -> bool:
        """Whether all of its runs are to end: one that is called back, or lost, does not stop the others."""
        return all(run.verdict for run in self.runs)


class Groups:
    """Those of a pool. Without tasks that take batches nothing is ever in here."""

    def __init__(self, tasks: Tasks) -> None:
        self._sizes = {task.name: task.batch for task in tasks if task.batch is not None}
        self._open: dict[str, Group] = {}  # by task
        self._lock = threading.Lock()
        self.apart: dict[str, None] = {}  # ids of jobs that go in a batch of their own, the oldest first
        self.waiting = 0  # mates of leaders that no slot has taken
        self.crowd = 0  # mates of leaders that are in a slot

    def __bool__(self) -> bool:
        return bool(self._sizes)

    @property
    def room(self) -> int:
        """How many more the groups would take that wait in a slot."""
        return sum([group.size - len(group.runs) for group in list(self._open.values()) if group.taken])

    def sort(self, runs: Sequence[Run]) -> list[Run]:
        """Those of a claim that go into the hand: jobs of other tasks, and leaders."""
        return [run for run in runs if not self._joins(run)]

    def recalled(self, leaders: Iterable[Run]) -> list[Run]:
        """These came back out of the hand: they, and their mates."""
        out: list[Run] = []
        for run in leaders:
            if run.group is None:
                out.append(run)
                continue
            group: Group = run.group
            out += group.close()
            group.over()
        return out

    def set_apart(self, run: Run) -> None:
        """Something happened to its batch, and nobody knows whose fault that was: next time it goes alone."""
        self.apart[run.lent.job.id] = None
        while len(self.apart) > APART:
            del self.apart[next(iter(self.apart))]

    def _joins(self, run: Run) -> bool:
        name = run.lent.job.task
        spec = self._sizes.get(name)
        if spec is None:
            return False
        size, wait = spec
        if run.lent.deaths or run.lent.job.id in self.apart:
            run.group = Group(self, run, 1, 0.0)
            return False
        with self._lock:
            group = self._open.get(name)
            if group is not None:
                run.group = group
                group.runs.append(run)
                if group.taken:
                    self.crowd += 1
                else:
                    self.waiting += 1
                if not group.is_full:
                    return True
                del self._open[name]
                tell = group.full
            else:
                run.group = Group(self, run, size, wait)
                if size > 1:
                    self._open[name] = run.group
                return False
        if tell is not None:
            tell()
        return True

    def taken(self, group: Group, now: float, full: Callable[[], None]) -> None:
        with self._lock:
            group.taken, group.until, group.full = True, now + group.wait, full
            self.waiting -= len(group.runs) - 1
            self.crowd += len(group.runs) - 1
            is_full = group.is_full
        if is_full:
            full()

    def closed(self, group: Group) -> list[Run]:
        with self._lock:
            group.closed = True
            name = group.runs[0].lent.job.task
            if self._open.get(name) is group:
                del self._open[name]
        return group.runs

    def over(self, group: Group) -> None:
        with self._lock:
            if group.taken:
                self.crowd -= len(group.runs) - 1
            else:
                self.waiting -= len(group.runs) - 1
        for run in group.runs:
            run.group = None  # runs are unknown to the garbage collector: a circle of them would stay


def fit(runs: Sequence[Run], now: float, fresh: float) -> tuple[list[Run], list[Run]]:
    """(start, not): those of a group that may start, and those that end here: overtaken by a verdict, or late."""
    start = [run for run in runs if not run.verdict and not expired(run, now, fresh)]
    return start, [run for run in runs if run not in start]
