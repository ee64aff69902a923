"""What becomes of a run that has ended: done, another try, or given up; with what its history should say."""

from __future__ import annotations

import os
from random import random
from types import TracebackType

from ..codec import encode_body
from ..durations import seconds, spoken
from ..errors import BadBody, BadValue, Discard, RetryLater
from ..failure import clean, one_line, traceback_of
from ..job import Attempt
from ..retry import DEADLY, DEFAULT, Retry
from ..store import Handback
from .replies import failed
from .run import NEVER, End, Run, Shift, Verdict

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Judge:
    """Fills in how a run ended. Called by the slot that ran it, once a run; a verdict that came first overrules what it says."""

    def __init__(self, shift: Shift, retry: Retry | None) -> None:
        self._shift = shift
        self._retry = retry  # None: as the configuration says of each queue

    def done(self, run: Run, value: object = None) -> None:
        """It returned `value`, which is kept if the job is."""
        if run.verdict and run.verdict is not Verdict.RETURNED:  # one that was to be given back, and made it, has made it
            return self.overruled(run)
        if value is not None and (run.lent.job.keep or run.caller is not None):
            try:
                run.result, run.result_type = (run.way.results.encode if run.way else encode_body)(value)
                most = self._shift.link.store.max_body
                if most is not None and len(run.result) > most:
                    raise BadBody(f"{len(run.result)} bytes, this engine takes {most}")
            except BadBody as error:
                run.result, run.result_type = None, ""
                what = "kept" if run.caller is None else "carried"
                return self.refused(run, f"it ended well, but its result cannot be {what}: {error}")
        run.end = End.DONE
        return None

    def raised(self, run: Run, error: BaseException) -> None:
        """It ended with an exception."""
        if run.caller is not None and not run.verdict:
            failed(run, error)
        if run.verdict:
            self.overruled(run)
        elif isinstance(error, RetryLater):
            self._snoozed(run, error)
        elif isinstance(error, Discard):
            self._over(run, "discarded", clean(error.reason))
        else:
            policy = self._policy(run)
            delay = policy.delay(run.lent.attempt, error, random)
            self._ended(run, delay, "failed", one_line(error), traceback_of(error.with_traceback(_outside(error))))

    def failed(self, run: Run, error: str, trace: str = "", *, outcome: str = "failed", least: float = 0.0) -> None:
        """It ended badly, with these words and no exception. `least`: seconds before another try, at least."""
        if run.verdict and outcome not in ("timeout", "killed"):
            return self.overruled(run)
        delay = self._policy(run).delay(run.lent.attempt, None, random)
        return self._ended(run, None if delay is None else max(delay, least), outcome, clean(error), trace)

    def crashed(self, run: Run, error: str, before: int) -> None:
        """The process that ran it ended under it, as `before` others did."""
        if not run.verdict and before + 1 >= DEADLY:
            return self._over(run, "crashed", f"{error}; so it was {before + 1} times")
        return self.failed(run, error, outcome="crashed")

    def again(self, run: Run, error: str, trace: str = "") -> None:
        """It asks for another try, however many there were: the back-off grows, the count ends nothing."""
        if run.verdict:
            return self.overruled(run)
        policy = self._policy(run)
        patient = Retry(run.lent.attempt + 1, base=policy.base, cap=policy.cap, factor=policy.factor, jitter=policy.jitter)
        return self._ended(run, patient.delay(run.lent.attempt, None, random), "returned", clean(error), trace)

    def refused(self, run: Run, error: str, trace: str = "") -> None:
        """No try will ever be better: given up at once."""
        if run.verdict:
            return self.overruled(run)
        return self._over(run, "failed", clean(error), trace)

    def overruled(self, run: Run) -> None:
        """A verdict was there first."""
        if run.verdict is Verdict.LOST:
            run.end = End.LOST
        elif run.verdict is Verdict.RETURNED:
            run.hand_back()
        elif run.verdict is Verdict.CANCELLED:
            run.end = End.CANCELLED
        elif run.verdict is Verdict.KILLED:
            self.failed(run, "killed by an operator", outcome="killed")
        else:
            allowed = run.deadline - run.started
            text = f"timed out after {spoken(allowed)}" if allowed < NEVER else "timed out"
            self.failed(run, text, outcome="timeout")

    def _policy(self, run: Run) -> Retry:
        if run.retry is not None:
            return run.retry
        if self._retry is not None:
            return self._retry
        settings = self._shift.link.settings_of(run.lent.job.queue)
        return settings.retry if settings else DEFAULT

    def _snoozed(self, run: Run, error: RetryLater) -> None:
        try:
            delay = seconds(error.delay, "delay")
        except BadValue as wrong:
            self._over(run, "failed", one_line(wrong), traceback_of(error))
            return
        run.end = End.SNOOZED
        run.handback = Handback(run.lent.receipt, delay, restore=True)

    def _ended(self, run: Run, delay: float | None, outcome: str, error: str, trace: str) -> None:
        if delay is None:
            self._over(run, outcome, error, trace)
            return
        run.end = End.RETRIED
        run.handback = Handback(run.lent.receipt, delay, self._attempt(run, outcome, error, trace))

    def _over(self, run: Run, outcome: str, error: str, trace: str = "") -> None:
        run.end = End.BURIED
        run.handback = Handback(run.lent.receipt, attempt=self._attempt(run, outcome, error, trace))

    def _attempt(self, run: Run, outcome: str, error: str, trace: str) -> Attempt:
        shift = self._shift
        now = shift.link.clock.now()
        lasted = shift.boot() - run.started if run.started else 0.0
        return Attempt(run.lent.attempt, now - lasted, now, shift.name, outcome, error, trace, _logged(run))


def _logged(run: Run) -> str:
    """What it has logged; nothing was imported for a run that has not."""
    if run.log is None:
        return ""
    from .notebook import as_text

    return as_text(run.log)


def _outside(error: BaseException) -> TracebackType | None:
    """The error's traceback from the first frame that is not ours: how we came to call the task is of no use to its author."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return trace or error.__traceback__
