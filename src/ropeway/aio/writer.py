"""The writer: one thread that settles what many callers ask for at once. Requests gather while one commit runs; the next takes them all.

No timer and no buffer size: a busy system makes large groups by itself, an idle one answers at once. The group is taken by the thread,
not sent by the loop: a loop that sends group n + 1 as group n is answered splits its callers in two cohorts that take turns.
"""

from __future__ import annotations

import threading
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from queue import SimpleQueue
from typing import Any, TypeVar

from ..errors import RopewayError, Stopped, StoreError
from ..job import Checked
from ..link import Link
from .parcels import Parcel, deliver

GROUP = 1000  # jobs or receipts a commit: write transactions of a few milliseconds
VERBS = ("put", "publish", "ack", "nack", "bury", "extend")


class Request:
    """Some jobs, messages or receipts that one caller waits for. `future` is None when nobody does."""

    __slots__ = ("future", "lease", "loop", "what")

    def __init__(self, what: Sequence[Any], future: Future[Any] | None, loop: AbstractEventLoop | None, lease: float = 0.0) -> None:
        self.what = what
        self.future = future
        self.loop = loop
        self.lease = lease

    def unwanted(self, result: Any) -> None:
        """Told when the answer could not be given: the caller, or its event loop, is gone."""


E = TypeVar("E", bound=Exception)
Told = tuple[Request, Any, Exception | None]


class Writer:
    """The thread and its lanes, one for each verb. `join` may be called from any thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.offer: Callable[[Collection[str]], None] | None = None  # who claims beside us, and would hear by the bell otherwise
        self._lanes: dict[str, deque[Request]] = {verb: deque() for verb in VERBS}
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._closing = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="ropeway-writer", daemon=True)
        self._thread.start()

    def join(self, verb: str, request: Request) -> None:
        """Stand in line for the next commit. The answer is a list of True and False, or an exception, in the request's future."""
        self._lanes[verb].append(request)
        self._ring()
        if self._ended:  # it came too late for the last look
            self._refuse()

    def close(self) -> None:
        """Settle all that waits, then end."""
        self._closing = True
        self._bell.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._ended = True
        self._refuse()

    def _refuse(self) -> None:
        error = StoreError("the connection was closed meanwhile; nothing was done. Call ropeway.connect again", definite=True)
        for lane in self._lanes.values():
            while lane:
                answer([(lane.popleft(), None, error)])

    def _ring(self) -> None:
        if self._asleep:
            self._asleep = False
            self._bell.put(None)

    def _run(self) -> None:
        while True:
            busy = False
            for verb, lane in self._lanes.items():
                if lane and (group := self._next_group(lane)):
                    busy = True
                    self._settle(verb, group)
            if busy:
                continue
            if self._closing:
                return
            self._asleep = True
            if any(self._lanes.values()):  # the second look: whoever came before the flag was up did not ring
                self._asleep = False
                continue
            self._bell.get()

    def _next_group(self, lane: deque[Request]) -> list[Request]:
        """What is in line, without those who have stopped waiting: their jobs were never begun."""
        group: list[Request] = []
        count = 0
        while lane and count < GROUP:
            request = lane[0]
            if group and (count + len(request.what) > GROUP or request.lease != group[0].lease):
                break
            lane.popleft()
            if request.future is None or not request.future.cancelled():
                group.append(request)
                count += len(request.what)
        return group

    def _settle(self, verb: str, group: list[Request]) -> None:
        whats = [request.what for request in group]  # read once: who stops waiting now lets go of its jobs
        try:
            answers = self._call(verb, _joined(whats), group[0].lease)
        except Exception as error:  # noqa: BLE001 - every failure belongs to those who wait
            self._failed(verb, group, error)
            return
        told: list[Told] = []
        at = 0
        for request, what in zip(group, whats, strict=True):
            told.append((request, answers[at : at + len(what)], None))
            at += len(what)
        answer(told)
        if verb == "put" and self.offer is not None and not any(self._lanes.values()):  # else the next commit comes first
            self.offer({job.queue for what in whats for job in what})

    def _call(self, verb: str, what: Sequence[Any], lease: float) -> Sequence[Any]:
        if not what:
            return []
        store = self._link.store
        if verb == "extend":
            return store.extend(what, lease)
        if verb == "publish":
            return deliver(store, what)
        method = store.put if verb == "put" else store.ack if verb == "ack" else store.nack if verb == "nack" else store.bury
        return method(what)

    def _failed(self, verb: str, group: list[Request], error: Exception) -> None:
        """An unknown outcome is everyone's: nothing is tried again behind their backs. A definite one is somebody's: find whose."""
        unknown = not isinstance(error, RopewayError) or (isinstance(error, StoreError) and not error.definite)
        if unknown or len(group) == 1:
            answer([(request, None, error) for request in group])
            return
        if isinstance(error, Stopped) and error.queue:
            refused = [request for request in group if any(error.queue in _queues(one) for one in request.what)]
            if refused:
                answer([(request, None, error) for request in refused])
                if others := [request for request in group if request not in refused]:
                    self._settle(verb, others)
                return
        for request in group:
            self._settle(verb, [request])


def _queues(one: Any) -> set[str]:
    """Where something that is put goes to."""
    return {job.queue for job in one.jobs} if isinstance(one, Parcel) else {one.queue}


def _joined(whats: list[Sequence[Any]]) -> Sequence[Any]:
    """What several ask for as one batch; jobs that each of them has checked are checked."""
    if len(whats) == 1:
        return whats[0]
    flat = [one for what in whats for one in what]
    jobs = [what for what in whats if what.__class__ is Checked]
    if len(jobs) < len(whats):
        return flat
    return Checked(flat, sum(one.size for one in jobs), max(one.largest for one in jobs))


def answer(told: Iterable[Told]) -> None:
    """Give everyone their answer, with one call into each event loop."""
    loops: dict[AbstractEventLoop, list[Told]] = {}
    for one in told:
        if one[0].loop is not None:
            loops.setdefault(one[0].loop, []).append(one)
    for loop, group in loops.items():
        try:
            loop.call_soon_threadsafe(_set, group)
        except RuntimeError:  # the loop is closed, with callers still in it
            for request, result, _ in group:
                request.unwanted(result)


def _set(group: list[Told]) -> None:
    for request, result, error in group:
        future = request.future
        if future is None or future.done():
            request.unwanted(result)
        elif error is None:
            future.set_result(result)
        else:
            future.set_exception(own(error))


def own(error: E) -> E:
    """The error as one of several waiters may raise it: a shared one would collect all their tracebacks."""
    try:
        twin = copy(error)
    except Exception:  # noqa: BLE001 - an exception with a constructor of its own kind
        return error
    twin.__cause__ = error
    return twin
