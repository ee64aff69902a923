"""The ferry: the one thread that talks to the store on the way of a job. It settles what has ended, claims what fits, and sleeps.

One lap is one look at everything. It makes a turn (one store round that settles and claims), or hands back what is stuck, or sleeps in
one of three ways:

- pausing: outcomes are there, but the last turn was less than a millisecond ago and no slot is idle: gather more of them;
- in the inbox: there is no room for more claims, so only an outcome can change anything; or an order, which the store rings for: when
  nothing has ended for a moment, it sleeps there instead;
- in the store: there is room, and nothing was due: until something is, or an outcome comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import Stopped, StoreError
from ..failure import one_line
from ..store import Feature, Lent, Store
from .appetite import WINDOW, Appetite
from .inbox import Inbox
from .journal import Journal
from .lookout import LONGEST_WAIT, Lookout
from .pools.pool import Pool
from .replies import attend
from .restraint import Restraint
from .run import End, Run, Shift
from .settler import Settler
from .suspects import PATIENCE, Suspects

if TYPE_CHECKING:
    from .fleet.orders import Desk
    from .usher import Usher
    from .wide import Wide

PAUSE = 0.001  # seconds between two turns while all slots are busy
HEAD_START = 0.0003  # seconds that slots which were just woken have to themselves: to get at the interpreter, and end a tiny job
STUCK = 2 * WINDOW  # nothing ended for so long: what is in the hand is better off elsewhere
LONGEST_SLEEP = 3600.0
BUSY_SLEEP = 1.0  # in the store while something is held: several may wait in one store object, and one take another's wake-up
FIRST_MISS, LONGEST_MISS = 0.0005, 0.02  # after a wake-up that brought nothing
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0  # between two tries while the store fails
RESCUE = 1.5  # a drain that ends while others hold jobs gives the engine so long to notice that one of them is dead
ORDERS = 0.25  # seconds between two looks for orders while jobs come and go too fast for a sleep in the store, which is rung for them
SHARE, LONGEST_ORDERS = 50, 1.0  # or so many times as long as the look took, at most so many seconds: a look is never dear
QUIET = 0.1  # seconds without an outcome after which a full worker sleeps in the store: then that is worth its price
SOON = 0.001  # a retry without a delay: an engine may not see it as due in the very commit that gave it back
LATE = 0.5  # a retry that was due so long ago, and did not come, is somebody else's


class Ferry:
    """The loop. `lap` is called by one thread; `held` may be read by any."""

    def __init__(
        self,
        shift: Shift,
        lookout: Lookout,
        pool: Pool,
        inbox: Inbox,
        journal: Journal,
        *,
        drain: bool = False,
        max_jobs: int | None = None,
    ) -> None:
        self.held: dict[str, Run] = {}  # by receipt: all that is claimed and not settled; the keeper extends these
        self.open = True  # whether it claims at all
        self.pauses: set[str] = set()  # why it claims nothing for a while
        self.desk: Desk | None = None  # its queue of orders
        self.busy = 0.0  # seconds that the runs had, in all
        self.woken = 0  # waits that brought something, or said so
        self.claimed = self.answered = 0.0  # when a claim last brought something, when the store last answered; boot clock
        self.beside: tuple[str, ...] = ()  # queues of ropeway's own that it waits for, and does not claim from:
        self.on_miss: Callable[[], None] = lambda: None  # told when a wake-up brought no job, so perhaps was for those
        self.on_idle: Callable[[], None] = lambda: None  # told once each time that it runs out of work
        self.usher: Usher | None = None  # who says what may start
        self.wide: Wide | None = None  # and how many slots that takes, where it may take several
        self.settler = Settler(shift, journal, self._gone)
        shift.post, shift.full = inbox.post, inbox.full
        self._shift = shift
        self._lookout = lookout
        self._pool = pool
        self._inbox = inbox
        self._journal = journal
        self._drain = drain
        self._max_jobs = max_jobs
        self._appetite = Appetite(pool.slots)
        self._suspects = Suspects(shift)
        self._restraint = Restraint(shift.link)
        self._boot = shift.boot
        self._due = True  # something may be due: the last claim brought all it asked for, or the store says so
        self._fresh = False  # jobs were handed out, and the ferry has not slept since
        self._idle = False  # that it has nothing to do was told
        self._empty = False  # a drain's last claim brought nothing
        self._patient_until = 0.0  # until when a drain waits for the jobs of a dead holder; 0: not yet asked whether there may be any
        self._turned = self._moved = 0.0  # when the last turn was; when a run last ended or was handed out
        self._miss = self._backoff = 0.0
        self._look_at = self._read_at = 0.0  # for orders: when to look while something is held; when it last did
        self._awaited: dict[str, float] = {}  # ids of own retries, and when each is due: what a drain waits for

    def use(self, pool: Pool) -> None:
        """Another pool than it was made with; before the first lap."""
        self._pool = pool

    @property
    def finished(self) -> bool:
        """Nothing is held, and nothing more is to be claimed."""
        if self.held:
            return False
        if not self.open or (self._max_jobs is not None and self._journal.counters.ran >= self._max_jobs):
            return True
        if not self._empty or self._due or self._awaited or self._suspects.wanted:
            return False
        return 0 < self._patient_until <= self._boot()

    @property
    def names(self) -> list[str]:
        """The queues that it claims from."""
        return self._lookout.known

    def pause(self, why: str) -> None:
        """Claim nothing until `resume` with the same reason; what has not started goes back."""
        self.pauses.add(why)
        self.hand_back()

    def resume(self, why: str) -> None:
        self.pauses.discard(why)
        self._due = True

    def wait_beside(self, queues: tuple[str, ...]) -> None:
        """Wait for these too, from the next sleep on; they are somebody else's to claim from."""
        self.beside = queues

    def resize(self, slots: int) -> None:
        """Run so many at once from now on."""
        self._pool.resize(slots)
        self._appetite.resize(slots)

    def lap(self, limit: float = LONGEST_SLEEP) -> None:
        """One look at everything; sleeps at most `limit` seconds."""
        try:
            self._lap(limit)
        except StoreError as error:
            self._failed(error, limit)

    def _lap(self, limit: float) -> None:
        pool, inbox, now = self._pool, self._inbox, self._boot()
        if self.held and now >= self._look_at:
            self._read_orders()
        waiting = pool.waiting()
        self._appetite.slots = pool.slots
        if self.wide is not None and (run := self.wide.ready(self._free())):
            self._hand_out([run])
        want = self._want(waiting)
        if inbox.outcomes or inbox.parts or self.settler.runs or (self._due and want):
            pause = PAUSE - (now - self._turned)
            if pause < 1e-6 or inbox.urgent or pool.hungry():
                self.turn(want if self._due else 0)
            else:
                inbox.pause(pause, pool.hungry)
        elif waiting and now - self._moved >= STUCK:
            self.hand_back()
            self._appetite.stuck()
        elif self._fresh:
            self._fresh = False
            inbox.sleep(min(limit, HEAD_START))
        elif want:
            self._wait(limit)
        elif self._suspects.wanted and not self.held and self.open and not self.pauses:
            self._pick(*self._suspects.wanted)
        else:
            until_stuck = STUCK - (now - self._moved) if waiting else LONGEST_SLEEP
            self._rest(max(0.0, min(limit, until_stuck, PATIENCE if self._suspects.wanted else LONGEST_SLEEP)))

    def _want(self, waiting: int) -> int:
        """How many more claims there is room for."""
        if not self.open or self.pauses or self._suspects.closed:
            return 0
        want = self._appetite.want(max(0, self._free() + waiting), waiting, cautious=self._cautious()) + self._pool.room
        if self._suspects.wary:
            want = min(want, 1)
        if self._max_jobs is not None:
            want = min(want, self._max_jobs - self._journal.counters.ran - len(self.held))
        return max(0, want)

    def _free(self) -> int:
        """Slots for which nothing is held; less than none when something waits in the hand."""
        busy = len(self.held) - len(self._inbox.outcomes) - len(self.settler.runs) - self._pool.crowd
        return self._pool.slots - busy - (self.wide.beside(self._pool.slots) if self.wide else 0)

    def _cautious(self) -> bool:
        """Whether to claim no more than can start at once."""
        return self._suspects.running or bool(self.wide) or (self._appetite.mean < WINDOW and self._restraint.holds(self._lookout.known))

    # A turn

    def turn(self, want: int) -> None:
        """Settle what has ended and claim up to `want`, in one commit."""
        self.collect()
        names = self._lookout.turn(fresh=self._drain and not self.held) if want else []
        lents: list[Lent] = []
        stopped: list[Stopped] = []
        taken = self._boot()

        def claim(store: Store) -> None:
            try:
                lents.extend(store.claim(names, want, self._shift.lease, self._shift.link.holder()))
            except Stopped as error:  # caught here, so that it does not undo the outcomes in the same commit
                stopped.append(error)

        try:
            made = self.settler.settle(claim if names else None)
        except StoreError:
            self._undo(lents, taken)
            raise
        self._turned = self.answered = self._boot()
        self._backoff = 0.0
        if not made:
            self._undo(lents, taken)
        elif lents:
            self._claimed(want, lents, taken)
            self._due = self._drain or len(lents) >= want  # if the store has more all the same, its wait will say so
        elif want:
            self._due = False
            if self._drain and not stopped:
                self._found_empty(names)

    def collect(self) -> None:
        """Take the outcomes out of the inbox, and what runs tell meanwhile."""
        outcomes, runs = self._inbox.outcomes, []
        self._inbox.urgent = False
        parts = self._inbox.parts and self._inbox.take_parts()
        while outcomes:
            runs.append(outcomes.popleft())
        if parts:
            self.settler.parts.extend(parts)
        if not runs:
            return
        self._moved = self._boot()
        spent = [run.ended - run.started for run in runs if run.started]
        if spent:
            seconds = sum(spent)
            self.busy += seconds
            self._appetite.ended(len(spent), seconds)
        self.settler.add(runs)

    def hand_back(self) -> None:
        """Empty the hand: what has not started goes back, uncounted, with the next turn."""
        back = self._pool.recall() + (self.wide.recall() if self.wide else [])
        for run in back:
            run.hand_back()
        self.settler.add(back)

    def _claimed(self, asked: int, lents: Sequence[Lent], taken: float) -> None:
        self._appetite.claimed(asked, lents)
        self._restraint.claimed(lents)
        self._lookout.busy()
        self._miss, self._empty, self._patient_until, self._idle = 0.0, False, 0.0, False
        runs = self._runs(lents, taken)
        room = asked if self._max_jobs is not None else len(runs)  # a store may lend more than was asked for
        self.claimed = taken
        if not self.open or self.pauses:
            room = 0  # the order came while the store was claiming
        for run in runs[room:]:
            run.hand_back()
            self.settler.add((run,))
        del runs[room:]
        if self.usher is not None and runs:
            runs, back = self.usher.admit(runs)
            self.settler.add(back)
        if any(run.lent.deaths for run in runs):
            runs = self._without_suspects(runs)
        if self._awaited:
            for run in runs:
                self._awaited.pop(run.lent.job.id, None)
        if self.wide is not None and runs:
            runs, back = self.wide.admit(runs, self._free() + len(runs), self._pool.slots)
            for run in back:
                run.hand_back()
            self.settler.add(back)
        self._hand_out(runs)

    def _hand_out(self, runs: list[Run]) -> None:
        self._moved = self._boot()
        self._journal.taken(runs)
        self._pool.take(runs)
        self._fresh = True

    def _without_suspects(self, runs: list[Run]) -> list[Run]:
        """What may start of a claim with suspects in it. The others are handed back before one of these starts, and perhaps kills us."""
        start, refused = self._suspects.sort(runs, len(self.held) - len(runs))
        self._journal.tell("suspect", queue=runs[0].lent.job.queue, count=len(runs))
        if self._suspects.closed:
            self.hand_back()
        self.settler.add(refused)
        try:
            self.settler.settle()
        except StoreError:
            for run in start:
                run.hand_back()
                self._suspects.ended(run)
            self.settler.add(start)
            raise
        return start

    def _runs(self, lents: Sequence[Lent], taken: float) -> list[Run]:
        runs = [Run(lent, self._shift, taken) for lent in lents]
        attend(runs, early=Feature.ATOMIC not in self._shift.link.store.features)
        for run in runs:
            self.held[run.lent.receipt] = run
            if not run.lent.until:  # an engine that cannot say
                run.lent.until = taken + self._shift.lease
        return runs

    def _undo(self, lents: Sequence[Lent], taken: float) -> None:
        """The commit that claimed these failed: they may be ours, or not. Back with them, in case."""
        for run in self._runs(lents, taken):
            run.hand_back()
            run.doubt = True
            self.settler.add((run,))

    def _gone(self, runs: Sequence[Run]) -> None:
        """These are no longer held."""
        for run in runs:
            self.held.pop(run.lent.receipt, None)
            if self.wide:
                self.wide.gone(run)
            if run.lent.deaths:
                self._suspects.ended(run)
            if self._drain and (back := _comes_back(run)):
                self._awaited[run.lent.job.id] = self._boot() + back

    def _found_empty(self, names: Sequence[str]) -> None:
        """Nothing was due. A drain may end once it holds nothing, waits for no retry of its own, and no job of the dead comes back."""
        now, self._empty = self._boot(), True
        self._awaited = {job_id: due for job_id, due in self._awaited.items() if due > now - LATE}
        if not self._patient_until and not self.held:
            elsewhere = any(counts.running for counts in self._shift.link.store.counts(names).values())
            self._patient_until = now + RESCUE if elsewhere else now

    # Sleeping in the store

    def _wait(self, limit: float) -> None:
        if not self._idle and not self.held:
            self._idle = True
            self.on_idle()
        store, names, start = self._shift.link.store, self._lookout.names(), self._boot()
        sleep = min(limit, self._lookout.sleep(), BUSY_SLEEP if self.held else LONGEST_SLEEP)
        if self._drain and not self.held:  # then look again whether it may end
            again = min(self._awaited.values()) + LATE if self._awaited else self._patient_until
            sleep = min(sleep, max(0.0, again - start))
        if self.desk is not None:
            if self._miss and start - self._read_at >= LONGEST_MISS:
                self._read_orders()  # the wake-up that brought no job may have been for one
            names = [*names, self.desk.queue]
        if self.beside:
            if self._miss:
                self.on_miss()
            names = [*names, *self.beside]
        if not names:
            self._inbox.sleep(sleep)
            woken = False
        else:
            if self._miss and self._inbox.nap(self._miss):
                return  # an order: it would be forgotten in a sleep that nothing ends
            look = self._inbox.stirred
            if self.usher is not None and (ends := self.usher.ends):
                names, look = [*names, *ends], self._look_for_ends
            woken = self._inbox.sleep_in(lambda: store.wait(names, sleep, look), store.wake)
            self.answered = self._boot()
            self._look_at = self.answered + ORDERS
        if woken:
            self.woken += 1
            self._due = True
            self._miss = min(2 * self._miss or FIRST_MISS, LONGEST_MISS)
        elif self._boot() - start >= sleep:
            self._miss = 0.0
            self._lookout.idle()
            self._due = (self._drain and not self.held) or sleep == LONGEST_WAIT

    def _look_for_ends(self) -> bool:
        """Before it sleeps, once rings would be heard: whether there is something else to do, or a job that had to wait may start now."""
        return self._inbox.stirred() or (self.usher is not None and self.usher.look())

    def _rest(self, seconds: float) -> None:
        """Sleep: there is no room for claims, so only an outcome or an order can change anything."""
        inbox, desk, store = self._inbox, self.desk, self._shift.link.store
        if desk is None:
            inbox.sleep(seconds)
            return
        limit = LONGEST_WAIT
        if self.held:
            now = self._boot()
            if (noise := self._moved + QUIET - now) > 0:
                inbox.sleep(min(seconds, noise, max(0.0, self._look_at - now)))
                return
            limit = BUSY_SLEEP
        woken = inbox.sleep_in(lambda: store.wait((desk.queue,), min(seconds, limit), inbox.stirred), store.wake)
        self._look_at = self._boot() + ORDERS  # that wait has looked
        if woken and not self._read_orders():
            inbox.sleep(LONGEST_MISS)  # a ring for nothing; should they come in plenty, this is no busy loop

    def _read_orders(self) -> bool:
        """One question to the store: now and then while jobs come and go, else after a wake-up that no job explains. Whether there were
        any."""
        self._read_at = self._boot()
        self._look_at = self._read_at + LONGEST_ORDERS  # should the store fail
        found = self.desk is not None and self.desk.read() > 0
        now = self._boot()
        self._look_at = now + min(max(ORDERS, SHARE * (now - self._read_at)), LONGEST_ORDERS)
        if found:
            self._miss = 0.0
        return found

    def _pick(self, queue: str, job_id: str) -> None:
        """Nothing else is held: take the suspect that waits to run alone. On an engine without `pick`: one job, whichever comes."""
        self._suspects.wanted = None
        store, taken = self._shift.link.store, self._boot()
        if Feature.PICK not in store.features:
            self.turn(1)
            return
        lents = [lent for lent in store.pick(queue, (job_id,), self._shift.lease, self._shift.link.holder()) if lent]
        if lents:
            self._claimed(1, lents, taken)

    # When the store fails

    def _failed(self, error: StoreError, limit: float) -> None:
        """Outcomes are kept while their leases last; everything is tried again after a while."""
        if self._shift.link.closed:
            raise error
        if not self._backoff:
            self._journal.warn("the store failed, and is tried again until it answers: %s", one_line(error))
        self.settler.drop(self._boot())
        self._backoff = min(2 * self._backoff or FIRST_BACKOFF, LONGEST_BACKOFF)
        from random import random

        self._inbox.nap(min(limit, self._backoff * (0.5 + random() / 2)))
        self._due = True


def _comes_back(run: Run) -> float:
    """After how long a drain should look for this one again: a failed try, or a suspect that waits its turn. 0: not at all."""
    if run.handback is None or run.end not in (End.RETRIED, End.RETURNED):
        return 0.0
    attempt = run.handback.attempt
    if attempt is not None and attempt.outcome == "returned":
        return 0.0
    return max(run.handback.delay, SOON) if run.end is End.RETRIED else run.handback.delay
