"""The planter: puts the jobs of schedules when their ticks come, in each worker, in a thread of its own. There is no leader.

All workers look at the same records (schedule.py), and whoever claims a record plants its tick: puts the job, and gives the record back
with the tick after, in one commit. Where a commit is not all or nothing, the job is put first: should the planter die between the two,
another one claims the record and puts the same job again, with the same id, which the store takes for the same put as long as the job is
there. So it is kept for a minute when done.

It sleeps until the next record is due, or until the ferry, which waits for the records beside its queues, was woken by something that is
no job. A busy worker does not wait in the store, so its planter looks each half minute by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from ..errors import BadBody, RopewayError, Stopped, StoreError
from ..events import Event, tell
from ..failure import one_line
from ..job import Attempt, State
from ..link import Link
from ..schedule import HOLD, LEASE, NEEDS, QUEUE, Schedule, plan, read_record, record_job, store_now, tick_id, tick_job, wait
from ..schedules import Coded, Schedules
from ..store import Feature, Handback, Lent, Query
from .inbox import Bell

JOIN = 5.0  # seconds for a look to end that is under way
LOOK = 30.0  # seconds between two looks of a busy worker when nothing is known to be due,
LONGEST = 600.0  # and of an idle one, whose ferry hears of everything
BATCH = 32  # records a claim
STOPPED = 10.0  # seconds until a tick is tried again whose queue takes no jobs,
REFUSED = 60.0  # or whose job the store refuses to carry
AGAIN = 0.2  # seconds between two looks for the ferry's sake, when the first brought nothing
FIRST_BACKOFF, LONGEST_BACKOFF = 0.2, 10.0
_QUEUES = (QUEUE,)
_WAITING = frozenset({State.READY, State.DELAYED})


class _Lost(Exception):
    """Another has the record by now: what the commit has put must not stay."""


class Planter:
    """One worker's. `resting` answers whether it is to plant nothing, since the worker is paused or ends; `idle`, whether its ferry waits
    in the store; `asked`, what the code asks for. `warn` takes a line for people.

    `watch` is told what the ferry is to wait for beside its queues (nothing, while planting fails: it would wake for what nobody takes),
    and `ring` is what the ferry calls when it was woken for no job.
    """

    def __init__(
        self,
        link: Link,
        resting: Callable[[], bool],
        warn: Callable[..., None],
        idle: Callable[[], bool] = lambda: False,
        asked: Callable[[], Sequence[Coded]] = lambda: (),
    ) -> None:
        self.watch: Callable[[tuple[str, ...]], None] = lambda _: None
        self._link = link
        self._resting = resting
        self._idle = idle
        self._asked = asked
        self._warn = warn
        self._bell = Bell()
        self._ended = False
        self._thread: threading.Thread | None = None
        self._ahead = 0.0  # how much the store's clock is before ours
        self._rung = 0.0
        self._backoff = 0.0
        self._warned: set[str] = set()
        self._written = False

    def start(self) -> None:
        """Raises Unsupported when the code asks for schedules on an engine that cannot keep them."""
        if not self._link.store.features >= NEEDS:
            if self._asked():
                Schedules(self._link).browse()  # says what is missing
            return
        self._thread = threading.Thread(target=self._run, name="ropeway-planter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended = True
        self._bell.ring()
        if self._thread is not None:
            self._thread.join(JOIN)

    def ring(self) -> None:
        """Something may be due that is no job of the worker's. From any thread, as often as one likes."""
        now = self._link.clock.boot()
        if now - self._rung >= AGAIN:
            self._rung = now
            self._bell.ring()

    def _run(self) -> None:
        clock = self._link.clock
        while not self._ended:
            try:
                pause, self._backoff = self.look(), 0.0
                self.watch(_QUEUES)
            except Exception as error:  # noqa: BLE001 - whatever it is, schedules must not end with it
                if self._ended or self._link.closed:
                    return
                self.watch(())
                pause = self._failed(error)
            until = clock.boot() + pause
            while not self._ended and not clock.sleep(self._bell, min(LOOK, max(0.0, until - clock.boot()))):
                if clock.boot() >= until or not self._idle():
                    break

    def _failed(self, error: Exception) -> float:
        """Say it once; seconds until the next try."""
        if not self._backoff:
            self._warn("schedules could not be planted, and are tried again: %s", one_line(error))
        self._backoff = min(2 * self._backoff or FIRST_BACKOFF, LONGEST_BACKOFF)
        return self._backoff

    def look(self) -> float:
        """Write down what the code asks for, plant what is due; seconds until the next look. Raises StoreError when the store failed."""
        if self._resting():
            return LOOK
        if not self._written:
            self.write()
            self._written = True
        store, link = self._link.store, self._link
        while True:
            first = store.browse(Query(queues=_QUEUES, states=_WAITING, limit=1))
            if not first:
                return LONGEST
            if first[0].state is not State.READY:
                return max(0.0, min(LONGEST, first[0].due - link.clock.now() - self._ahead))
            try:
                lents = store.claim(_QUEUES, BATCH, LEASE, link.holder())
            except Stopped:
                return LONGEST
            if not lents:
                return AGAIN
            now = store_now(link, lents, LEASE)
            self._ahead, started = now - link.clock.now(), link.clock.boot()
            for lent in lents:
                self.plant(lent, now + link.clock.boot() - started)

    def write(self) -> None:
        """Write down what the code asks for."""
        schedules = Schedules(self._link)
        for one in self._asked():
            try:
                told = schedules.code(one.made())
            except StoreError:
                raise
            except RopewayError as error:
                self._warn("schedule %s of the code was not written down: %s", one.name, one_line(error))
            else:
                if told == "operator":
                    self._warn("schedule %s was added by hand, so the one of the code was not written down", one.name)

    def plant(self, lent: Lent, now: float) -> None:
        """Put the jobs of a claimed schedule that are due, and give it back."""
        store = self._link.store
        try:
            old = read_record(lent.job)
        except BadBody as error:
            self._warn("%s", one_line(error))
            attempt = Attempt(lent.attempt, now, now, self._link.holder().name, "failed", one_line(error))
            store.bury([Handback(lent.receipt, attempt=attempt)])
            return
        try:
            self._plant(lent, old, now)
        except _Lost:
            pass
        except StoreError:
            raise
        except RopewayError as error:
            if old.name not in self._warned:
                self._warned.add(old.name)
                self._warn("a tick of schedule %s was not planted, and is tried again: %s", old.name, one_line(error))
            store.nack([Handback(lent.receipt, STOPPED if isinstance(error, Stopped) else REFUSED, restore=True)])
        else:
            self._warned.discard(old.name)

    def _plant(self, lent: Lent, old: Schedule, now: float) -> None:
        store, record = self._link.store, lent.job.id
        atomic = Feature.ATOMIC in store.features
        ticks, new = plan(old, now)
        jobs = [tick_job(new, record, tick, now, 0.0 if atomic else HOLD) for tick in ticks]
        if jobs:
            new = replace(new, last_id=tick_id(record, ticks[-1]))
        edit = record_job(new, record) if new != old else None
        back = [Handback(lent.receipt, wait(new, now), restore=True, edit=edit)]
        if not jobs:
            store.nack(back)
            return
        if not atomic and not store.extend([lent.receipt], LEASE)[0]:
            return
        with store.commit():
            store.put(jobs)  # False: a schedule of this name that was deleted has planted the same tick
            if not store.nack(back)[0] and atomic:
                raise _Lost
        self._tell(jobs[0].queue, [job.id for job in jobs])

    def _tell(self, queue: str, ids: Sequence[str]) -> None:
        if listeners := self._link.listeners:
            tell(listeners, Event("planted", queue, len(ids), ids=tuple(ids)))
