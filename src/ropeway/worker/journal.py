"""What a worker tells of itself: counters, events for those who listen, and log lines. Nothing here is needed for a job to be safe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ..events import Event, tell
from .run import UNCOUNTED, End, Run, Shift

if TYPE_CHECKING:
    from logging import Logger


class Counters(Struct):
    """What became of the claims. Each run is counted once, when the store has answered."""

    done: int = 0
    failed: int = 0  # runs that ended badly: the retried, and the buried that had run
    retried: int = 0
    buried: int = 0  # ended dead, also without having run
    lost: int = 0  # another held the job by the time: nothing was settled
    expired: int = 0  # not started: the lease or the ttl ran out in the hand
    returned: int = 0  # handed back uncounted
    ran: int = 0  # all that were started and not handed back
    claimed: int = 0  # all that were claimed to be run


class Journal:
    """Counts, and tells. Used by the ferry and, for single lines, by the keeper. `ended` is told of the runs that a hook may wait for."""

    def __init__(self, shift: Shift, counters: Counters) -> None:
        self.counters = counters
        self.ended: Callable[[str, Sequence[Run]], None] = lambda *_: None
        self.count: Callable[[Sequence[Run], bool], None] = lambda *_: None  # for the history: what is over, and whether it was lost
        self._shift = shift

    def taken(self, runs: Sequence[Run]) -> None:
        """These were claimed and may start."""
        self.counters.claimed += len(runs)
        self._tell("started", runs)

    def settled(self, runs: Sequence[Run]) -> None:
        """The store has taken these outcomes."""
        counters = self.counters
        for end, group in _by_end(runs).items():
            count = len(group)
            if end is End.DONE:
                counters.done += count
            elif end is End.RETRIED:
                counters.retried += count
                counters.failed += count
                self._tell("retried", group)
                self.ended("on_retry", group)
            elif end is End.BURIED:
                counters.buried += count
                counters.failed += sum(1 for run in group if run.started)
                self._tell("buried", group)
                self._warn_buried(group)
                self.ended("on_failure", group)
            elif end is End.RETURNED:
                counters.returned += count
                if stale := [run for run in group if run.stale]:
                    counters.expired += len(stale)
                    self._tell("expired", stale)
            if end not in UNCOUNTED:
                counters.ran += len([1 for run in group if run.started])
        if self._shift.link.listeners:
            self._tell("ended", [run for run in runs if run.started])
        self.count(runs, False)
        self._debug(runs)

    def lost(self, runs: Sequence[Run]) -> None:
        """The store refused these outcomes: the claims were void."""
        self.counters.lost += len(runs)
        self.counters.ran += sum(1 for run in runs if run.started)
        self._tell("lost", runs)
        self.count(runs, True)
        self.ended("on_lost", [run for run in runs if run.started])
        run, more = runs[0], f"; so it is with {len(runs) - 1} more" if len(runs) > 1 else ""
        self.warn(
            "job %s of queue %s: its lease was lost, another may have run it; what this run came to (%s) was not recorded%s",
            *(run.lent.job.id, run.lent.job.queue, run.end.name.lower(), more),
            about=_about(run, "lost") | {"count": len(runs)},
        )

    def tell(self, name: str, *, queue: str = "", count: int = 1, detail: str = "", error: str = "") -> None:
        """An event that is about no run."""
        if listeners := self._shift.link.listeners:
            tell(listeners, Event(name, queue, count, detail=detail, error=error))

    def warn(self, text: str, *args: object, about: dict[str, object] | None = None) -> None:
        """A line that somebody should see; `about`: the same in fields, for a log in JSON. Imports logging: this is never the good case."""
        import logging

        logging.getLogger("ropeway.worker").warning(text, *args, extra={"about": about} if about else None)

    def _tell(self, name: str, runs: Sequence[Run]) -> None:
        listeners = self._shift.link.listeners
        if not listeners or not runs:
            return
        queues: dict[str, list[Run]] = {}
        for run in runs:
            queues.setdefault(run.lent.job.queue, []).append(run)
        for queue, group in queues.items():
            seconds = sum(run.ended - run.started for run in group if run.started and run.ended)
            attempt = group[0].handback.attempt if group[0].handback else None
            ids = tuple(run.lent.job.id for run in group)
            tell(listeners, Event(name, queue, len(group), seconds, attempt.error if attempt else "", ids))

    def _warn_buried(self, runs: Sequence[Run]) -> None:
        """One line a batch, however many there are: a queue that is all wrong must not drown its worker in words."""
        job, handback = runs[0].lent.job, runs[0].handback
        what = f" ({job.task})" if job.task else ""
        more = f"; and {len(runs) - 1} more" if len(runs) > 1 else ""
        error = handback.attempt.error if handback and handback.attempt else ""
        about = _about(runs[0], "dead") | {"error": error, "count": len(runs)}
        self.warn("job %s%s of queue %s is dead: %s%s", job.id, what, job.queue, error, more, about=about)

    def _debug(self, runs: Sequence[Run]) -> None:
        """A line a job, if anybody asked for it: whoever did has imported logging."""
        logging = sys.modules.get("logging")
        if logging is None:
            return
        log: Logger = logging.getLogger("ropeway.worker")
        if log.isEnabledFor(10):
            for run in runs:
                job = run.lent.job
                log.debug(
                    "job %s%s of queue %s: %s in %.3f s, attempt %d",
                    *(job.id, f" ({job.task})" if job.task else "", job.queue, run.end.name.lower()),
                    *(run.ended - run.started if run.started else 0.0, run.lent.attempt),
                    extra={"about": _about(run, run.end.name.lower())},
                )


def _by_end(runs: Sequence[Run]) -> dict[End, Sequence[Run]]:
    """The runs by how they ended: mostly all alike, and that is told cheaply."""
    first = runs[0].end
    if len({run.end for run in runs}) == 1:
        return {first: runs}
    out: dict[End, list[Run]] = {}
    for run in runs:
        out.setdefault(run.end, []).append(run)
    return {**out}


def _about(run: Run, outcome: str) -> dict[str, object]:
    """A run, in the fields of a log line."""
    job = run.lent.job
    seconds = round(run.ended - run.started, 6) if run.started and run.ended else 0.0
    return {"job": job.id, "queue": job.queue, "task": job.task, "attempt": run.lent.attempt, "outcome": outcome, "seconds": seconds}
