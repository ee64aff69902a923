"""What a worker's runs came to, for the history: counted batch by batch, when the store has answered."""

from __future__ import annotations

from collections.abc import Sequence

from ..history.tally import Now, Tally
from ..link import Link
from .run import End, Run


class Accounts:
    """Counts into the tally of one worker. Called by the ferry: it must cost next to nothing a job."""

    def __init__(self, link: Link, tally: Tally) -> None:
        self._clock = link.clock
        self._tally = tally

    def count(self, runs: Sequence[Run], lost: bool) -> None:
        """These are over. `lost`: the store would not hear of how."""
        clock, tally = self._clock, self._tally
        with tally.lock:
            tally.turn()
            wall = clock.now() - clock.boot()  # from the boot clock of a run to the moments of jobs
            queue, task, now = "", "", None
            for run in runs:
                job, started = run.lent.job, run.started
                if now is None or job.task != task or job.queue != queue:
                    queue, task = job.queue, job.task
                    now = tally.cell(queue, task)
                    ran, waited = now.runs.append, now.waits.append
                if started and run.end is End.DONE and not lost:  # nearly all are
                    now.done += 1
                    ran(run.ended - started)
                    waited(started - job.due + wall)
                else:
                    _otherwise(run, now, lost, wall)


def _otherwise(run: Run, now: Now, lost: bool, wall: float) -> None:
    if lost:
        now.lost += 1
    elif run.end is End.DONE:
        now.done += 1
    elif run.end is End.RETRIED:
        now.failed += 1
    elif run.end is End.BURIED:
        now.dead += 1
    elif run.stale:
        now.expired += 1
    else:
        now.returned += 1
    if run.started and run.ended and run.end is not End.RETURNED:
        now.runs.append(run.ended - run.started)
        now.waits.append(run.started - run.lent.job.due + wall)
