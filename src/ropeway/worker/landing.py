"""How a worker ends: its orders, the grace for what runs, and what is done with runs that do not end.

    stop        nothing more is claimed, the hand goes back at once, what runs has the grace to end
    stop again  the grace is over now
    quiet       nothing more is claimed; what is held goes on, without haste
    errands     whatever else is to be done by the thread that claims, between two of its laps

When the grace is over: what can be stopped (a coroutine, a command) is, and goes back uncounted. A function in a thread cannot be: it
goes back uncounted too, but due only a second later, by when this process should be gone; `stuck` says that there are such.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..errors import StoreError
from .ferry import Ferry
from .inbox import Inbox
from .journal import Journal
from .pools.pool import Pool
from .run import NEVER, Run, Shift, Verdict

STOPPING = 2.0  # seconds for what can be stopped to end
LEAVING = 1.0  # seconds until what cannot be may be claimed elsewhere
ANSWER = 5.0  # seconds for the store to take the last outcomes
SOME_DEAD = 10
UNSETTLED = 143


class Landing:
    """Runs the ferry's laps to their end. `stop` and `quiet` may be called from any thread, and from a signal handler."""

    def __init__(self, ferry: Ferry, pool: Pool, inbox: Inbox, shift: Shift, journal: Journal, grace: float) -> None:
        self.stuck: list[Run] = []
        self._ferry = ferry
        self._pool = pool
        self._inbox = inbox
        self._shift = shift
        self._journal = journal
        self._grace = grace
        self._orders = 0
        self._quiet = False
        self._errands: deque[Callable[[], object]] = deque()
        self._until = NEVER  # when the grace is over

    def use(self, pool: Pool) -> None:
        """Another pool than it was made with; before `run`."""
        self._pool = pool

    def stop(self) -> None:
        self._orders += 1
        self._inbox.ring()

    def stop_now(self) -> None:
        """As two orders to stop."""
        self._orders += 2
        self._inbox.ring()

    def quiet(self) -> None:
        self._quiet = True
        self._inbox.ring()

    def send(self, errand: Callable[[], object]) -> None:
        """Have this called by the thread that claims, soon. From any thread, and from a signal handler."""
        self._errands.append(errand)
        self._inbox.ring()

    @property
    def state(self) -> str:
        """stopping or quiet; nothing while it goes on."""
        return "stopping" if self._orders else "quiet" if self._quiet else ""

    def run(self) -> int:
        """Until stopped, drained or done; the exit code (see Worker.run)."""
        ferry, boot = self._ferry, self._shift.boot
        while True:
            while self._errands:
                self._errands.popleft()()
            if self._orders or self._quiet:
                self._obey()
            if ferry.finished or boot() >= self._until:
                break
            ferry.lap(max(0.0, self._until - boot()))
        if not ferry.held:
            return SOME_DEAD if ferry.open and self._journal.counters.buried else 0
        self._stop_running()
        return 0 if self._settle() else UNSETTLED

    def abandon(self) -> None:
        """The ferry failed: give back what has not started, if the store lets us."""
        self._ferry.hand_back()
        try:
            self._ferry.settler.settle()
        except Exception:  # noqa: BLE001, S110 - the failure that brought us here says more; the leases end by themselves
            pass

    def _obey(self) -> None:
        ferry = self._ferry
        ferry.open = False
        if self._orders and self._until == NEVER:
            self._shift.stopping = True
            self._until = self._shift.boot() + self._grace
            self._journal.tell("stopping", count=len(ferry.held))
            ferry.hand_back()
        if self._orders > 1:
            self._until = min(self._until, self._shift.boot())

    def _stop_running(self) -> None:
        """The grace is over."""
        ferry, pool, boot = self._ferry, self._pool, self._shift.boot
        stoppable = []
        for run in pool.running():
            run.verdict = run.verdict or Verdict.RETURNED
            if pool.stop(run):
                stoppable.append(run)
        until = boot() + STOPPING
        while boot() < until and any(run in stoppable for run in pool.running()):
            self._inbox.sleep(until - boot())
            ferry.collect()
        for run in pool.running():
            if pool.disown(run):
                run.hand_back(LEAVING)
                self.stuck.append(run)
        ferry.collect()
        ferry.settler.add(self.stuck)

    def _settle(self) -> bool:
        until, pause = self._shift.boot() + ANSWER, 0.05
        while self._ferry.settler.runs:
            try:
                self._ferry.settler.settle()
            except StoreError:
                if self._shift.boot() + pause > until:
                    return False
                self._inbox.nap(pause)
                pause *= 2
        return True
