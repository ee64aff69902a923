"""Jobs that workers have died with: run apart, so that the one that kills is found and those that only stood beside it are not blamed.

Attempts are counted at the claim. A worker killed with 400 claims in its hand leaves 400 jobs with a death each, of which at most a few
killed it. So a job with a death is a suspect: one at a time, nothing prefetched meanwhile; the others of that claim go back, uncounted.
With a second death it runs alone in the process. Thus the third, which buries it, was nobody else's.

A suspect that finds others running is handed back and asked for by its id once they have ended; meanwhile nothing is claimed. As long jobs
may keep it waiting, that has a bound, after which the worker goes on for a while as if it had not seen it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..job import Attempt
from ..retry import DEADLY
from ..store import Handback
from .run import End, Run, Shift

ALONE = 2  # deaths from which on nothing may run beside it
SHY = 0.2, 30.0  # seconds for which a suspect handed back leaves its place to others: as long as the one that runs has run
WARY = 5.0  # seconds after the last suspect for which nothing is prefetched: where one was, there are more
PATIENCE = 30.0  # seconds to claim nothing, for a suspect that must run alone
RESPITE = 300.0  # seconds to go on as if there were none, after waiting in vain


class Suspects:
    """Which claims may start. Used by the ferry alone."""

    def __init__(self, shift: Shift) -> None:
        self._shift = shift
        self._running: Run | None = None
        self._alone = False
        self._wary_until = self._patient_until = 0.0
        self._respite_until = 0.0
        self.wanted: tuple[str, str] | None = None  # (queue, id) of one that waits to run alone

    @property
    def running(self) -> bool:
        """A suspect runs: nothing should be prefetched."""
        return self._running is not None

    @property
    def wary(self) -> bool:
        """A suspect was seen a moment ago: the next claim should be of one job, lest most of it go back."""
        return self._running is None and self._shift.boot() < self._wary_until

    @property
    def closed(self) -> bool:
        """Nothing should be claimed: a suspect runs alone, or waits to."""
        if self.wanted and self._shift.boot() > self._patient_until:
            self.wanted, self._respite_until = None, self._shift.boot() + RESPITE
        return self.wanted is not None or (self._alone and self._running is not None)

    def sort(self, runs: Sequence[Run], busy: int) -> tuple[list[Run], list[Run]]:
        """Of a claim with suspects in it: (start, settle), what may start, and what is handed back or buried instead. `busy`: how many
        claims there are beside these."""
        self._wary_until = self._shift.boot() + WARY
        start: list[Run] = []
        settle: list[Run] = []
        for run in runs:
            deaths = run.lent.deaths
            if deaths >= DEADLY:
                settle.append(self._buried(run))
            elif not deaths:
                start.append(run)
            elif self._running or (deaths >= ALONE and busy and not self._wait_for(run)):
                settle.append(self._back(run, self._shy()))
            else:
                self._running, self._alone = run, deaths >= ALONE
                start.append(run)
        if self._alone and self._running in start:
            settle += [self._back(run, 0.0) for run in start if run is not self._running]
            start = [self._running] if self._running else []
        return start, settle

    def ended(self, run: Run) -> None:
        """A run has left the process."""
        if run is self._running:
            self._running, self._alone = None, False

    def _wait_for(self, run: Run) -> bool:
        """Note that it is to run alone as soon as nothing else does. Always False: not now."""
        now = self._shift.boot()
        if self.wanted is None and now >= self._respite_until:
            self.wanted, self._patient_until = (run.lent.job.queue, run.lent.job.id), now + PATIENCE
        return False

    def _shy(self) -> float:
        least, most = SHY
        if self._running is None or not self._running.started:
            return least
        return min(max(least, self._shift.boot() - self._running.started), most)

    def _back(self, run: Run, delay: float) -> Run:
        run.hand_back(delay)
        return run

    def _buried(self, run: Run) -> Run:
        now = self._shift.link.clock.now()
        attempt = Attempt(run.lent.attempt, now, now, self._shift.name, "lost", f"killed {run.lent.deaths} workers")
        run.end, run.handback = End.BURIED, Handback(run.lent.receipt, attempt=attempt)
        return run
