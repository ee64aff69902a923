"""The worker as its users see it: options in, an exit code out."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..durations import Duration, seconds
from ..errors import BadValue
from ..link import Link
from ..retry import Retry
from .app import check_not_loading
from .ferry import Ferry
from .fleet.post import Post, kind_of
from .health import is_healthy
from .inbox import Inbox
from .journal import Counters, Journal
from .judge import Judge
from .keeper import Keeper
from .landing import Landing
from .limiter import settle_limits
from .lookout import Lookout
from .planter import Planter
from .pools.choice import make_pool
from .progress import Progress
from .run import Run, Shift
from .signals import Orders, Signals, leave
from .telling import Teller

if TYPE_CHECKING:
    from ..tasks import Tasks
    from .command import CommandRunner
    from .pools.pool import Pool

SHORTEST_LEASE = 1.0
SWITCH_INTERVAL = 0.0005  # seconds a busy thread may keep the interpreter from the ferry; Python's own is 0.005


class Worker:
    """Claims jobs of the queues that `patterns` mean, in their order, and runs up to `concurrency` at once: 4, in an event loop 100.

    `pool` says what runs the functions of `tasks`: "thread" (what `run` takes when nothing is said), "process", "async" (what `arun`
    takes) or "uvloop"; or it is a runner such as `CommandRunner` (then `tasks` may be None).
    `lease` is how long a claim lasts unless renewed (each third of it), `grace` what running jobs get after a stop.
    `drain`: end when nothing is due and none of its jobs waits for another try. `max_jobs`: end after that many runs.
    `retry`: the policy for tasks that have none; None: as the configuration says of each queue. `progress`: a line on the terminal.
    `max_memory`: finish what is held and end when this process has so many bytes. `supervisor`: the pid of who would start it anew.
    Raises BadValue for options that make no sense. Nothing is done to the store before `run`.
    """

    def __init__(
        self,
        link: Link,
        tasks: Tasks | None,
        patterns: Sequence[str],
        *,
        concurrency: int | None = None,
        pool: str | CommandRunner | None = None,
        lease: Duration = 30.0,
        grace: Duration = 25.0,
        drain: bool = False,
        max_jobs: int | None = None,
        retry: Retry | None = None,
        progress: bool = False,
        max_memory: int | None = None,
        max_jobs_per_child: int | None = None,
        supervisor: int = 0,
    ) -> None:
        if concurrency is not None:
            _whole(concurrency, "concurrency")
        if max_jobs is not None:
            _whole(max_jobs, "max_jobs")
        for name, number in (("max_memory", max_memory), ("max_jobs_per_child", max_jobs_per_child)):
            if number is not None:
                _whole(number, name)
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
        self._make_pool: Callable[[str | CommandRunner], Pool] = lambda name: make_pool(
            *(name, concurrency, shift, inbox, judge, tasks),
            retry=retry, max_jobs_per_child=max_jobs_per_child, max_memory=max_memory,
        )  # fmt: skip
        self._undecided = pool is None
        self._pool = self._make_pool(pool or "thread")
        lookout = Lookout(link, patterns)
        self._patterns = lookout.patterns
        self._ferry = ferry = Ferry(shift, lookout, self._pool, inbox, journal, drain=drain, max_jobs=max_jobs)
        self._keeper = Keeper(shift, journal, lambda: list(ferry.held.values()), self._pool.stop)
        self._landing = Landing(ferry, self._pool, inbox, shift, journal, seconds(grace, "grace"))
        self._progress = Progress(link, patterns, self) if progress else None
        self._planter = planter = Planter(
            *(link, lambda: bool(ferry.pauses) or not ferry.open, journal.warn, lambda: not ferry.held),
            asked=lambda: () if tasks is None else tasks.schedules,
        )
        ferry.on_miss, planter.watch = planter.ring, ferry.wait_beside
        self._teller = teller = Teller(tasks, self, journal.warn, alone=pool != "process")
        journal.ended, ferry.on_idle = teller.ended, teller.idle
        self._post = post = Post(
            *(shift, ferry, lambda: self._pool, self._landing, journal, patterns, kind_of(pool)),
            supervisor=supervisor, max_memory=max_memory,
        )  # fmt: skip
        self._keeper.beat = post.beat
        self.on_signal: Orders = {
            signal.SIGQUIT: self.quiet, signal.SIGUSR1: self.kill, signal.SIGUSR2: self.pause, signal.SIGCONT: self.resume,
            signal.SIGTTIN: lambda: post.grow(1), signal.SIGTTOU: lambda: post.grow(-1),
        }  # fmt: skip
        self._ran = False

    def run(self) -> int:
        """Work until stopped, drained or done with `max_jobs`. In the main thread SIGTERM and SIGINT stop it.

        The exit code: 0 after a clean end; 10 when it drained, or did its `max_jobs`, and some of the jobs it ran ended dead;
        143 when the store did not take the last outcomes in time.

        A function that goes on when the grace is over cannot be stopped. If a signal has ended the worker, the process ends here and
        now, so that the job is not run elsewhere beside it.
        """
        self._once()
        if threading.current_thread() is not threading.main_thread():
            return self._pool.host(self._work)
        interval = sys.getswitchinterval()
        with Signals(self.stop, self.on_signal) as signals:
            sys.setswitchinterval(min(interval, SWITCH_INTERVAL))
            try:
                code = self._pool.host(self._work)
            finally:
                sys.setswitchinterval(interval)
            if self._landing.stuck and signals.seen:
                leave(code)
        return code

    async def arun(self) -> int:
        """The same inside the running event loop: coroutines run in it as tasks, up to `concurrency` at once; the store is talked to from
        a thread beside it. No signals are taken: call `stop`, or cancel this. Cancelled, it stops at once: what runs is cancelled and goes
        back uncounted, and the cancellation goes on when that is done."""
        import asyncio

        from .pools.loop import LoopPool, aside

        self._once()
        if self._undecided:
            self._pool = self._make_pool("async")
            for user in (self._ferry, self._landing, self._keeper):
                user.use(self._pool)
        if isinstance(self._pool, LoopPool):
            self._pool.adopt(asyncio.get_running_loop())
        work = asyncio.ensure_future(aside(self._work))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self.stop()
            self.stop()
            while not work.done():
                try:
                    await asyncio.shield(work)
                except asyncio.CancelledError:
                    continue
            raise

    def stop(self) -> None:
        """Stop: claim nothing more, give back what has not started, let the rest finish within the grace. Twice: at once.
        From any thread, and from a signal handler."""
        self._landing.stop()

    def quiet(self) -> None:
        """Claim nothing more, run what is held, then end."""
        self._landing.quiet()

    def pause(self) -> None:
        """Claim nothing until `resume`: what has not begun goes back, what runs goes on."""
        self._post.pause()

    def resume(self) -> None:
        """Claim again, after `pause`. While the whole store is paused nothing is claimed all the same."""
        self._post.resume()

    def resize(self, slots: int) -> None:
        """Run so many jobs at once from now on, at least one; what runs beyond that goes on to its end."""
        _whole(slots, "slots")
        self._post.resize(slots)

    def kill(self) -> None:
        """End the running jobs, as tries that failed, and go on. Functions in threads cannot be ended, and go on too."""
        self._post.kill()

    @property
    def id(self) -> str:
        """Its name in the fleet, which no other worker ever has."""
        return self._post.id

    @property
    def post(self) -> Post:
        """What it tells of itself, and what it is told; for those who build on it."""
        return self._post

    @property
    def running(self) -> list[Run]:
        """The runs that are held at this moment, for those who look on."""
        return list(self._ferry.held.values())

    def healthy(self, lately: Duration = 60.0) -> bool:
        """Whether it reaches its store: that has answered it within `lately`, or it waits in it right now. From any thread."""
        return is_healthy(self._ferry, self._inbox, self._shift.boot(), lately)

    def _once(self) -> None:
        check_not_loading()
        if self._ran:
            raise BadValue("a worker runs once; make another")
        self._ran = True

    def _work(self) -> int:
        settle_limits(self._shift.link, self._patterns, self._journal.warn, self._inbox.nap, lambda: bool(self._landing.state))
        self._planter.start()
        self._teller.start()
        self._pool.open()
        self._post.start()
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
            self._planter.close()
            self._keeper.close()
            self._post.leave()
            self._pool.close()
            self._teller.stop()


def _whole(number: object, what: str) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise BadValue(f"{what} must be a whole number from 1 up, not {ascii(number)[:40]}")
