"""Waiting for jobs to end: the store rings for each end that leaves something to read, one sleeper looks for all who wait in this process.

Behind the bell stands a slow poll, for ends that leave nothing (deleted, expired, done without `keep`) and for rings that were lost.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from ..durations import Duration, seconds
from ..errors import StoreError
from ..job import State
from ..link import Link
from ..names import ended
from ..store import Entry, Query
from .lead import Lead, Slip

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

ENDED = frozenset({State.DONE, State.DEAD})
FIRST_POLL, LONGEST_POLL = 1.0, 5.0  # seconds between two looks without a ring
SHARE = 4  # a look is followed by so many times its own length without one: where many wait, many ends make one look
FIRST_MISS, LONGEST_MISS = 0.0005, 0.05  # after a ring that was for another job: a busy queue rings for each

_NEARLY = 0.001

End = tuple[str, Entry | None]  # a job's id, and what is left of it


class Waiter:
    """One who waits for jobs of one queue: a thread, or a future of an event loop."""

    def __init__(self, queue: str, ids: Collection[str]) -> None:
        self.queue = queue
        self.left = dict.fromkeys(ids)
        self.slip = Slip()
        self.heard: deque[End] = deque()
        self.error: Exception | None = None
        self.loop: AbstractEventLoop | None = None
        self.future: Future[Entry | None] | None = None

    def hear(self, job_id: str, entry: Entry | None) -> None:
        """One of them has ended."""
        self.left.pop(job_id, None)
        self.heard.append((job_id, entry))
        self._tell()

    def fail(self, error: Exception) -> None:
        """It cannot be known."""
        self.error = error
        self._tell()

    def _tell(self) -> None:
        self.slip.ring()
        if self.loop is not None:
            try:
                self.loop.call_soon_threadsafe(self._answer)
            except RuntimeError:  # the loop was closed with its waiters
                pass

    def _answer(self) -> None:
        if self.future is None or self.future.done():
            return
        if self.heard:
            self.future.set_result(self.heard[0][1])
        elif self.error is not None:
            self.future.set_exception(self.error)


class Endings:
    """All who wait for ends in one connection."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiters: set[Waiter] = set()
        self._awaiting = 0  # of them in event loops
        self._lock = threading.Lock()
        self._poll, self._miss = FIRST_POLL, 0.0
        self._found = False  # the last look told somebody something
        self._asked, self._until = False, 0.0  # whether this lap has looked; when it ends
        self._looked = self._spent = 0.0  # when the last look ended, and how long it took
        self._rung = False  # the last sleep was ended by a ring, and nobody has looked yet
        self.lead = Lead(link.clock, self._lap, lambda: self._awaiting > 0, lambda: link.store.wake(), "ropeway-endings")
        link.at_close.append(self.close)

    @contextmanager
    def waiting(self, waiter: Waiter) -> Iterator[None]:
        """From here on the waiter hears of ends."""
        with self._lock:
            self._waiters.add(waiter)
            self._awaiting += waiter.loop is not None
            self._poll = FIRST_POLL
        self.lead.called_back()  # whoever sleeps now does not sleep for this one
        if waiter.loop is not None:
            self.lead.help()
        try:
            yield
        finally:
            with self._lock:
                self._waiters.discard(waiter)
                self._awaiting -= waiter.loop is not None

    def wait(self, waiter: Waiter, deadline: float | None) -> bool:
        """In a thread: until it has heard something; False when the time is up. Raises StoreError when it cannot be known."""
        heard = self.lead.wait(waiter.slip, lambda: bool(waiter.heard) or waiter.error is not None, deadline)
        if self.lead.closing and not waiter.heard:
            raise closed()
        if waiter.error is not None:
            raise waiter.error
        return heard

    def close(self) -> None:
        self.lead.close()
        for waiter in list(self._waiters):
            waiter.fail(closed())

    def _lap(self, left: float) -> None:
        pause = max(self._miss if self._rung else 0.0, self._looked + SHARE * self._spent - self._link.clock.boot())
        if pause > 0:
            self._link.clock.sleep(threading.Event(), min(left, pause, LONGEST_MISS))
        queues = {waiter.queue for waiter in list(self._waiters)}
        nap = min(left, self._poll)
        self._asked, self._until = False, self._link.clock.boot() + nap
        try:
            self._rung = self._link.store.wait([ended(queue) for queue in sorted(queues)], nap, self._look) and not self._found
        except Exception as error:  # noqa: BLE001 - it belongs to all who wait
            for waiter in list(self._waiters):
                waiter.fail(error)
            return
        if self._found:
            self._poll, self._miss = FIRST_POLL, 0.0
        elif not self._rung and nap == self._poll:
            self._poll = min(2 * self._poll, LONGEST_POLL)

    def _look(self) -> bool:
        """Look for all; whether somebody was told something. Not again when the sleep is over: the next one begins with a look."""
        if self._asked and self._link.clock.boot() >= self._until - _NEARLY:
            return False
        self._asked = True
        groups: dict[str, list[Waiter]] = {}
        with self._lock:
            for waiter in self._waiters:
                if waiter.left and waiter.error is None:
                    groups.setdefault(waiter.queue, []).append(waiter)
        self._found, began = False, self._link.clock.boot()
        for queue, waiters in groups.items():
            try:
                over = look(self._link, queue, dict.fromkeys(job_id for waiter in waiters for job_id in list(waiter.left)))
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait
                self._found = True
                for waiter in waiters:
                    waiter.fail(error)
                continue
            for waiter in waiters:
                for job_id in [job_id for job_id in waiter.left if job_id in over]:
                    self._found = True
                    waiter.hear(job_id, over[job_id])
        self._looked = self._link.clock.boot()
        self._spent = self._looked - began
        if self._rung and not self._found:
            self._miss = min(2 * self._miss or FIRST_MISS, LONGEST_MISS)
        self._rung = False
        return self._found


def of(link: Link) -> Endings:
    """Those who wait for ends in this connection."""
    made = link.endings
    if made is None:
        made = link.share(lambda: Endings(link), "endings")
    return cast("Endings", made)


def look(link: Link, queue: str, ids: Collection[str]) -> dict[str, Entry | None]:
    """Those of the jobs that have ended: with their entry, or None for one that has left the store."""
    found = {entry.job.id: entry for entry in link.store.browse(Query(queues=(queue,), ids=tuple(ids), limit=None))}
    return {job_id: found.get(job_id) for job_id in ids if job_id not in found or found[job_id].state in ENDED}


def endings(link: Link, queue: str, ids: Collection[str], timeout: Duration | None) -> Generator[End, None, None]:
    """The jobs as they end, each with its entry (None when it left the store); stops when all have, or when the time is up."""
    boot = link.clock.boot
    deadline = None if timeout is None else boot() + seconds(timeout, "timeout")
    left = dict.fromkeys(ids)
    if left:
        over = look(link, queue, tuple(left))
        for job_id, entry in over.items():
            del left[job_id]
            yield job_id, entry
    if not left or (deadline is not None and deadline <= boot()):
        return
    waiter, all_of = Waiter(queue, left), of(link)
    with all_of.waiting(waiter):
        while left and all_of.wait(waiter, deadline):
            while waiter.heard:
                job_id, entry = waiter.heard.popleft()
                if job_id in left:
                    del left[job_id]
                    yield job_id, entry


def closed() -> StoreError:
    """For those who wait while the connection is closed."""
    return StoreError("the connection was closed while the end of a job was waited for; the job goes on", definite=True)
