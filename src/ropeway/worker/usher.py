"""Who may start, of what was claimed: command lines only where they are allowed, and jobs that come after others when those have ended.

What may not start goes back, uncounted. A job that waits for others is looked at again when one of those queues rings an end, and at the
latest when its delay is over; nothing is remembered that a crash could lose. A job that this worker does not take is left to others, for
longer each time; a worker that takes it fetches it back at once when it starts.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ..errors import RopewayError
from ..failure import one_line
from ..job import Attempt, Job, State
from ..names import ended, matching
from ..shell.after import Turn, comes_after, turns
from ..shell.command import CONTENT_TYPE
from ..store import Query
from .journal import Journal
from .judge import Judge
from .run import Run, Shift

NO_COMMANDS = "this worker runs no command lines; it is left to one that was started with --allow-commands"
ONLY_COMMANDS = "this worker runs nothing but command lines; it is left to one for such jobs"
FIRST, LONGEST = 0.25, 60.0  # seconds until a job comes back, doubled each time
MOST = 10_000  # jobs that are remembered
WARN_EACH = 60.0


class Waiting(Struct):
    """A job that was given back: how often, and for which jobs (queue, id) it waits."""

    queue: str
    times: int = 0
    open: tuple[tuple[str, str], ...] = ()


class Usher:
    """Used by the ferry alone. `commands`: shell jobs may run here; `others`: and so may all else."""

    def __init__(self, shift: Shift, journal: Journal, judge: Judge, *, commands: bool, others: bool = True) -> None:
        self._shift = shift
        self._journal = journal
        self._judge = judge
        self.commands = commands
        self.others = others
        self._waiting: dict[str, Waiting] = {}
        self._warned = -WARN_EACH

    def opened(self, patterns: Sequence[str]) -> None:
        """Before the first claim: what other workers had to leave is fetched back, if it may run here."""
        if not self.commands:
            return
        store = self._shift.link.store
        try:
            if queues := matching(patterns, store.queues()):
                store.requeue(Query(queues=tuple(queues), states=frozenset({State.DELAYED}), error=NO_COMMANDS, limit=None))
        except RopewayError as error:
            self._journal.warn("what other workers left could not be looked for, and comes back by itself: %s", one_line(error))

    def admit(self, runs: list[Run]) -> tuple[list[Run], list[Run]]:
        """Those that may start, and those that must be settled."""
        if self.others:
            for run in runs:
                job = run.lent.job
                if job.content_type == CONTENT_TYPE or (job.headers and comes_after(job)):
                    break
            else:
                return runs, []
        start: list[Run] = []
        back: list[Run] = []
        for run in runs:
            (start if self._takes(run.lent.job) else back).append(run)
        for run in back:
            self._leave(run)
        return self._in_turn(start, back)

    # What is not taken here

    def _takes(self, job: Job) -> bool:
        return self.commands if job.content_type == CONTENT_TYPE else self.others

    def _leave(self, run: Run) -> None:
        text = ONLY_COMMANDS if self.commands else NO_COMMANDS
        now, shift = self._shift.link.clock.now(), self._shift
        run.hand_back(self._pause(run.lent.job))
        assert run.handback is not None
        run.handback.attempt = Attempt(run.lent.attempt, now, now, shift.name, "returned", text)
        if shift.boot() - self._warned >= WARN_EACH:
            self._warned = shift.boot()
            self._journal.warn("job %s of queue %s: %s", run.lent.job.id, run.lent.job.queue, text)

    # What comes after others

    def _in_turn(self, runs: list[Run], back: list[Run]) -> tuple[list[Run], list[Run]]:
        later = [run for run in runs if comes_after(run.lent.job)]
        if not later:
            return runs, back
        try:
            found = turns(self._shift.link.store, [run.lent.job for run in later])
        except RopewayError:  # nothing starts that might have to wait
            found = {}
        start = [run for run in runs if not comes_after(run.lent.job)]
        for run in later:
            turn = found.get(run.lent.job.id, Turn(open=(("", ""),)))
            if turn.never:
                self._judge.refused(run, turn.never)
                back.append(run)
            elif turn.open:
                run.hand_back(self._pause(run.lent.job, turn.open))
                back.append(run)
            else:
                self._waiting.pop(run.lent.job.id, None)
                start.append(run)
        return start, back

    @property
    def ends(self) -> tuple[str, ...]:
        """The queues whose ends are worth a look, as `Store.wait` takes them."""
        if not self._waiting:
            return ()
        return tuple(sorted({ended(queue) for waiting in self._waiting.values() for queue, _ in waiting.open if queue}))

    def look(self) -> bool:
        """Something may have ended: whether a job that waits here may start now. It is ready then."""
        waiting = {job_id: one for job_id, one in self._waiting.items() if one.open}
        if not waiting:
            return False
        store, ids = self._shift.link.store, {one for each in waiting.values() for _, one in each.open}
        there = store.browse(Query(ids=tuple(sorted(ids)), limit=None))
        still = {entry.job.id for entry in there if entry.state not in (State.DONE, State.DEAD)}
        free = {job_id: one for job_id, one in waiting.items() if not all(of in still for _, of in one.open)}
        for queue in {one.queue for one in free.values()}:
            ids = {job_id for job_id, one in free.items() if one.queue == queue}
            store.requeue(Query(queues=(queue,), ids=tuple(sorted(ids)), states=frozenset({State.DELAYED}), limit=None))
        for job_id in free:
            del self._waiting[job_id]
        return bool(free)

    def _pause(self, job: Job, open_: tuple[tuple[str, str], ...] = ()) -> float:
        """How long until it comes back by itself."""
        waiting = self._waiting.pop(job.id, None) or Waiting(job.queue)
        while len(self._waiting) >= MOST:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[job.id] = waiting
        waiting.times += 1
        waiting.open = open_
        return float(min(LONGEST, FIRST * 2 ** min(waiting.times, 20)))
