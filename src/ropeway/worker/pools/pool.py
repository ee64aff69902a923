"""What the ferry needs of whatever runs the jobs, and the step before all others, which every pool takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..replies import begun
from ..run import Run


class Pool(Protocol):
    """It takes claims, stops one, and reports outcomes (to the inbox it was made with)."""

    slots: int  # how many run at once
    stuck: int  # how many slots hang in runs that were given up, and were replaced

    @property
    def crowd(self) -> int:
        """How many more runs have started than slots are taken: the mates in batches."""
        ...

    @property
    def room(self) -> int:
        """How many more would go into batches that wait for them in a slot."""
        ...

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
        """Those that have not started: they are no longer the pool's. What is on its way back is reported as it comes."""
        ...

    def running(self) -> list[Run]:
        """Those that have started and are not reported."""
        ...

    def disown(self, run: Run) -> bool:
        """Nobody waits for this one any more: whatever it comes to is not reported. False: it has been."""
        ...

    def resize(self, slots: int) -> None:
        """Have so many slots from now on. What runs in a slot too many runs to its end. From any thread."""
        ...

    def host(self, work: Callable[[], int]) -> int:
        """Call `work` in another thread, give this one to the pool until it has ended, and answer what it answered."""
        ...

    def open(self) -> None: ...
    def close(self) -> None: ...


def expired(run: Run, now: float, fresh: float) -> bool:
    """Whether the run must not start any more. It is handed back then; if its lease is over, in vain. Else whoever calls for it is told.

    Its lease has less left than `fresh`: the keeper is late, or this process stood still (SIGSTOP, suspend) with it in the hand. Or
    its ttl went by in the hand: the store's clock decides that, at its next claim.
    """
    lent = run.lent
    if now <= lent.until - fresh and not (lent.job.ttl and _old(run, now)):
        if run.caller is not None:
            begun(run)
        return False
    run.hand_back()
    run.stale = True
    return True


def _old(run: Run, now: float) -> bool:
    return now - run.taken > min(1.0, run.lent.job.ttl / 2) and run.shift.link.clock.now() >= run.lent.job.expires()
