"""Running jobs in the thread that asks for it, one at a time, through the same steps as a worker: for tests, and for inline mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ..claim import sound
from ..errors import RemoteError, Timeout
from ..handle import Handle
from ..job import Job
from ..link import Link
from ..retry import Retry
from ..store import Lent
from .execution import TaskWork
from .journal import Counters, Journal
from .judge import Judge
from .replies import attend, begun
from .run import End, Run, Shift, Verdict
from .settler import Settler
from .telling import Teller

if TYPE_CHECKING:
    from ..tasks import Tasks

LEASE = 86400.0  # nobody renews it: it must outlast the run


class Here:
    """Claims that are run where they are. May be used from several threads, and by a job that is run so itself."""

    def __init__(self, link: Link, tasks: Tasks, retry: Retry | None = None) -> None:
        self._link = link
        self._shift = shift = Shift(link, LEASE)
        shift.post = lambda job: all(link.store.put((job,)))
        self._judge = _Listening(shift, retry)
        self.journal = Journal(shift, Counters())
        self.journal.ended = _Told(tasks, self, self.journal.warn).ended
        self._work = TaskWork(tasks, self._judge, lambda _: None)

    def run(self, lent: Lent) -> tuple[Run, BaseException | None]:
        """Run this claim and settle it; the run, and what it raised. What is no job's to raise (KeyboardInterrupt, a test's own end) goes
        on from here, when the job is settled."""
        run = Run(lent, self._shift, self._shift.boot())
        run.lent.until = run.lent.until or run.taken + LEASE
        attend((run,))
        self._judge.errors.pop(id(run), None)
        run.started = self._shift.boot()
        begun(run)
        copy_context().run(self._work, run)
        run.ended = self._shift.boot()
        error = self._judge.errors.pop(id(run), None)
        settler = Settler(self._shift, self.journal, lambda _: None)
        settler.add((run,))
        settler.settle()
        if error is not None and not isinstance(error, Exception) and not run.verdict:
            raise error
        return run, error

    def claim(self, queues: Sequence[str], limit: int = 1) -> list[Lent]:
        """Up to so many due jobs, as a worker claims them. Raises Stopped when all of the queues are switched off."""
        return sound(self._link, self._link.store.claim(queues, limit, LEASE, self._link.holder()))

    def put(self, jobs: Iterable[Job], handles: Iterable[Handle[Any]]) -> None:
        """These were just put: run those that are due, and raise what the first one raised that failed. One that its lane or a limit holds
        up stays where it is."""
        failed: BaseException | None = None
        for job, handle in zip(jobs, handles, strict=True):
            if job.delay or not handle.created:
                continue
            lent = self._link.store.pick(job.queue, (job.id,), LEASE, self._link.holder())[0]
            if lent is None:
                continue
            run, error = self.run(lent)
            told = run.caller is not None and run.end is End.BURIED  # then the answer of the call says it
            if failed is None and run.end in (End.RETRIED, End.BURIED) and not told:
                failed = _as_error(run, error)
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Let go of what the runs needed: an event loop, if one of them was `async def`."""
        self._work.close()


class _Listening(Judge):
    """A judge that remembers what was raised, by the run."""

    def __init__(self, shift: Shift, retry: Retry | None) -> None:
        super().__init__(shift, retry)
        self.errors: dict[int, BaseException] = {}

    def raised(self, run: Run, error: BaseException) -> None:
        self.errors[id(run)] = error
        super().raised(run, error)


class _Told(Teller):
    """Hooks that are called where the run has ended."""

    def _later(self, name: str, hooks: tuple[Any, ...], given: Any) -> None:
        self._call(name, hooks, given)


def _as_error(run: Run, error: BaseException | None) -> BaseException:
    attempt = run.handback.attempt if run.handback else None
    text = f"job {run.lent.job.id} failed: {attempt.error if attempt else run.end.name.lower()}"
    if run.verdict is Verdict.TIMEOUT:
        return Timeout(text)
    return error or RemoteError(text)
