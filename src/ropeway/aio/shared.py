"""What the awaitable verbs stand on: the gate that bounds who waits, and the two threads behind it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

from ..errors import StoreError
from ..job import Job, check_jobs
from ..link import Link
from ..store import Ack, Entry, Handback, Lent
from .claimer import Claimer, Wanted
from .endings import ended
from .parcels import Parcel
from .writer import Request, Writer, own

WAITING = 2000  # callers in line, an event loop; further ones wait before they join
BYTES = 16 << 20  # and so many bytes of bodies

P = ParamSpec("P")
R = TypeVar("R")


class Watch(Protocol):
    """Somebody who counts what goes through: claims that outlive this process, and what is settled with `settle`."""

    def lent(self, lents: Sequence[Lent]) -> None: ...
    def settled(self, verb: str, what: Sequence[Any], answers: Sequence[bool]) -> None: ...


class Facade:
    """The awaitable side of one Link, for all its event loops. The threads start at their first use."""

    watch: Watch | None = None

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._claimer: Claimer | None = None
        self._closed = False
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Gate] = WeakKeyDictionary()
        self._shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[object, asyncio.Future[Any]]] = WeakKeyDictionary()
        link.at_close.append(self.close)

    async def put(self, jobs: Sequence[Job]) -> list[bool]:
        """Store the jobs with the next commit. Cancelled while it waits in line: nothing was stored. Cancelled later: unknown, and
        repeating it with the same ids makes no double."""
        checked = check_jobs(jobs, self._link.store.max_body)  # a bad member is refused before it joins, so that it spoils nobody's commit
        return await self._join("put", checked, checked.size)

    async def publish(self, parcel: Parcel) -> StoreError | None:
        """Deliver it with the next commit of those who publish: see parcels.deliver."""
        size = sum(len(message.body) for message in parcel.messages)
        told: StoreError | None = (await self._join("publish", (parcel,), size))[0]
        return told and own(told)

    async def ack(self, ack: Ack) -> bool:
        return bool((await self._join("ack", (ack,), len(ack.result or b"")))[0])

    async def hand_back(self, verb: str, handback: Handback) -> bool:
        """`verb`: nack or bury."""
        return bool((await self._join(verb, (handback,), 0))[0])

    async def extend(self, receipt: str, lease: float) -> bool:
        return bool((await self._join("extend", (receipt,), 0, lease))[0])

    async def settle(self, verb: str, what: Sequence[Any], lease: float = 0.0) -> list[bool]:
        """Many at once. `verb`: ack, nack, bury or extend (then `lease` says for how long)."""
        answers = await self._join(verb, what, 0, lease)
        if self.watch is not None:
            self.watch.settled(verb, what, answers)
        return answers

    async def claim(
        self, queue: str, limit: int, lease: float, timeout: float | None, *, patient: bool = False, bound: bool = True
    ) -> list[Lent]:
        """As `Queue.take`. Cancelled: what was claimed for it meanwhile goes back, uncounted. `bound`: see store.Holder."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Lent]] = loop.create_future()
        deadline = None if timeout is None else self._link.clock.boot() + timeout
        self.claimer.ask(Wanted(queue, limit, lease, deadline, patient, future, loop, self.give_back, bound))
        try:
            lents = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self.give_back(future.result())  # answered, and then the task was cancelled before it ran again
            raise
        if self.watch is not None and not bound:
            self.watch.lent(lents)
        return lents

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

    async def together(self, function: Callable[[], R]) -> R:
        """As `call`, but one call for all in this event loop who ask for it while it runs."""
        running = self._shared.setdefault(asyncio.get_running_loop(), {})
        future = running.get(function)
        if future is None:
            future = running[function] = asyncio.ensure_future(asyncio.to_thread(function))

            def ended(future: asyncio.Future[Any]) -> None:
                del running[function]
                if not future.cancelled():
                    future.exception()  # told to those who still wait, if any

            future.add_done_callback(ended)
        result: R = await asyncio.shield(future)  # who stops waiting stops it for nobody else
        return result

    @property
    def writer(self) -> Writer:
        with self._lock:
            if self._writer is None:
                self._check_open()
                self._writer = Writer(self._link)
                self._acquaint()
            return self._writer

    @property
    def claimer(self) -> Claimer:
        with self._lock:
            if self._claimer is None:
                self._check_open()
                self._claimer = Claimer(self._link)
                self._acquaint()
            return self._claimer

    def _acquaint(self) -> None:
        if self._writer is not None and self._claimer is not None:
            self._writer.offer = self._claimer.offer

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

    async def _join(self, verb: str, what: Sequence[Any], size: int, lease: float = 0.0) -> list[Any]:
        loop, gate = asyncio.get_running_loop(), self._gate()
        if not gate.enter(size):
            await gate.queue_up(size)
        future: asyncio.Future[list[Any]] = loop.create_future()
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
