"""What a running job may know of itself: `current_claim`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..aio import facade
from ..claim import Claim
from ..durations import Duration, seconds
from ..handle import pack_progress
from ..options import PLAIN
from ..store import Ack
from ..unique import kept
from .lost import Lost

if TYPE_CHECKING:
    from ..worker.run import Run

running: ContextVar[Run | None] = ContextVar("ropeway_running", default=None)  # set by the worker, in a context of the job's own

_INSTEAD = {"ack": "return the result, or ack with tx=", "nack": 'raise RetryLater("1m"), or any error', "bury": 'raise Discard("why")'}


class TaskClaim(Claim[Any]):
    """The claim that a worker holds for the job now running: to look at, to extend, to tell progress by. The worker settles it."""

    __slots__ = ("lost", "run")

    def __init__(self, run: Run) -> None:
        super().__init__(run.shift.link, run.lent, lease=run.shift.lease)
        self.run = run
        self.lost = Lost(run)
        """True once another may hold the job: whatever this run does will not be recorded, and it should end. Also an event to wait on."""

    @staticmethod
    def of(run: Run) -> TaskClaim:
        """The run's claim; one object for as long as it runs."""
        if run.claim is None:
            run.claim = TaskClaim(run)
        claim: TaskClaim = run.claim
        return claim

    @property
    def stopping(self) -> bool:
        """The worker was told to stop: what does not end within its grace time is given back and run again."""
        return self.run.shift.stopping

    def progress(self, value: object) -> None:
        """Tell how far the run is, any small JSON value: a caller hears it at once, `Handle.progress` reads it."""
        super().progress(value)
        if self.run.caller is not None:
            from ..worker.replies import progressed

            progressed(self.run, pack_progress(value))

    async def aprogress(self, value: object) -> None:
        """The awaitable twin of `progress`."""
        await facade(self._link).call(self.progress, value)

    def over(self) -> None:
        """The run has ended: drop what it made."""
        self._drop_file()
        self._ended = self._ended or "end"

    def ack(self, result: object = None, *, keep: Duration | None = None, tx: Any = None) -> None:
        """Done, inside the transaction of the task's effects: needs `tx`. Commit, and return. The worker settles the job then all the
        same: what was committed stays as it is, and what was rolled back ends as the run does."""
        if tx is None:
            self._check("ack")
        super()._check("ack")
        body, content_type = (None, "") if result is None else (self.run.way or PLAIN.way()).results.encode(result)
        length = kept(self.job, self._link.clock.now()) if keep is None else seconds(keep, "keep")
        if not self._store(tx).ack([Ack(self.receipt, body, content_type, length)])[0]:
            self._lost("ack")
        self.run.doubt = True  # that the receipt is void when the worker settles alarms nobody

    def _check(self, verb: str) -> None:
        if verb in _INSTEAD:
            raise TypeError(f"the worker settles this job, so a task calls no {verb}: {_INSTEAD[verb]}; nothing was done")
        super()._check(verb)


def current_claim() -> TaskClaim | None:
    """The claim of the job that runs here, in this thread or asyncio task; None outside of a job, as in a plain call of the function."""
    run = running.get()
    return None if run is None else TaskClaim.of(run)
