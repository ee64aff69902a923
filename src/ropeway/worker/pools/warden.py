"""The warden: who must end, and what becomes of the jobs of a child that has.

Numbers are given to jobs in the order in which they are sent, and each child works in that order, so its cell tells of a dead one which job
it was in: that one is charged. Those before it have ended without a word and are charged with that; those after it had not begun, and go
back uncounted.
"""

from __future__ import annotations

from collections.abc import Callable

from ..judge import Judge
from ..process import ended
from ..run import NEVER, Run, Shift, Verdict
from .clerk import Clerk
from .crew import Crew
from .groups import Groups
from .kid import STALLED, Kid

TICK = 0.05  # between two looks at runs with a timeout, while it is not known when it is over
TO_END = 1.0  # seconds from SIGTERM to SIGKILL
TO_END_LOST = 2.0


class Warden:
    """Used by the hub's thread. `limits`: seconds that a run may take, by task. `recall` asks a child for what it has not begun, which goes
    to another then; `report` is for runs that have ended."""

    def __init__(
        self,
        crew: Crew,
        shift: Shift,
        judge: Judge,
        groups: Groups,
        clerk: Clerk,
        limits: dict[str, float],
        recall: Callable[[Kid], None],
        report: Callable[[Run], None],
    ) -> None:
        self._crew = crew
        self._shift = shift
        self._judge = judge
        self._groups = groups
        self._clerk = clerk
        self._limits = limits
        self._recall = recall
        self._report = report

    # How a run ends that no child ends

    def give_back(self, run: Run) -> None:
        """It has not begun, or not by its own fault not ended: uncounted."""
        run.started = 0.0
        if run.verdict:
            self._judge.overruled(run)
        else:
            run.hand_back()
        run.ended = self._shift.boot()
        self._report(run)

    def overrule(self, run: Run) -> None:
        """Its verdict stands."""
        self._judge.overruled(run)
        run.ended = self._shift.boot()
        self._report(run)

    # Those that are to end

    def stop(self, run: Run) -> None:
        """End this one, whose verdict stands: ask it first, so that it can tidy up, and kill its child when it does not."""
        for kid in self._crew.kids:
            for number, one in kid.outstanding.items():
                if one is not run:
                    continue
                if kid.group is not None:
                    if not kid.group.agreed():
                        return  # the others go on
                    number, run = next(iter(kid.outstanding.items()))
                if kid.cell.begun()[0] != number:
                    self._recall(kid)
                elif run.verdict is Verdict.TIMEOUT:
                    kid.kill()
                elif kid.kill_at == NEVER:
                    kid.cell.tell(number, run.verdict)
                    kid.terminate()
                    kid.kill_at = self._shift.boot() + (TO_END_LOST if run.verdict is Verdict.LOST else TO_END)
                return

    def look(self, now: float) -> float:
        """See to whoever is late, and to jobs that wait behind a long one while another child could have them; when to look again."""
        until = NEVER
        waiting = False
        for kid in self._crew.kids:
            if now >= kid.kill_at:
                kid.kill_at = NEVER
                kid.kill()
            until = min(until, kid.kill_at)
            if not kid.outstanding or kid.killed:
                continue
            if self._limits:
                until = min(until, self._time(kid, now))
            if kid.pending:
                waiting = True
        if waiting:
            if any(not kid.stalled(now) for kid in self._crew.fit()):
                for kid in self._crew.kids:
                    if kid.pending and kid.stalled(now):
                        self._recall(kid)
            until = min(until, now + STALLED)
        return until

    def _time(self, kid: Kid, now: float) -> float:
        """The deadline of what this child is in: SIGKILL when it is over, once two looks have agreed on it."""
        number, start = kid.cell.begun()
        run = kid.outstanding.get(number)
        limit = None if run is None else self._limits.get(run.lent.job.task)
        if run is None or limit is None:
            return now + TICK
        run.deadline = start + limit
        if now < run.deadline:
            kid.late = 0
            return run.deadline + 0.0005
        if kid.late != number:
            kid.late = number
            return now + 0.001
        for one in kid.outstanding.values() if kid.batch else (run,):
            one.started, one.deadline = start, run.deadline
            one.verdict = one.verdict or Verdict.TIMEOUT
        kid.kill()
        return NEVER

    # The dead

    def bury(self, kid: Kid) -> None:
        """This child has ended: every job that it had is accounted for, and charged at most once."""
        code = self._crew.bury(kid, self._shift.boot())
        current, start = kid.cell_at_death
        batch = len(kid.outstanding) if kid.batch and current in kid.outstanding else 1
        for number, run in list(kid.outstanding.items()):
            if number == current:
                run.started = start
            if run.verdict:
                self.overrule(run)
            elif number < current:
                run.started = run.started or start
                self._judge.failed(run, f"its process ended ({ended(code)}) before it could say how it had gone", outcome="lost")
                run.ended = self._shift.boot()
                self._report(run)
            elif current <= number < current + batch and not kid.killed:
                self._charge(run, code, alone=batch == 1)
            else:
                self.give_back(run)
        kid.outstanding.clear()
        kid.over()

    def _charge(self, run: Run, code: int, *, alone: bool) -> None:
        """The process ended under this job. How often that has happened is asked of the store, beside the hub. One of a batch is charged
        like the others, but not buried for it: from now on it goes alone, so that it shows which of them it was."""
        if not alone:
            self._groups.set_apart(run)

        def errand() -> None:
            self._judge.crashed(run, f"its process ended: {ended(code)}", self._clerk.crashes(run) if alone else 0)
            run.ended = self._shift.boot()
            self._report(run)

        self._clerk.send(errand)
