"""The worker as its users see it: options in, an exit code out."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..durations import Duration, seconds
from ..errors import BadValue
from ..link import Link
from ..retry import Retry
from .execution import TaskWork, Work
from .ferry import Ferry
from .inbox import Inbox
from .journal import Counters, Journal
from .judge import Judge
from .keeper import Keeper
from .landing import Landing
from .lookout import Lookout
from .pools.threads import ThreadPool
from .progress import Progress
from .run import Run, Shift
from .signals import Signals, in_thread, leave

if TYPE_CHECKING:
    from ..tasks import Tasks
    from .command import CommandRunner

SHORTEST_LEASE = 1.0
SWITCH_INTERVAL = 0.0005  # seconds a busy thread may keep the interpreter from the ferry; Python's own is 0.005


class Worker:
    """Claims jobs of the queues that `patterns` mean, in their order, and runs up to `concurrency` at once.

    `pool` is "thread" (the functions of `tasks`) or a runner such as `CommandRunner` (then `tasks` may be None).
    `lease` is how long a claim lasts unless renewed (each third of it), `grace` what running jobs get after a stop.
    `drain`: end when nothing is due and none of its jobs waits for another try. `max_jobs`: end after that many runs.
    `retry`: the policy for tasks that have none; None: as the configuration says of each queue. `progress`: a line on the terminal.
    Raises BadValue for options that make no sense. Nothing is done to the store before `run`.
    """

    def __init__(
        self,
        link: Link,
        tasks: Tasks | None,
        patterns: Sequence[str],
        *,
        concurrency: int = 4,
        pool: str | CommandRunner = "thread",
        lease: Duration = 30.0,
        grace: Duration = 25.0,
        drain: bool = False,
        max_jobs: int | None = None,
        retry: Retry | None = None,
        progress: bool = False,
    ) -> None:
        _whole(concurrency, "concurrency")
        if max_jobs is not None:
            _whole(max_jobs, "max_jobs")
        length = seconds(lease, "lease")
        if length < SHORTEST_LEASE:
            raise BadValue(f"a lease of {length:g} s cannot be kept; take at least {SHORTEST_LEASE:g} s, better 5")
        if not patterns:
            raise BadValue("a worker needs at least one queue, or a pattern such as *")
        self.counters = Counters()
        self._shift = shift = Shift(link, length)
        self._journal = journal = Journal(shift, self.counters)
        self._inbox = inbox = Inbox(link.clock)
        judge = Judge(shift, retry)
        self._pool = ThreadPool(concurrency, shift, inbox, judge, _work(pool, tasks, judge))
        self._ferry = ferry = Ferry(shift, Lookout(link, patterns), self._pool, inbox, journal, drain=drain, max_jobs=max_jobs)
        self._keeper = Keeper(shift, journal, lambda: list(ferry.held.values()), self._pool.stop)
        self._landing = Landing(ferry, self._pool, inbox, shift, journal, seconds(grace, "grace"))
        self._progress = Progress(link, patterns, self) if progress else None
        self._ran = False

    def run(self) -> int:
        """Work until stopped, drained or done with `max_jobs`. In the main thread SIGTERM and SIGINT stop it.

        The exit code: 0 after a clean end; 10 when it drained, or did its `max_jobs`, and some of the jobs it ran ended dead;
        143 when the store did not take the last outcomes in time.

        A function that goes on when the grace is over cannot be stopped. If a signal has ended the worker, the process ends here and
        now, so that the job is not run elsewhere beside it.
        """
        if self._ran:
            raise BadValue("a worker runs once; make another")
        self._ran = True
        if threading.current_thread() is not threading.main_thread():
            return self._work()
        interval = sys.getswitchinterval()
        with Signals(self.stop) as signals:
            sys.setswitchinterval(min(interval, SWITCH_INTERVAL))
            try:
                code = in_thread(self._work)
            finally:
                sys.setswitchinterval(interval)
            if self._landing.stuck and signals.seen:
                leave(code)
        return code

    def stop(self) -> None:
        """Stop: claim nothing more, give back what has not started, let the rest finish within the grace. Twice: at once.
        From any thread, and from a signal handler."""
        self._landing.stop()

    def quiet(self) -> None:
        """Claim nothing more, run what is held, then end."""
        self._landing.quiet()

    @property
    def running(self) -> list[Run]:
        """The runs that are held at this moment, for those who look on."""
        return list(self._ferry.held.values())

    def _work(self) -> int:
        self._pool.open()
        self._keeper.start()
        if self._progress:
            self._progress.start()
        try:
            return self._landing.run()
        except BaseException:
            self._landing.abandon()
            raise
        finally:
            if self._progress:
                self._progress.close()
            self._keeper.close()
            self._pool.close()


def _work(pool: str | CommandRunner, tasks: Tasks | None, judge: Judge) -> Callable[[Callable[[Run], None]], Work]:
    """What makes the work of the pool's slots, once there is somebody to tell of a run that hangs."""
    if not isinstance(pool, str):
        return lambda _: pool.work(judge)
    if pool != "thread":
        raise BadValue(f"there is no pool {ascii(pool)[:40]}; take thread, or a runner such as CommandRunner")
    if tasks is None:
        raise BadValue("a worker without a runner needs tasks to run")
    return lambda stuck: TaskWork(tasks, judge, stuck)


def _whole(number: object, what: str) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise BadValue(f"{what} must be a whole number from 1 up, not {ascii(number)[:40]}")
