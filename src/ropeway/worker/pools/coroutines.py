"""A task's run in the event loop: the same steps as in a thread, awaited. Plain functions are called in a thread beside the loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ...middleware import compose_awaited
from ...tasks import Task, TaskClaim, Tasks
from ...tasks.context import running
from ..execution import TaskWork, applied
from ..judge import Judge
from ..replies import runnable
from ..run import Run
from .aside import Aside

Awaited = Callable[[Run], Coroutine[Any, Any, Any]]


class LoopWork(TaskWork):
    """Runs the tasks of a registry. `timed` is told of a coroutine with a deadline, `stuck` of a thread that did not end at its own."""

    def __init__(self, tasks: Tasks, judge: Judge, stuck: Callable[[Run], None], timed: Callable[[Run], None]) -> None:
        super().__init__(tasks, judge, stuck)
        self._timed_run = timed
        self._aside = Aside()
        self.beside: set[int] = set()  # the id() of each run that is in a thread, and so cannot be cancelled

    async def drive(self, run: Run) -> None:
        """Do the run, in a context of its own; fills in how it ended and raises nothing."""
        running.set(run)
        try:
            bound = self._bound.get(run.lent.job.task) or self._find(run)
            if bound is None:
                return
            if bound.batching is not None:
                await self.drive_batch((run,))
                return
            if run.lent.job.source is None:
                decoded = self._decode(run, bound)
            else:
                decoded = await self._aside.call(lambda: self._decode(run, bound))
            if not decoded:
                return
            value = await bound.call(run)
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is the job's; the loop goes on
            self._judge.raised(run, error)
        else:
            self._judge.done(run, value)
        self._over(run)

    async def drive_batch(self, runs: Sequence[Run]) -> None:
        """The same for several runs of one task that takes several."""
        fit: list[Run] = []
        try:
            bound = self._bound.get(runs[0].lent.job.task) or self._find(runs[0])
            assert bound is not None
            fit = await self._aside.call(lambda: self._gathered(runs, bound)) if _beside(runs) else self._gathered(runs, bound)
            if fit:
                running.set(fit[0])
                self._settled(fit, bound, await bound.call(fit[0]))
        except BaseException as error:  # noqa: BLE001 - whatever it raises is the failure of all that have not ended
            self._all_raised(fit or runs, error)
        for run in fit:
            self._over(run)

    def close(self) -> None:
        super().close()
        self._aside.close()

    def _check(self) -> None:
        """Both kinds of middleware are fine here."""

    def _through_middleware(self, task: Task[..., Any, Any], call: Awaited) -> Awaited:
        layers = self._tasks.around(task, awaited=True)
        if not layers:
            return call
        chain = compose_awaited(layers, lambda claim: call(claim.run))
        return lambda run: chain(TaskClaim.of(run))

    def _caller(self, task: Task[..., Any, Any]) -> Awaited:
        from inspect import iscoroutinefunction

        function, apply, timeout = runnable(task.function), applied(task), task.timeout
        if not iscoroutinefunction(function):
            return self._in_thread(function, apply, timeout)
        if timeout is None:
            return lambda run: apply(function, run.given)

        def timed(run: Run) -> Any:
            run.deadline = run.started + timeout
            self._timed_run(run)
            return apply(function, run.given)

        return timed

    def _in_thread(self, function: Callable[..., Any], apply: Callable[..., Any], timeout: float | None) -> Awaited:
        async def call(run: Run) -> Any:
            self.beside.add(id(run))
            try:
                if timeout is None:
                    return await self._aside.call(lambda: apply(function, run.given))
                run.deadline = run.started + timeout
                return await self._aside.call(lambda: self._guard().call(run, lambda: apply(function, run.given)))
            finally:
                self.beside.discard(id(run))

        return call


def _beside(runs: Sequence[Run]) -> bool:
    """Whether a body must be read from a disk, which the loop does not wait for."""
    return any(run.lent.job.source is not None for run in runs)
