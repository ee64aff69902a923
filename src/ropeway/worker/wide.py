"""Commands that take several slots of their worker: each says how many in a header, and starts once so many are free.

At most one waits here for its slots, held and with its lease renewed. What was claimed behind it goes back at once, and nothing is claimed
until it has begun: what takes less never overtakes it here, and may run elsewhere. One that takes more slots than there are has them all.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from ..job import Job
from ..shell.command import CONTENT_TYPE, MOST_TAKES, TAKES
from .judge import Judge
from .run import Run


class Wide:
    """Used by the ferry alone. `report`: where a run goes that ends before it began."""

    def __init__(self, judge: Judge, report: Callable[[Run], None]) -> None:
        self.next: Run | None = None
        self._takes: dict[str, int] = {}  # by receipt: of all that are held and take more than one
        self._judge = judge
        self._report = report

    def __bool__(self) -> bool:
        """Whether any is held."""
        return bool(self._takes)

    def beside(self, slots: int) -> int:
        """How many slots they take beside their own ones."""
        return sum([min(takes, slots) - 1 for takes in self._takes.values()])

    def admit(self, runs: Sequence[Run], free: int, slots: int) -> tuple[list[Run], list[Run]]:
        """Those that may start, with so many slots free for these, and those that go back. What takes one slot may lie in the hand for a
        moment as long as none of several is held: one that sleeps for it would take it."""
        start: list[Run] = []
        back: list[Run] = []
        for run in runs:
            takes = min(takes_of(run.lent.job), slots)
            if self.next is not None or (takes == 1 > free and self._takes):
                back.append(run)
                continue
            if takes > 1:
                self._takes[run.lent.receipt] = takes_of(run.lent.job)
                if takes > free:
                    self.next = run
                    run.signal = self._signalled
                    continue
            start.append(run)
            free -= takes
        return start, back

    def ready(self, free: int) -> Run | None:
        """The one that waits, once it may start, or must end. `free`: slots for which nothing is held; it has its own already, so less
        than none are free as long as it lacks some."""
        return self._out() if self.next is not None and (self.next.verdict or free >= 0) else None

    def recall(self) -> list[Run]:
        """The one that waits: it does not any more."""
        run = self._out()
        return [] if run is None else [run]

    def gone(self, run: Run) -> None:
        """This one is no longer held."""
        self._takes.pop(run.lent.receipt, None)

    def _out(self) -> Run | None:
        run, self.next = self.next, None
        if run is not None:
            run.signal = None
        return run

    def _signalled(self, number: int) -> None:
        """Somebody kills it: it ends as if the signal had met it."""
        run = self._out()
        if run is None:
            return
        try:
            name = f" ({signal.Signals(number).name})"
        except ValueError:
            name = ""
        self._judge.refused(run, f"killed by signal {number}{name} before it began")
        self._report(run)


def takes_of(job: Job) -> int:
    """How many slots of its worker a job takes."""
    if job.content_type != CONTENT_TYPE or not (said := job.headers.get(TAKES, "")):
        return 1
    return max(1, min(int(said), MOST_TAKES)) if said.isascii() and said.isdigit() and len(said) <= 6 else 1
