"""A task's run, as a pipe of named steps: find, decode, middleware, call, judge. (The step before, expire, is every slot's own.)"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..calls.wire import Failure
from ..codecs import Way
from ..errors import BadBody, BadValue, StoreError
from ..failure import one_line
from ..job import JSON
from ..middleware import compose
from ..names import shown
from ..options import PLAIN
from ..tasks import Task, TaskClaim, Tasks
from ..tasks.context import running
from .judge import Judge
from .replies import runnable
from .run import End, Run, Verdict

if TYPE_CHECKING:
    from .background import Background
    from .timeouts import Watchman


class Work(Protocol):
    """What a slot does with a run: called in the slot's thread, by several at once; fills in how the run ended and raises nothing. While
    it goes on, `run.stop` may hold a way of ending it from beside."""

    def __call__(self, run: Run) -> None: ...

    def close(self) -> None:
        """The worker ends: let go of everything."""
        ...


class Runner(Protocol):
    """What runs jobs in the slots of a worker in place of tasks: a command, the command lines that are jobs, a sender of webhooks."""

    def work(self, judge: Judge) -> Work:
        """What each slot does with a run."""
        ...


class Bound:
    """A task as this worker runs it: all that depends on the task alone, made when it is first met."""

    __slots__ = ("arguments", "batching", "call", "decode", "retry")

    def __init__(self, task: Task[..., Any, Any], decode: Callable[[Run, bytes], Any], call: Callable[[Run], Any]) -> None:
        self.decode = decode
        self.call = call
        self.retry = task.retry
        self.arguments = task.arguments
        self.batching = task.batching


class TaskWork:
    """Runs the tasks of a registry. `stuck` is told of a run that neither ended at its timeout nor could be made to."""

    def __init__(self, tasks: Tasks, judge: Judge, stuck: Callable[[Run], None]) -> None:
        self._tasks = tasks
        self._judge = judge
        self._stuck = stuck
        self._bound: dict[str, Bound] = {}
        self._watchman: Watchman | None = None
        self._background: Background | None = None
        self._check()

    def __call__(self, run: Run) -> None:
        try:
            bound = self._bound.get(run.lent.job.task) or self._find(run)
            if bound is None:
                return
            if bound.batching is not None:
                self.batch((run,))
            elif self._decode(run, bound):
                self._call(run, bound)
        except BaseException as error:  # noqa: BLE001 - a fault of ours must not end the slot and leave the job without a word
            self._judge.raised(run, error)

    def batch(self, runs: Sequence[Run]) -> None:
        """One call for all, each settled by itself. The first leads: it is whose claim the middleware sees."""
        fit: list[Run] = []
        try:
            bound = self._bound.get(runs[0].lent.job.task) or self._find(runs[0])
            if bound is None:
                for run in runs[1:]:
                    self._find(run)
                return
            fit = self._gathered(runs, bound)
            if fit:
                running.set(fit[0])
                self._settled(fit, bound, bound.call(fit[0]))
        except BaseException as error:  # noqa: BLE001 - whatever it raises is the failure of all that have not ended
            self._all_raised(fit or runs, error)
        for run in fit:
            self._over(run)

    def close(self) -> None:
        if self._background is not None:
            self._background.close()

    # Several at once

    def _gathered(self, runs: Sequence[Run], bound: Bound) -> list[Run]:
        """Those whose arguments fit; the first of them has the list for the call."""
        batching = bound.batching
        assert batching is not None
        fit = [run for run in runs if self._decode(run, bound)]
        if fit:
            fit[0].given = [TaskClaim.of(run) if batching.of_claims else batching.item(bound.arguments, run.given) for run in fit]
        return fit

    def _settled(self, runs: Sequence[Run], bound: Bound, answer: Any) -> None:
        assert bound.batching is not None
        if runs[0].verdict is Verdict.TIMEOUT:
            raise TimeoutError
        for run, result in zip(runs, bound.batching.results(answer, len(runs)), strict=True):
            if isinstance(result, BaseException):
                self._judge.raised(run, result)
            else:
                self._judge.done(run, result)

    def _all_raised(self, runs: Sequence[Run], error: BaseException) -> None:
        first = runs[0]
        for run in runs:
            if run.end is End.OPEN:
                if first.verdict in (Verdict.TIMEOUT, Verdict.RETURNED):  # what ended the call ended it for all
                    run.verdict, run.deadline = run.verdict or first.verdict, first.deadline
                self._judge.raised(run, error)

    # The steps

    def _find(self, run: Run) -> Bound | None:
        name = run.lent.job.task
        task = self._tasks.get(name)
        if task is None:
            what = f"no task {shown(name)} is registered with this worker" if name else "the job names no task, and this worker runs tasks"
            text = f"{what}; it was not run. Register the task, or have another worker take this queue, then requeue"
            run.failure = Failure(["UnknownTask"], text)
            self._judge.refused(run, text)
            return None
        try:
            bound = Bound(task, self._reader(task), self._through_middleware(task, self._caller(task)))
        except BadValue as error:
            self._judge.refused(run, one_line(error))
            return None
        self._bound[name] = bound
        return bound

    def _decode(self, run: Run, bound: Bound) -> bool:
        job, run.retry = run.lent.job, bound.retry
        try:
            run.given = bound.decode(run, job.body if job.source is None else job.source.read())
            return True
        except BadBody as error:
            self._judge.refused(run, one_line(error))
        except (OSError, StoreError) as error:  # a body that is kept beside the job
            self._judge.raised(run, error)
        return False

    def _call(self, run: Run, bound: Bound) -> None:
        running.set(run)
        try:
            value = bound.call(run)
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is the job's; the slot goes on
            self._judge.raised(run, error)
        else:
            self._judge.done(run, value)
        self._over(run)

    @staticmethod
    def _over(run: Run) -> None:
        run.given = run.stop = None
        if run.claim is not None:
            run.claim.over()
            run.claim = None

    # Made once a task

    def _reader(self, task: Task[..., Any, Any]) -> Callable[[Run, bytes], Any]:
        """What decodes the arguments, by the codec of the task or of the job's queue."""
        plain, ways = task.arguments.decode, dict[str, Way]()

        def read(run: Run, body: bytes) -> Any:
            job = run.lent.job
            way = ways.get(job.queue)
            if way is None:
                way = ways[job.queue] = task.way(run.shift.link.settings_of(job.queue) or PLAIN)
            if way.plain and job.content_type == JSON:
                return plain(body)
            run.way = way
            return task.read(body, job.content_type, way)

        return read

    def _check(self) -> None:
        """Raises BadValue for what cannot go around runs here."""
        self._tasks.check_plain()

    def _through_middleware(self, task: Task[..., Any, Any], call: Callable[[Run], Any]) -> Callable[[Run], Any]:
        layers = self._tasks.around(task)
        if not layers:
            return call
        chain = compose(layers, lambda claim: call(claim.run))
        return lambda run: chain(TaskClaim.of(run))

    def _caller(self, task: Task[..., Any, Any]) -> Callable[[Run], Any]:
        from inspect import iscoroutinefunction

        function, apply, timeout = runnable(task.function), applied(task), task.timeout
        if iscoroutinefunction(function):
            return self._timed(timeout, lambda run: self._loop().run(run, apply(function, run.given)))
        if timeout is None:
            return lambda run: apply(function, run.given)
        return self._timed(timeout, lambda run: self._guard().call(run, lambda: apply(function, run.given)))

    def _timed(self, timeout: float | None, call: Callable[[Run], Any]) -> Callable[[Run], Any]:
        if timeout is None:
            return call

        def timed(run: Run) -> Any:
            run.deadline = run.started + timeout
            return call(run)

        return timed

    def _loop(self) -> Background:
        if self._background is None:
            from .background import Background

            self._background = Background()  # two slots at once may make two: the one left over has nothing to do
        return self._background

    def _guard(self) -> Watchman:
        if self._watchman is None:
            from .timeouts import Watchman

            self._watchman = Watchman(self._stuck)
        return self._watchman


def applied(task: Task[..., Any, Any]) -> Callable[[Callable[..., Any], Any], Any]:
    """How its function is called with what `given` holds: the arguments of one job, or the list for several."""
    return _with_list if task.batch is not None else task.arguments.call


def _with_list(function: Callable[..., Any], given: Any) -> Any:
    return function(given)
