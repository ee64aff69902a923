"""What the awaitable verbs stand on: the gate that bounds who waits, and the two threads behind it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from ..errors import StoreError
from ..job import Job, check_job
from ..link import Link
from ..store import Ack, Entry, Handback, Lent
from .claimer import Claimer, Wanted
from .endings import ended
from .writer import Request, Writer

WAITING = 2000  # callers in line, an event loop; further ones wait before they join
BYTES = 16 << 20  # and so many bytes of bodies

P = ParamSpec("P")
R = TypeVar("R")


class Facade:
    """The awaitable side of one Link, for all its event loops. The threads start at their first use."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._claimer: Claimer | None = None
        self._closed = False
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Gate] = WeakKeyDictionary()
        link.at_close.append(self.close)

    async def put(self, jobs: Sequence[Job]) -> list[bool]:
        """Store the jobs with the next commit. Cancelled while it waits in line: nothing was stored. Cancelled later: unknown, and
        repeating it with the same ids makes no double."""
        limit, size = self._link.store.max_body, 0
        for job in jobs:  # a bad member is refused before it joins, so that it can spoil nobody's commit
            check_job(job, limit)
            size += len(job.body)
        return await self._join("put", jobs, size)

    async def ack(self, ack: Ack) -> bool:
        return (await self._join("ack", (ack,), len(ack.result or b"")))[0]

    async def hand_back(self, verb: str, handback: Handback) -> bool:
        """`verb`: nack or bury."""
        return (await self._join(verb, (handback,), 0))[0]

    async def extend(self, receipt: str, lease: float) -> bool:
        return (await self._join("extend", (receipt,), 0, lease))[0]

    async def settle(self, verb: str, what: Sequence[Any], lease: float = 0.0) -> list[bool]:
        """Many at once. `verb`: ack, nack, bury or extend (then `lease` says for how long)."""
        return await self._join(verb, what, 0, lease)

    async def claim(
        self, queue: str, limit: int, lease: float, timeout: float | None, *, patient: bool = False, bound: bool = True
    ) -> list[Lent]:
        """As `Queue.take`. Cancelled: what was claimed for it meanwhile goes back, uncounted. `bound`: see store.Holder."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Lent]] = loop.create_future()
        deadline = None if timeout is None else self._link.clock.boot() + timeout
        self.claimer.ask(Wanted(queue, limit, lease, deadline, patient, future, loop, self.give_back, bound))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self.give_back(future.result())  # answered, and then the task was cancelled before it ran again
            raise

    def give_back(self, lents: Sequence[Lent]) -> None:
        """Hand these back, uncounted, some time soon; from any thread."""
        if lents and not self._closed:
            self.writer.join("nack", Request([Handback(lent.receipt, restore=True) for lent in lents], None, None))

    async def ended(self, queue: str, job_id: str, timeout: float | None) -> Entry | None:
        """The job's entry once it has ended; None when it has left the store. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            return await ended(self._link, queue, job_id)

    async def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """What is not worth a shared commit: the function in a thread of the loop's executor."""
        return await asyncio.to_thread(function, *args, **kwargs)

    @property
    def writer(self) -> Writer:
        with self._lock:
            if self._writer is None:
                self._check_open()
                self._writer = Writer(self._link)
            return self._writer

    @property
    def claimer(self) -> Claimer:
        with self._lock:
            if self._claimer is None:
                self._check_open()
                self._claimer = Claimer(self._link)
            return self._claimer

    def close(self) -> None:
        """Settle what waits in line, then end both threads."""
        with self._lock:
            self._closed = True
            writer, claimer = self._writer, self._claimer
        if claimer:
            claimer.close()
        if writer:
            writer.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("this connection was closed; nothing was done. Call ropeway.connect again", definite=True)

    def _gate(self) -> Gate:
        loop = asyncio.get_running_loop()
        gate = self._loops.get(loop)
        if gate is None:
            with self._lock:
                gate = self._loops[loop] = Gate()
        return gate

    async def _join(self, verb: str, what: Sequence[Any], size: int, lease: float = 0.0) -> list[bool]:
        loop, gate = asyncio.get_running_loop(), self._gate()
        if not gate.enter(size):
            await gate.queue_up(size)
        future: asyncio.Future[list[bool]] = loop.create_future()
        request = Request(what, future, loop, lease)
        try:
            (self._writer or self.writer).join(verb, request)
            return await future
        except asyncio.CancelledError:
            request.what = ()  # the writer passes over it, and need not hold the bodies until then
            raise
        finally:
            gate.leave(size)


class Gate:
    """How many may wait in one event loop; who comes later waits here, first come first served. Used from the loop's thread only."""

    def __init__(self) -> None:  # no reference to its loop, which would keep both alive for ever
        self._inside = 0
        self._bytes = 0
        self._line: deque[tuple[asyncio.Future[None], int]] = deque()

    def enter(self, size: int) -> bool:
        if self._line or self._full():
            return False
        self._inside += 1
        self._bytes += size
        return True

    async def queue_up(self, size: int) -> None:
        """Wait for a place. Whoever leaves gives it: nobody who comes later can take it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((future, size))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.leave(size)
            raise

    def leave(self, size: int) -> None:
        self._inside -= 1
        self._bytes -= size
        while self._line and not self._full():
            future, wanted = self._line.popleft()
            if not future.cancelled():
                self._inside += 1
                self._bytes += wanted
                future.set_result(None)

    def _full(self) -> bool:
        return self._inside >= WAITING or self._bytes >= BYTES
