"""A worker's post in the fleet: its name, its notes, its orders, and what it does when it is told something."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import BadValue
from ...history.tally import Tally
from ...sight.here import here
from ..accounts import Accounts
from ..ferry import Ferry
from ..figures import at_work
from ..journal import Journal
from ..landing import Landing
from ..pools.pool import Pool
from ..pools.threads import ThreadPool
from ..run import Run, Shift, Verdict
from . import meter
from .looks import Looks
from .notice import new_id
from .orders import MOST_SHOWN, MOST_SLOTS, Desk, Order
from .presence import Presence
from .tidying import Tidying


def kind_of(pool: object) -> str:
    """The word for a pool, as a worker was given it; nothing when it is chosen later."""
    return pool if isinstance(pool, str) else "" if pool is None else "command"


def _no_tasks(_: str) -> str:
    raise BadValue("this worker runs commands, and has no tasks")


HUNG = 2  # runs that hang, at least, before a worker ends for it
BY_ORDER, BY_SWITCH = "order", "switch"  # why a worker is paused: it was told so itself, or the whole store is


class Post:
    """Ties a worker to the fleet. `start` before its first claim, `beat` each second or so from one thread, `leave` at the end.

    `max_memory`: bytes of memory beyond which it finishes what it holds and ends, to be started anew, as it does when as many runs hang as
    it has slots; `outgrown` says that it did.
    """

    def __init__(
        self,
        shift: Shift,
        ferry: Ferry,
        pool: Callable[[], Pool],  # asked each time: a worker may choose its pool late
        landing: Landing,
        journal: Journal,
        patterns: Sequence[str],
        kind: str,
        *,
        supervisor: int = 0,
        max_memory: int | None = None,
        tasks: Callable[[], list[str] | None] = lambda: None,
    ) -> None:
        self.id = new_id()
        self.counters = journal.counters
        self.tally = Tally(shift.link, self.id)
        journal.count = Accounts(shift.link, self.tally).count
        self.url = shift.link.url
        self.outgrown = False
        self.describe: Callable[[str], str | bytes] = _no_tasks  # what a task takes
        self.on_state: Callable[[str], None] = lambda _: None  # told of each note's state, for the title
        self._boot, self._born = shift.boot, shift.boot()
        self._ferry = ferry
        self._pool = pool
        self._landing = landing
        self._journal = journal
        self._kind = kind
        self._tasks = tasks
        self._max_memory = None if kind == "process" else max_memory  # there it is for the children
        self._told = ""
        self._presence = Presence(shift, self.id, patterns, kind, self, self._switched, supervisor=supervisor)
        self._tidying = Tidying(shift.link)
        ferry.desk = Desk(shift, self.id, journal, self.obey)
        self._looks = Looks(self.id, shift, ferry, pool, journal.counters, self.state, kind)

    # The thread that keeps the leases

    def start(self) -> None:
        """Say that it is there, and look whether the whole store is paused."""
        if not self._presence.pool:
            self._presence.pool = "thread" if isinstance(self._pool(), ThreadPool) else "async"
        here().workers.append(self._looks)
        at_work.append(self)
        self.beat()

    def beat(self) -> None:
        """What is to be done now and then. Never raises."""
        self._presence.beat()
        self.tally.beat()
        self._tidying.at_times()
        if not self.outgrown:
            self._look_at_itself()
        if (state := self.state()) != self._told:
            self._told = state
            self.on_state(state)

    def _look_at_itself(self) -> None:
        """Too large, or too many threads that hang in runs which were given up: a fresh process is better."""
        hung = self._pool().stuck
        if self._max_memory is not None and (size := meter.memory()) > self._max_memory:
            self._journal.warn("%d MiB of memory are over the limit; it ends when its jobs have", size >> 20)
        elif hung >= max(HUNG, self._pool().slots):
            self._journal.warn("%d jobs hang that did not end at their timeouts, and cannot be ended; it ends when the others have", hung)
        else:
            return
        self.outgrown = True
        self._landing.quiet()

    def leave(self) -> None:
        """It is no longer there. What it has done stays known."""
        if self._looks in (shown := here().workers):
            shown.remove(self._looks)
        if self in at_work:
            at_work.remove(self)
        try:
            self.tally.close()
        finally:
            self._presence.leave()

    # What it is told, from any thread and from signal handlers

    def pause(self, why: str = BY_ORDER) -> None:
        """Claim nothing until `resume`; what has not begun goes back, what runs goes on."""
        self._do(lambda: self._ferry.pause(why))

    def resume(self, why: str = BY_ORDER) -> None:
        self._do(lambda: self._ferry.resume(why))

    def resize(self, slots: int) -> None:
        """Run so many at once; what runs beyond that ends by itself."""
        self._do(lambda: self._ferry.resize(max(1, min(slots, MOST_SLOTS))))

    def grow(self, by: int) -> None:
        """So many slots more, or fewer."""
        self._do(lambda: self._ferry.resize(max(1, min(self._pool().slots + by, MOST_SLOTS))))

    def kill(self) -> None:
        """End what runs, as failed tries, and go on."""
        self._do(self._kill)

    def _do(self, what: Callable[[], object]) -> None:
        def errand() -> None:
            what()
            self._presence.touch()

        self._landing.send(errand)

    # Orders: in the thread of the ferry

    def obey(self, order: Order) -> str | bytes:
        """Follow an order, and say what was done."""
        self._presence.touch()
        slots = self._pool().slots
        if order.do == "ping":
            return f"here: {self.state()}, {len(self._ferry.held)} jobs in hand"
        if order.do == "stacks":
            from ...sight.views import stacks_text

            return stacks_text(MOST_SHOWN)
        if order.do == "inspect":
            from ...sight.views import as_json

            return as_json(order.what, MOST_SHOWN)
        if order.do == "signature":
            return self.describe(order.what)
        if order.do == "log":
            return self._looks.said(order.job)
        if order.do == "kill":
            killed, left = self._kill()
            return f"{killed} jobs told to end" + (f"; {left} run in threads, and cannot be" if left else "")
        if order.do == "signal":
            return self._signal(order.job, order.number)
        if order.do == "look":
            self._presence.beat()
            return f"here: {self.state()}"
        if order.do == "resize":
            self._ferry.resize(order.slots)
            return f"{self._pool().slots} slots, {slots} before"
        acts: dict[str, tuple[Callable[[], None], str]] = {
            "pause": (lambda: self._ferry.pause(BY_ORDER), "paused"),
            "resume": (lambda: self._ferry.resume(BY_ORDER), "claims again"),
            "quiet": (self._landing.quiet, "ends when its jobs have"),
            "stop": (self._landing.stop, "stops"),
            "stop-now": (self._landing.stop_now, "stops now"),
        }
        act, said = acts[order.do]
        act()
        if order.do == "resume" and self._ferry.pauses:
            return "still paused, since the whole store is; see: ropeway resume --all"
        return f"{said}; {len(self._ferry.held)} jobs in hand"

    def _kill(self) -> tuple[int, int]:
        """How many were told to end, and how many cannot be."""
        killed = left = 0
        pool = self._pool()
        for run in pool.running():
            if run.verdict:
                continue
            run.verdict = Verdict.KILLED
            if pool.stop(run):
                killed += 1
            else:
                run.verdict, left = Verdict.NONE, left + 1
        return killed, left

    def _signal(self, job_id: str, number: int) -> str:
        for run in self._ferry.held.values():
            if run.lent.job.id == job_id and (send := run.signal) is not None:
                send(number)
                return f"signal {number} sent to the command of job {job_id}"
        raise BadValue(f"no command of job {job_id} runs here")

    def _switched(self, reason: str | None) -> None:
        """How the switch of the whole store stands."""
        if (reason is not None) != (BY_SWITCH in self._ferry.pauses):
            (self.pause if reason is not None else self.resume)(BY_SWITCH)

    # What is seen of it (presence.Seen)

    @property
    def busy(self) -> float:
        return self._ferry.busy

    @property
    def woken(self) -> int:
        return self._ferry.woken

    @property
    def uptime(self) -> float:
        return self._boot() - self._born

    @property
    def claimed(self) -> float:
        return self._ferry.claimed

    @property
    def answered(self) -> float:
        return self._ferry.answered

    def state(self) -> str:
        """idle, busy, paused, quiet or stopping."""
        if self._landing.state:
            return self._landing.state
        return "paused" if self._ferry.pauses else "busy" if self._ferry.held else "idle"

    def slots(self) -> int:
        return self._pool().slots

    def runs(self) -> Sequence[Run]:
        return list(self._ferry.held.values())

    def queues(self) -> Sequence[str]:
        return self._ferry.names

    @property
    def commands(self) -> bool:
        return self._ferry.usher is not None and self._ferry.usher.commands

    def tasks(self) -> list[str] | None:
        return self._tasks()

    @property
    def others(self) -> bool:
        return self._ferry.usher is None or self._ferry.usher.others
