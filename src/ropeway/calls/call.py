"""One call in flight: what its caller hears, and how it is waited for. In a thread or in an event loop, one of the two."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..aio import facade
from ..codecs import Way, way
from ..durations import Duration, seconds, spoken
from ..errors import RemoteError, RopewayError, Timeout
from ..handle import CANCEL, CANCEL_LIFETIME, read_progress
from ..job import WAITING, Job, State
from ..link import Link
from ..store import Feature, Query
from .failures import remote_error
from .lead import Slip
from .wire import LAST, Failure, Kind, Reply, Started, read_failure, read_started

if TYPE_CHECKING:
    import asyncio

    from .mailroom import Mailroom

R = TypeVar("R")

MOST_ITEMS, MOST_BYTES = 100_000, 64 << 20  # of a stream that its caller has not taken yet


class Call(Generic[R]):
    """A call on its way. Its answer is heard once, by the thread or the event loop that made it.

    `on_start` is told of each worker that begins (Started), `on_progress` of what the run says with `progress`; both are called
    where the answer is waited for.
    """

    __slots__ = (
        "_came",
        "_deadline",
        "_ended",
        "_failed",
        "_future",
        "_heard",
        "_held",
        "_into",
        "_item",
        "_last",
        "_link",
        "_mailroom",
        "_next",
        "_overrun",
        "_slip",
        "_taken",
        "_timeout",
        "_way",
        "correlation",
        "job",
        "loop",
        "on_end",
        "on_progress",
        "on_start",
        "progress",
        "receipt",
    )

    def __init__(self, link: Link, mailroom: Mailroom, job: Job, correlation: str, timeout: float) -> None:
        self.job = job
        self.correlation = correlation
        self.receipt: Started | None = None  # of the worker that began last
        self.progress: Any = None  # what the run said last
        self.on_start: Callable[[Started], object] | None = None
        self.on_progress: Callable[[Any], object] | None = None
        self.on_end: Callable[[str], None] | None = None  # told once how it ended: nothing, or the type of what went wrong
        self._link = link
        self._mailroom = mailroom
        self._timeout = timeout
        self._deadline = link.clock.boot() + timeout
        self._into: Any = Any
        self._item: Any = Any
        self._way: Way | None = None
        self._heard: deque[Reply] = deque()
        self._came = self._taken = 0  # bytes of items: each counted by one side alone
        self._overrun = False
        self._held: dict[int, Reply] = {}  # items that came before their turn
        self._next = 0  # the number of the item to come
        self._last: Reply | None = None
        self._failed: Failure | None = None  # of an earlier run
        self._ended = False
        self._slip: Slip | None = None
        self._future: asyncio.Future[None] | None = None
        self.loop: asyncio.AbstractEventLoop | None = None  # in which it is awaited

    def expect(self, into: Any, item: Any, way: Way) -> None:
        """The types of the result, and of what is streamed; and which forms are read."""
        self._into, self._item, self._way = into, item, way

    @property
    def id(self) -> str:
        """The id of its job."""
        return self.job.id

    def lasted(self) -> float:
        """Seconds since it was made, or since its last item was taken."""
        return self._link.clock.boot() - (self._deadline - self._timeout)

    # What the mailroom tells, from whichever thread leads there

    def hear(self, reply: Reply) -> asyncio.AbstractEventLoop | None:
        """One more reply. The event loop to wake for it, if it is one."""
        if reply.kind is Kind.OUTPUT:
            if self._came - self._taken > MOST_BYTES or len(self._heard) > MOST_ITEMS:
                self._overrun = True
                return self._told()
            self._came += len(reply.body)
        self._heard.append(reply)
        return self._told()

    def _told(self) -> asyncio.AbstractEventLoop | None:
        if self._slip is not None:
            self._slip.ring()
        return self.loop

    def wake(self) -> None:
        """In its event loop: there is something to hear."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    # In a thread

    def result(self) -> R:
        """What the run returned. Raises RemoteError when it failed for good, Timeout when there is no answer in time; the job is not run
        then if it had not begun."""
        for _ in self._items(streams=False):
            pass
        return self._outcome()

    def started(self, timeout: Duration | None = None) -> Started:
        """The receipt: waits until a worker has begun, at most `timeout` or the call's own. Raises Timeout."""
        until = self._deadline if timeout is None else min(self._deadline, self._link.clock.boot() + seconds(timeout, "timeout"))
        self._pass_over()
        while self.receipt is None and self._last is None:
            if not self._wait(until):
                raise Timeout(f"no worker has begun {self._what} within {spoken(seconds(timeout or self._timeout))}; it still may")
            self._pass_over()
        return self.receipt or Started()

    def stream(self) -> Generator[Any, None, Any]:
        """The items as the run yields them, each with the whole time to come; then what it returned, as the generator's own return value.
        Left early: the run is called back."""
        yield from self._items(streams=True)
        return self._outcome()

    def cancel(self) -> None:
        """Call it back: no answer is waited for any more. A job that waits is removed, one that runs is asked to stop."""
        self.forget()
        if not self._mailroom.lead.closing:  # the store is about to go, and the job ends with its lifetime
            call_back(self._link, self.job)

    def _items(self, *, streams: bool) -> Generator[Any, None, None]:
        """Listen until the last word, and give the items that come before it."""
        try:
            while not self._over():
                if (reply := self._take()) is not None:
                    if streams:
                        yield self._value(reply)
                        self._deadline = self._link.clock.boot() + self._timeout
                elif not self._over() and not self._wait(self._deadline):
                    self.forget()
                    raise self._late(take_back(self._link, self.job))
            self.forget()
        finally:
            if not self._ended:  # interrupted, or left early
                self.cancel()

    def _wait(self, until: float) -> bool:
        """Until there is something to hear; False when the time is up."""
        self._check()
        if self._slip is None:
            self._slip = Slip()
        heard = self._mailroom.lead.wait(self._slip, lambda: bool(self._heard) or self._overrun, until)
        self._check()
        return heard

    # In an event loop

    async def aresult(self) -> R:
        """The awaitable twin of `result`. Cancelled: the call is called back."""
        async for _ in self._aitems(streams=False):
            pass
        return self._outcome()

    async def astarted(self, timeout: Duration | None = None) -> Started:
        """The awaitable twin of `started`."""
        until = self._deadline if timeout is None else min(self._deadline, self._link.clock.boot() + seconds(timeout, "timeout"))
        self._pass_over()
        while self.receipt is None and self._last is None:
            if not await self._await(until):
                raise Timeout(f"no worker has begun {self._what} within {spoken(seconds(timeout or self._timeout))}; it still may")
            self._pass_over()
        return self.receipt or Started()

    async def astream(self) -> AsyncGenerator[Any, None]:
        """The awaitable twin of `stream`, without the return value."""
        async for item in self._aitems(streams=True):
            yield item
        self._outcome()

    async def _aitems(self, *, streams: bool) -> AsyncGenerator[Any, None]:
        try:
            while not self._over():
                if (reply := self._take()) is not None:
                    if streams:
                        yield self._value(reply)
                        self._deadline = self._link.clock.boot() + self._timeout
                elif not self._over() and not await self._await(self._deadline):
                    self.forget()
                    raise self._late(await facade(self._link).call(take_back, self._link, self.job))
            self.forget()
        finally:
            if not self._ended:  # cancelled, or left early
                self.forget()
                if not self._mailroom.lead.closing:
                    _later(lambda: call_back(self._link, self.job))

    async def _await(self, until: float) -> bool:
        import asyncio

        self._check()
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        timer = loop.call_later(max(0.0, until - self._link.clock.boot()), self.wake)
        if self.loop is None:
            self.loop = loop  # from here on we are told
            self._mailroom.awaits(self)
        if self._heard or self._overrun:
            self.wake()
        try:
            await self._future
        finally:
            timer.cancel()
            self._future = None
        self._check()
        return bool(self._heard) or self._overrun

    # What both sides share

    def _over(self) -> bool:
        """Whether the last word was heard, and every item before it."""
        last = self._last
        return last is not None and (last.kind is Kind.ERROR or self._next >= last.number) and not self._overrun

    def _take(self) -> Reply | None:
        """The next item, once its turn has come; all else that was heard has been noted. None: nothing more for now."""
        if self._overrun:
            self.forget()
            raise RemoteError(
                f"{self._what} streams faster than its items are taken: over {MOST_ITEMS:,} items or {MOST_BYTES >> 20} MiB are waiting. "
                "The rest is lost; take them faster, or have the task say less",
                remote_type="Overrun",
            )
        if (ready := self._held.pop(self._next, None)) is not None:
            self._next += 1
            return ready
        while self._heard:
            reply = self._heard.popleft()
            if reply.kind is Kind.OUTPUT:
                self._taken += len(reply.body)
                if reply.number == self._next:
                    self._next += 1
                    return reply
                if reply.number > self._next:
                    self._held[reply.number] = reply
                continue  # a run after a failed one begins its stream anew: what was given is not given twice
            if reply.kind in LAST:
                self._last = reply
            else:
                self._note(reply)
        return None

    def _pass_over(self) -> None:
        """Hear receipts and the last word; items stay."""
        kept = deque[Reply]()
        while self._heard:
            reply = self._heard.popleft()
            if reply.kind is Kind.OUTPUT:
                kept.append(reply)
            elif reply.kind in LAST:
                self._last = reply
            else:
                self._note(reply)
        self._heard.extendleft(reversed(kept))

    def _note(self, reply: Reply) -> None:
        if reply.kind is Kind.STARTED:
            self.receipt = read_started(reply.body) or Started(attempt=reply.attempt)
            if self.on_start is not None:
                self.on_start(self.receipt)
        elif reply.kind is Kind.PROGRESS:
            self.progress = read_progress(reply.body)
            if self.on_progress is not None:
                self.on_progress(self.progress)
        elif reply.kind is Kind.RETRYING:
            self._failed = read_failure(reply.body)

    def _value(self, reply: Reply) -> Any:
        return self._read(reply, self._item)

    def _outcome(self) -> R:
        last = self._last
        assert last is not None
        if last.kind is Kind.ERROR:
            raise self._error(read_failure(last.body) or Failure(message="its error cannot be read"))
        if not last.content_type:
            return None  # type: ignore[return-value]  # the run returned None
        result: R = self._read(last, self._into)
        return result

    def _read(self, reply: Reply, into: Any) -> Any:
        return (self._way or way()).decode(reply.body, reply.content_type, into)

    def _error(self, failure: Failure) -> RemoteError:
        kind, where = failure.types[0] if failure.types else "", f" on {failure.worker}" if failure.worker else ""
        text = f"{kind}: {failure.message}" if kind and failure.message else kind or failure.message
        return remote_error(f"{self._what} failed{where}: {text}", failure.types, failure.message, failure.traceback)

    def _late(self, stands: State | None) -> Timeout:
        if self.receipt is not None or stands is State.RUNNING:
            how = "A worker has begun it; an answer that comes later is dropped"
        else:
            how = "No worker holds it; if none has begun it by now, none will. Does a worker run that takes its queue?"
        before = f", after a run that failed ({self._failed.types[0] if self._failed.types else 'error'})" if self._failed else ""
        error = Timeout(f"no answer from {self._what} within {spoken(self._timeout)}{before}. {how}")
        if self._failed:
            error.__cause__ = self._error(self._failed)
        return error

    @property
    def _what(self) -> str:
        return f"{self.job.task or 'the job'} ({self.id} in {self.job.queue})"

    def _check(self) -> None:
        self._mailroom.check(self)

    def forget(self) -> None:
        """Nothing more is to be heard."""
        self._ended = True
        self._mailroom.forget(self)
        if self.on_end is not None:
            tell, self.on_end = self.on_end, None
            tell(self._wrong())

    def _wrong(self) -> str:
        """The type of what went wrong, nothing for what went well."""
        if self._last is None:
            return "Timeout" if self._link.clock.boot() >= self._deadline else "Cancelled"
        if self._last.kind is not Kind.ERROR:
            return ""
        failure = read_failure(self._last.body)
        return failure.types[0] if failure is not None and failure.types else "RemoteError"

    def __repr__(self) -> str:
        return f"<Call of {self._what}{', ended' if self._ended else ''}>"


def take_back(link: Link, job: Job) -> State | None:
    """Remove the job if it waits: where it stands then; None when it has left, or the store does not say."""
    try:
        store = link.store
        if Feature.BROWSE not in store.features:
            return None
        store.delete(Query(queues=(job.queue,), ids=(job.id,), states=WAITING, limit=None))
        found = store.browse(Query(queues=(job.queue,), ids=(job.id,)))
        return found[0].state if found else None
    except RopewayError:
        return None


def call_back(link: Link, job: Job) -> None:
    """Remove the job if it waits, ask its worker to stop it if it runs; as far as the store lets us."""
    if take_back(link, job) is State.RUNNING and Feature.NOTES in link.store.features:
        try:
            link.store.notes.note(CANCEL + job.id, b"cancel", min(CANCEL_LIFETIME, max(job.ttl, 60.0)))
        except RopewayError:
            pass


def _later(work: Callable[[], object]) -> None:
    """Beside the event loop, if it still runs: nobody waits for it."""
    import asyncio

    try:
        asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:
        pass
