"""The claimer: one thread that takes jobs for all who await a claim, so that a thousand of them cost one sleep and one store call."""

from __future__ import annotations

import threading
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable, Collection
from queue import SimpleQueue
from typing import Any

from ..claim import sound
from ..errors import Stopped, StoreError
from ..link import Link
from ..store import Lent
from .writer import GROUP, Request, Told, answer

# A wake-up meant for this thread can be taken by another that waits in the same store; then this is how late a newcomer's first look is.
_LONGEST_WAIT = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02  # after a wake-up that brought nothing


class Wanted(Request):
    """A wish for up to `limit` jobs of `queue`, answered with what came, or with nothing at the `deadline` (None: never)."""

    __slots__ = ("bound", "deadline", "give_back", "limit", "patient", "queue")

    def __init__(
        self,
        queue: str,
        limit: int,
        lease: float,
        deadline: float | None,
        patient: bool,  # wait while the queue is switched off, and say so only at the deadline
        future: Future[Any],
        loop: AbstractEventLoop,
        give_back: Callable[[list[Lent]], None],
        bound: bool = True,  # whether the claim ends with this process (store.Holder)
    ) -> None:
        super().__init__((), future, loop, lease)
        self.bound = bound
        self.queue = queue
        self.limit = limit
        self.deadline = deadline
        self.patient = patient
        self.give_back = give_back

    @property
    def gone(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.future is None or self.future.done()

    def unwanted(self, result: list[Lent] | None) -> None:
        if result:
            self.give_back(result)


class Claimer:
    """The thread, started by the first wish. `ask` may be called from any thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._asked: deque[Wanted] = deque()
        self._line: list[Wanted] = []  # who waits; changed by whoever holds `_serving`
        self._serving = threading.Lock()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False  # on the bell
        self._waiting = False  # in the store
        self._closing = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="ropeway-claimer", daemon=True)
        self._thread.start()

    def ask(self, wanted: Wanted) -> None:
        self._asked.append(wanted)
        self._ring()
        if self._ended:  # it came too late for the last look
            self._refuse()

    def offer(self, queues: Collection[str]) -> None:
        """This process has just put jobs there. Who waits for them here is given them by the thread that put them: no bell and no other
        thread lies between. Where the claimer is at it itself, it goes on as if nobody had come: the bell has rung as well. Who has asked
        only now is served too: on a busy machine the claimer may be long on its way."""
        if not (self._line or self._asked) or not self._serving.acquire(blocking=False):
            return
        try:
            if self._closing:
                return  # its thread may have ended: who asks is told so
            self._gather()
            waiting = [wanted for wanted in self._line if wanted.queue in queues and not wanted.gone]
            if waiting:
                left, _ = self._serve(waiting)
                served = set(map(id, waiting)).difference(map(id, left))
                self._line = [wanted for wanted in self._line if id(wanted) not in served]
        finally:
            self._serving.release()

    def close(self) -> None:
        """End; who still waits is told that the connection is closed."""
        self._closing = True
        self._bell.put(None)
        self._ring()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._ended = True
        self._refuse()

    def _refuse(self) -> None:
        error = StoreError("the connection was closed while a claim was awaited; nothing was claimed", definite=True)
        while self._asked:
            answer([(self._asked.popleft(), None, error)])

    def _ring(self) -> None:
        if self._asleep:
            self._asleep = False
            self._bell.put(None)
        elif self._waiting:
            self._link.store.wake()

    def _run(self) -> None:
        pause = 0.0
        while not self._closing:
            with self._serving:
                self._gather()
            if not self._line:
                self._sleep()
                continue
            try:
                with self._serving:
                    self._line, got = self._serve(self._line)
                    line = self._line
                if got or not line:
                    pause = 0.0  # also for those who come next
                if line:
                    pause = self._wait(line, pause)
            except Exception as error:  # noqa: BLE001 - every failure belongs to those who wait
                with self._serving:
                    answer([(wanted, None, error) for wanted in self._line])
                    self._line = []
        with self._serving:
            self._asked.extend(self._line)
            self._line = []

    def _gather(self) -> None:
        """For who holds `_serving`: all who have asked stand in line. It is a new one, so that the claimer sees that somebody was there."""
        line = [wanted for wanted in self._line if not wanted.gone]
        while self._asked:
            line.append(self._asked.popleft())
        self._line = line

    def _sleep(self) -> None:
        self._asleep = True
        if self._asked or self._line or self._closing:
            self._asleep = False
        else:
            self._bell.get()

    def _wait(self, line: list[Wanted], pause: float) -> float:
        link, now = self._link, self._link.clock.boot()
        left = min((wanted.deadline - now for wanted in line if wanted.deadline is not None), default=_LONGEST_WAIT)
        if pause:
            link.clock.sleep(threading.Event(), max(0.0, min(pause, left)))
        self._waiting = True
        try:
            if self._asked or self._closing or self._line is not line:
                return 0.0
            woken = link.store.wait(list(dict.fromkeys(wanted.queue for wanted in line)), max(0.0, min(left, _LONGEST_WAIT)))
        finally:
            self._waiting = False
        return min(2 * pause or _FIRST_PAUSE, _LONGEST_PAUSE) if woken else 0.0

    def _serve(self, line: list[Wanted]) -> tuple[list[Wanted], bool]:
        """Give what is due to those who wait, in the order in which they came; those who go on waiting, and whether anything was given."""
        now = self._link.clock.boot()
        groups: dict[tuple[str, float, bool], list[Wanted]] = {}
        for wanted in line:
            groups.setdefault((wanted.queue, wanted.lease, wanted.bound), []).append(wanted)
        told: list[Told] = []
        for (queue, lease, bound), group in groups.items():
            told.extend(self._claim(queue, lease, bound, group, now))
        answer(told)
        ended = {id(request) for request, _, _ in told}
        return [wanted for wanted in line if id(wanted) not in ended], any(lents for _, lents, _ in told)

    def _claim(self, queue: str, lease: float, bound: bool, group: list[Wanted], now: float) -> list[Told]:
        try:
            count = min(GROUP, sum(wanted.limit for wanted in group))
            lents = sound(self._link, self._link.store.claim((queue,), count, lease, self._link.holder(bound)))
            stopped = None
        except Stopped as error:
            lents, stopped = [], error
        except Exception as error:  # noqa: BLE001 - a failure of one queue must not reach those who wait for another
            return [(wanted, None, error) for wanted in group]
        told: list[Told] = []
        for wanted in group:
            over = wanted.deadline is not None and wanted.deadline <= now
            if lents:
                told.append((wanted, lents[: wanted.limit], None))
                del lents[: wanted.limit]
            elif stopped and (over or not wanted.patient):
                told.append((wanted, None, stopped))
            elif over:
                told.append((wanted, [], None))
        return told
