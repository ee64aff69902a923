"""`concurrent.futures.Executor` over a queue: what is submitted is put as a job, workers anywhere run it, and the future hears of its end.

The futures are those of the standard library, so `wait`, `as_completed` and `loop.run_in_executor` work on them. Nothing is polled: one
sleeper for the whole process hears of ends (calls/endings.py). The futures are then told by a thread of the executor's own, since what is
called back there may take its time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import ExitStack
from itertools import islice
from queue import SimpleQueue
from time import monotonic
from typing import Any, ParamSpec, TypeVar, cast, overload

from .calls.endings import Waiter, of
from .durations import Duration, seconds
from .errors import BadValue
from .handle import Handle
from .job import WAITING, State
from .link import Link
from .names import check_name
from .store import Entry, Query
from .tasks import Task, Tasks

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")

KEEP = 3600.0  # seconds that a result waits for its future


class JobFuture(Future[T]):
    """The future of one job. `handle` is the job."""

    def __init__(self, handle: Handle[T], link: Link) -> None:
        super().__init__()
        self.handle = handle
        self._link = link
        self._deciding = threading.RLock()  # between being cancelled and being told of the end

    def cancel(self) -> bool:
        """Take the job back, if no worker has it yet. False: it runs, or has ended. (`handle.cancel()` asks a running one to stop.)"""
        with self._deciding:
            if self.done():
                return super().cancel()
            mine = Query(queues=(self.handle.queue,), ids=(self.handle.id,), states=WAITING, limit=None)
            if not self._link.store.delete(mine):
                return False
            super().cancel()
            self.set_running_or_notify_cancel()
            return True

    def running(self) -> bool:
        """Whether a worker runs it at this moment."""
        return not self.done() and self.handle.state() is State.RUNNING

    def over(self, entry: Entry | None, error: BaseException | None) -> None:
        """It has ended: with what is left of it, or it cannot be known."""
        with self._deciding:
            if self.done():
                return
            try:
                if error is not None:
                    raise error
                value = self.handle._outcome(entry)  # noqa: SLF001 - the same answer as its `result`
            except BaseException as raised:  # noqa: BLE001 - it belongs to whoever asks for the result
                self.set_exception(raised)
            else:
                self.set_result(value)


class _Ear(Waiter):
    """Waits for one job on behalf of its future; nobody sleeps in it, so it counts as one in an event loop."""

    def __init__(self, future: JobFuture[Any], tell: Callable[[_Ear], None]) -> None:
        super().__init__(future.handle.queue, (future.handle.id,))
        self.job_future = future
        self.stack = ExitStack()
        self.loop = cast("Any", self)
        self._told = tell

    def _tell(self) -> None:
        self._told(self)


class QueueExecutor(Executor):
    """Made by `Broker.executor`. May be used from any thread."""

    def __init__(self, link: Link, tasks: Tasks, queue: str | None, *, keep: Duration = KEEP) -> None:
        self._link = link
        self._tasks = tasks
        self._queue = queue and check_name(queue)
        self._keep = seconds(keep, "keep")
        if not self._keep:
            raise BadValue("an executor needs keep above 0: how long a result waits until its future has read it")
        self._lock = threading.Lock()
        self._pending: dict[JobFuture[Any], _Ear] = {}
        self._ended: SimpleQueue[_Ear | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._shut = False

    @overload
    def submit(self, fn: Task[P, T, C], /, *args: P.args, **kwargs: P.kwargs) -> JobFuture[T]: ...
    @overload
    def submit(self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> JobFuture[T]: ...
    @overload
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> JobFuture[T]: ...
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Put a job that calls the task, or the function of a registered task, with these arguments.

        Raises RuntimeError after `shutdown`, BadValue for a function that is not registered (nothing is imported by its name), and what
        `Task.put` raises."""
        task = self._task(fn)
        self._check()
        return self._watched([self._chosen(task).put(*args, **kwargs)])[0]

    @overload
    def map(
        self, fn: Task[P, T, C], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1, buffersize: int | None = None
    ) -> Iterator[T]: ...
    @overload
    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]: ...
    def map(
        self,
        fn: Any,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,  # noqa: ARG002 - all are put in one commit anyway
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """The results in order, as the builtin `map`; all jobs are put at once, in one commit, or `buffersize` ahead of what was read.
        Raises TimeoutError when a result is not there `timeout` seconds after this call."""
        if buffersize is not None and (isinstance(buffersize, bool) or not isinstance(buffersize, int) or buffersize < 1):
            raise BadValue(f"buffersize is a whole number from 1 up, not {buffersize!r:.40}; nothing was put")
        task, deadline = self._task(fn), None if timeout is None else monotonic() + timeout
        arguments = zip(*iterables, strict=False)
        futures = deque(self._submit_all(task, list(islice(arguments, buffersize))))

        def more() -> None:
            if buffersize is not None and (ahead := list(islice(arguments, 1))):
                futures.extend(self._submit_all(task, ahead))

        return _results(futures, deadline, more)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more. `wait`: until all futures are done. `cancel_futures`: take back those that no worker has begun. Without
        `wait` the futures still hear of their ends, as long as this process and its connection live."""
        with self._lock:
            self._shut = True
            pending = list(self._pending)
        if cancel_futures:
            for future in pending:
                future.cancel()
        if wait:
            _wait_for(pending)
        with self._lock:
            self._rest()

    def _submit_all(self, task: Task[..., T, Any], arguments: Sequence[tuple[Any, ...]]) -> list[JobFuture[T]]:
        self._check()
        return self._watched(self._chosen(task).map(*zip(*arguments, strict=True))) if arguments else []

    def _task(self, fn: Any) -> Task[..., Any, Any]:
        for task in self._tasks:
            if task is fn or task.function is fn:
                return task
        what = getattr(fn, "__qualname__", None) or repr(fn)[:80]
        raise BadValue(f"{what} is no task of this broker, so no worker would know it; nothing was put. Register it: @broker.task")

    def _chosen(self, task: Task[..., T, Any]) -> Any:
        options: dict[str, Any] = {"queue": self._queue} if self._queue else {}
        if not task.keep:
            options["keep"] = self._keep
        return task.options(**options)

    def _check(self) -> None:
        if self._shut:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def _watched(self, handles: Sequence[Handle[T]]) -> list[JobFuture[T]]:
        ears = [_Ear(JobFuture(handle, self._link), self._ended.put) for handle in handles]
        with self._lock:
            for ear in ears:
                self._pending[ear.job_future] = ear
                ear.job_future.add_done_callback(self._forget)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="ropeway-executor", daemon=True)
                self._thread.start()
        for ear in ears:
            ear.stack.enter_context(of(self._link).waiting(ear))
        return [ear.job_future for ear in ears]

    def _rest(self) -> None:
        """Under the lock: nothing more will come."""
        if self._shut and not self._pending and self._thread is not None:
            self._ended.put(None)
            self._thread = None

    # When one has ended

    def _serve(self) -> None:
        while (ear := self._ended.get()) is not None:
            entry = ear.heard[0][1] if ear.heard else None
            ear.job_future.over(entry, None if ear.heard else ear.error)

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            ear = self._pending.pop(cast("JobFuture[Any]", future), None)
            self._rest()
        if ear is not None:
            ear.stack.close()


def _results(futures: deque[JobFuture[T]], deadline: float | None, more: Callable[[], None]) -> Generator[T, None, None]:
    """Each in its turn; what is left when nobody reads on, or one has failed, is taken back."""
    try:
        while futures:
            value = futures[0].result(None if deadline is None else deadline - monotonic())
            futures.popleft()
            more()
            yield value
    finally:
        for future in futures:
            future.cancel()


def _wait_for(futures: Sequence[Future[Any]]) -> None:
    wait(futures)
