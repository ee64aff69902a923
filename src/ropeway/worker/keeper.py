"""The keeper: renews the leases of all that is held, from a thread that no job can block for long, and tells a run that its lease is lost.

A tick comes each third of the lease, so two whole thirds may pass unanswered, while a C call holds the interpreter or the store is away,
before anything is lost. It renews all that is held, also what has ended and waits for the store to be settled; but not a run that is past
its deadline: one that hangs must lose its lease in the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ..errors import RopewayError, StoreError
from ..failure import one_line
from ..handle import CANCEL
from ..store import Feature
from .journal import Journal
from .pools.pool import Pool
from .run import Run, Shift, Verdict

CHUNK = 500  # leases a call
OVERTIME = 10.0  # seconds after its deadline for which a run's lease is still renewed
LOOK = 1.0  # seconds between two looks for jobs that were called back


class Keeper:
    """`held` answers the runs to keep; `stop` ends one whose verdict stands. `tick` and `look` do the work, the thread only calls them."""

    beat: Callable[[], None] = staticmethod(lambda: None)  # what else is to be done each second or so; it raises nothing

    def __init__(self, shift: Shift, journal: Journal, held: Callable[[], Sequence[Run]], stop: Callable[[Run], object]) -> None:
        self._shift = shift
        self._journal = journal
        self._held = held
        self._stop = stop
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False

    def use(self, pool: Pool) -> None:
        """Another pool than it was made with; before `start`."""
        self._stop = pool.stop

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ropeway-keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        clock, third = self._shift.link.clock, self._shift.lease / 3
        next_tick = clock.boot() + third
        while not clock.sleep(self._end, max(0.0, min(next_tick - clock.boot(), LOOK))):
            if clock.boot() >= next_tick:
                next_tick = clock.boot() + third
                self._safely(self.tick)
            self._safely(self.look)
            self.beat()

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._failing = False
        except RopewayError as error:
            if not self._failing:
                self._journal.warn("leases could not be renewed, and are tried again: %s", one_line(error))
            self._failing = True

    def tick(self) -> None:
        """Renew every lease. Raises StoreError when the store failed; those whose lease has ended meanwhile are told."""
        boot, lease = self._shift.boot, self._shift.lease
        now = boot()
        runs = [run for run in self._held() if not run.verdict and (run.ended or now < run.deadline + OVERTIME)]
        runs = [run for run in runs if run.lent.until <= now + lease]  # a run may have taken more for itself
        for start in range(0, len(runs), CHUNK):
            chunk = runs[start : start + CHUNK]
            before = boot()
            try:
                answers = self._shift.link.store.extend([run.lent.receipt for run in chunk], lease)
            except StoreError:
                for run in runs[start:]:
                    if run.lent.until < boot() and not run.ended:
                        self._lost(run)
                raise
            for run, kept in zip(chunk, answers, strict=True):
                if kept:
                    run.lent.until = before + lease
                elif not run.ended and run.handback is None:  # else it was settled while we asked
                    self._lost(run)

    def look(self) -> None:
        """Stop the runs whose jobs were called back (`Handle.cancel`). Only those that have run for a while are worth the question."""
        store, now = self._shift.link.store, self._shift.boot()
        runs = {run.lent.job.id: run for run in self._held() if run.started and not run.ended and now - run.started > LOOK}
        if not runs or Feature.NOTES not in store.features:
            return
        for note in store.notes.notes(CANCEL):
            run = runs.get(note.removeprefix(CANCEL))
            if run is not None and not run.verdict:
                run.verdict = Verdict.CANCELLED
                self._stop(run)
                store.notes.forget(note)

    def _lost(self, run: Run) -> None:
        if not run.verdict:
            run.verdict = Verdict.LOST
            if run.claim is not None:
                run.claim.lost.ring()
            if run.started:
                self._stop(run)
