"""The worker as its users see it: options in, an exit code out."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..durations import Duration, seconds
from ..errors import BadValue
from ..link import Link
from ..retry import Retry
from .app import check_not_loading
from .audience import Audience
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
from .patience import Patience
from .planter import Planter
from .pools.choice import make_pool
from .progress import Progress
from .run import Run, Shift
from .signals import Orders, Signals, leave
from .telling import Teller
from .usher import Usher
from .wide import Wide

if TYPE_CHECKING:
    from ..tasks import Tasks
    from .execution import Runner
    from .pools.pool import Pool
    from .shell import ShellRunner

SHORTEST_LEASE = 1.0
SWITCH_INTERVAL = 0.0005  # seconds a busy thread may keep the interpreter from the ferry; Python's own is 0.005


class Worker:
    """Claims jobs of the queues that `patterns` mean, in their order, and runs up to `concurrency` at once: 4, in an event loop 100.

    `pool` says what runs the functions of `tasks`: "thread" (what `run` takes when nothing is said), "process", "async" (what `arun`
    takes) or "uvloop"; or it is a runner such as `CommandRunner` (then `tasks` may be None).
    `lease` is how long a claim lasts unless renewed (each third of it), `grace` what running jobs get after a stop.
    `drain`: end when nothing is due and none of its jobs waits for another try. `max_jobs`: end after that many runs.
    `retry`: the policy for tasks that have none; None: as the configuration says of each queue. `progress`: a line on the terminal.
    `commands`: it also takes command lines as jobs, and this runs them; as the pool, it takes nothing else.
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
        pool: str | Runner | None = None,
        lease: Duration = 30.0,
        grace: Duration = 25.0,
        drain: bool = False,
        max_jobs: int | None = None,
        retry: Retry | None = None,
        progress: bool = False,
        max_memory: int | None = None,
        max_jobs_per_child: int | None = None,
        supervisor: int = 0,
        commands: ShellRunner | None = None,
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
        self._make_pool: Callable[[str | Runner], Pool] = lambda name: make_pool(
            *(name, concurrency, shift, inbox, judge, tasks),
            retry=retry, max_jobs_per_child=max_jobs_per_child, max_memory=max_memory, commands=commands,
        )  # fmt: skip
        self._undecided = pool is None
        self._hears = tasks is not None and (pool is None or isinstance(pool, str))
        self._pool = self._make_pool(pool or "thread")
        self._audience = audience = Audience(link, tasks, journal.warn)
        patterns = (*patterns, *audience.queues)
        lookout = Lookout(link, patterns)
        self._patterns = lookout.patterns
        self._ferry = ferry = Ferry(shift, lookout, self._pool, inbox, journal, drain=drain, max_jobs=max_jobs)
        ferry.usher = Usher(shift, journal, judge, commands=commands is not None, others=commands is None or pool is not commands)
        ferry.wide = Wide(judge, inbox.report) if commands is not None else None
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
            supervisor=supervisor, max_memory=max_memory, tasks=self._registered(pool, tasks),
        )  # fmt: skip
        if tasks is not None and self._hears:
            post.describe = _describer(tasks)
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

    @staticmethod
    def _registered(pool: str | Runner | None, tasks: Tasks | None) -> Callable[[], list[str] | None]:
        """What it tells of the tasks that it can run: their names, or None when a command takes whatever comes."""
        if tasks is None or not (pool is None or isinstance(pool, str)):
            return lambda: None
        return lambda: sorted(task.name for task in tasks)

    def _once(self) -> None:
        check_not_loading()
        if self._ran:
            raise BadValue("a worker runs once; make another")
        self._ran = True

    def _work(self) -> int:
        link, warn = self._shift.link, self._journal.warn
        patience = Patience(link, warn, self._inbox.nap, lambda: bool(self._landing.state))
        if not patience.until_done(lambda: link.store.features, "the store cannot be reached yet, and is tried again until it answers"):
            return 0  # stopped before it had begun
        settle_limits(link, self._patterns, warn, patience)
        with ExitStack() as last, ExitStack() as first:
            self._begin(first, last, patience)
            try:
                return self._landing.run()
            except BaseException:
                self._landing.abandon()
                raise

    def _begin(self, first: ExitStack, last: ExitStack, patience: Patience) -> None:
        """Start all that stands beside the ferry. Each says how it ends before the next one starts: a start that fails half way, and an end
        that fails, leave nothing behind. Those of `first` end before those of `last`."""
        last.callback(_heard(self._hears))
        first.callback(self._audience.close)
        self._audience.start(patience)
        if self._ferry.usher is not None:
            self._ferry.usher.opened(self._patterns)
        first.callback(self._planter.close)
        self._planter.start()
        self._teller.start()
        last.callback(self._teller.stop)
        self._pool.open()
        last.callback(self._pool.close)
        last.callback(self._post.leave)
        self._post.start()
        last.callback(self._keeper.close)
        self._keeper.start()
        if self._progress:
            first.callback(self._progress.close)
            self._progress.start()


def _describer(tasks: Tasks) -> Callable[[str], bytes]:
    def describe(name: str) -> bytes:
        from ..tasks.describing import described

        return described(tasks, name)

    return describe


def _heard(hears: bool) -> Callable[[], None]:
    """Hear what the tasks log from now on, until what this answers is called; of commands nobody can."""
    if not hears:
        return lambda: None
    from .notebook import hear, unhear

    hear()
    return unhear


def _whole(number: object, what: str) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise BadValue(f"{what} must be a whole number from 1 up, not {ascii(number)[:40]}")
