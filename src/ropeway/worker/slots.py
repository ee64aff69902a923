"""The thread pool: slots that take from one hand, run, and report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Protocol

from .execution import Work
from .hand import Hand
from .inbox import Inbox
from .judge import Judge
from .run import Run, Shift


class Pool(Protocol):
    """What the ferry needs of whatever runs the jobs: it takes claims, stops one, and reports outcomes (to the inbox it was made with)."""

    slots: int  # how many run at once

    def take(self, runs: Sequence[Run]) -> None:
        """Run these, as slots become free."""
        ...

    def stop(self, run: Run) -> bool:
        """End this one, whose verdict stands already; it will be reported. False: it cannot be."""
        ...

    def waiting(self) -> int:
        """How many have not started."""
        ...

    def hungry(self) -> bool:
        """Whether a slot has nothing to do."""
        ...

    def recall(self) -> list[Run]:
        """Those that have not started: they are no longer the pool's."""
        ...

    def running(self) -> list[Run]:
        """Those that have started and are not reported."""
        ...

    def disown(self, run: Run) -> bool:
        """Nobody waits for this one any more: whatever it comes to is not reported. False: it has been."""
        ...

    def open(self) -> None: ...
    def close(self) -> None: ...


class ThreadPool:
    """Slots that are threads. A daemon each: a job that cannot be stopped must not keep the process from ending."""

    def __init__(self, slots: int, shift: Shift, inbox: Inbox, judge: Judge, make_work: Callable[[Callable[[Run], None]], Work]) -> None:
        self.slots = slots
        self._shift = shift
        self._inbox = inbox
        self._judge = judge
        self._hand = Hand(inbox.hungry)
        self._running: dict[int, Run] = {}  # by the slot's number; who pops a run is the one who reports it
        self._work = make_work(self._abandon)
        self._context: Context | None = None
        self._made = 0

    def open(self) -> None:
        self._context = copy_context()
        for _ in range(self.slots):
            self._start()

    def take(self, runs: Sequence[Run]) -> None:
        self._hand.give(runs)

    def stop(self, run: Run) -> bool:
        stop = run.stop
        if stop is not None:
            stop()
        return stop is not None

    def waiting(self) -> int:
        return len(self._hand)

    def hungry(self) -> bool:
        return self._hand.idle > 0

    def recall(self) -> list[Run]:
        return self._hand.recall()

    def running(self) -> list[Run]:
        return list(self._running.values())

    def disown(self, run: Run) -> bool:
        for slot, one in list(self._running.items()):
            if one is run:
                return self._running.pop(slot, None) is not None
        return False

    def close(self) -> None:
        self._hand.close(self._made)
        self._work.close()

    def _start(self) -> None:
        number = self._made
        self._made += 1
        threading.Thread(target=self._serve, args=(number,), name=f"ropeway-slot-{number}", daemon=True).start()

    def _serve(self, slot: int) -> None:
        take, wait, report = self._hand.take, self._hand.wait, self._inbox.report
        boot, work, running, fresh = self._shift.boot, self._work, self._running, self._shift.lease / 3
        assert self._context is not None
        new_context = self._context.copy
        while True:
            try:
                run = take()
            except IndexError:
                if not wait():
                    return
                continue
            now = boot()
            if run.verdict:
                self._judge.overruled(run)
            elif not expired(run, now, fresh):
                run.started = now
                running[slot] = run
                new_context().run(work, run)  # a context of its own: what one job sets in it the next never sees
                if running.pop(slot, None) is None:
                    return  # abandoned meanwhile: it was reported, and another slot stands in for this one
            run.ended = boot()
            report(run)

    def _abandon(self, run: Run) -> None:
        """It did not end at its timeout, and its slot hangs in it: settle it as timed out, and go on with a new slot."""
        if self.disown(run):
            self._judge.overruled(run)
            run.ended = self._shift.boot()
            self._inbox.report(run)
            self._start()


def expired(run: Run, now: float, fresh: float) -> bool:
    """The step before all others: whether the run must not start any more. It is handed back then; if its lease is over, in vain.

    Its lease has less left than `fresh`: the keeper is late, or this process stood still (SIGSTOP, suspend) with it in the hand. Or
    its ttl went by in the hand: the store's clock decides that, at its next claim.
    """
    lent = run.lent
    if now <= lent.until - fresh and not (lent.job.ttl and _old(run, now)):
        return False
    run.hand_back()
    run.stale = True
    return True


def _old(run: Run, now: float) -> bool:
    return now - run.taken > 1.0 and run.shift.link.clock.now() >= run.lent.job.expires()
