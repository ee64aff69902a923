"""Listening to topics, live: a bounded buffer between the bus and one program, and the count of what did not fit."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING
from weakref import finalize

from .durations import Duration, seconds
from .errors import BadValue, Unsupported
from .group import retained
from .ids import check_id
from .link import Link
from .message import Message
from .store import Feature
from .topics import check_patterns

if TYPE_CHECKING:
    import asyncio

BUFFER = 1000
_LONGEST = 3600.0  # seconds of one sleep


class Listening:
    """Hears the messages of some topics from when it is made until `close`: iterate it, `async for` too, or call `get`. Made by
    `Broker.listen`; a context manager.

    Between the bus and the program are `buffer` messages at most. When a program is slower than the news, the oldest are dropped, and
    `missed` counts them: what is read is the newest, in order, with a gap. A slow listener slows nobody else. May be used from any thread;
    each message is given to one of those who read.
    """

    def __init__(
        self, link: Link, patterns: Sequence[str], *, buffer: int = BUFFER, replay: Duration | None = None, after: str | None = None
    ) -> None:
        self.patterns = check_patterns(patterns)
        if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
            raise BadValue(f"a buffer is a whole number of messages from 1 up, not {ascii(buffer)[:40]}; nothing was done")
        since = None if replay is None else link.clock.now() - seconds(replay, "replay")
        after = None if after is None else check_id(after)
        store = link.store
        if Feature.TOPICS not in store.features:
            raise Unsupported(
                f"{store.url} cannot tell who listens; nothing was done. Use another engine, or a durable group: groups.add(...)"
            )
        self._link = link
        self._ear = ear = Ear(buffer)
        ear.begin(store.bus.listen(self.patterns, ear.hear), link)
        finalize(self, _let_go, ear).atexit = False
        if since is not None or after is not None:  # after it began to listen: so nothing falls between
            try:
                ear.replay(retained(store, self.patterns, since or 0.0, after or ""))
            except BaseException:
                self.close()
                raise

    def get(self, timeout: Duration | None = None) -> Message | None:
        """The next message; wait for it up to `timeout`, None = for ever. None when none came, or when it was closed and all is read."""
        ear, clock = self._ear, self._link.clock
        end = None if timeout is None else clock.boot() + seconds(timeout, "timeout")
        with ear.changed:
            while True:
                message = ear.take()
                if message is not None or ear.closed:
                    return message
                left = _LONGEST if end is None else end - clock.boot()
                if left <= 0:
                    return None
                clock.sleep(ear.changed, min(left, _LONGEST))

    async def aget(self, timeout: Duration | None = None) -> Message | None:
        """The awaitable twin of `get`."""
        import asyncio

        ear, loop = self._ear, asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + seconds(timeout, "timeout")
        while True:
            with ear.changed:
                message = ear.take()
                if message is not None or ear.closed:
                    return message
                future = loop.create_future()
                waiter = (loop, future)
                ear.waiters.append(waiter)
            try:
                async with asyncio.timeout_at(end):
                    await future
            except TimeoutError:
                with ear.changed:
                    return ear.take()
            finally:
                with ear.changed:
                    if waiter in ear.waiters:
                        ear.waiters.remove(waiter)

    def __iter__(self) -> Iterator[Message]:
        while (message := self.get()) is not None:
            yield message

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self.aget()) is not None:
            yield message

    @property
    def missed(self) -> int:
        """How many messages it has missed, as far as is known: what did not fit in the buffer, and what was lost on the way."""
        return self._ear.missed

    @property
    def gaps(self) -> int:
        """How often nobody knows how many it has missed: the line to the store was broken for a while."""
        return self._ear.gaps

    @property
    def waiting(self) -> int:
        """How many have come and are not read yet."""
        return len(self._ear.buffer) + len(self._ear.replayed)

    @property
    def closed(self) -> bool:
        return self._ear.closed

    def close(self) -> None:
        """Hear nothing more; what is in the buffer may still be read. May be called twice, from any thread."""
        self._ear.close()

    async def aclose(self) -> None:
        """The awaitable twin of `close`."""
        import asyncio

        await asyncio.to_thread(self.close)

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Listening:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Listening to {' '.join(self.patterns)}{', closed' if self.closed else ''}>"


class Ear:
    """What the bus holds: it does not keep its Listening alive, so one that is forgotten ends."""

    def __init__(self, limit: int) -> None:
        self.changed = threading.Condition()
        self.buffer: deque[Message] = deque()
        self.replayed: deque[Message] = deque()
        self.waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self.missed = self.gaps = 0
        self.closed = False
        self._limit = limit
        self._known: set[str] = set()  # of what was replayed, and may come once more as it is published
        self._end: Callable[[], None] | None = None
        self._link: Link | None = None

    def begin(self, end: Callable[[], None], link: Link) -> None:
        self._end, self._link = end, link
        link.at_close.append(self.close)

    def replay(self, messages: Sequence[Message]) -> None:
        with self.changed:
            self._known = {message.id for message in messages}
            self.replayed.extend(messages)

    def hear(self, messages: Sequence[Message], lost: int) -> None:
        """Called by the bus."""
        with self.changed:
            self.missed += max(lost, 0)
            self.gaps += lost < 0
            self.buffer.extend(messages)
            while len(self.buffer) > self._limit:
                self.buffer.popleft()
                self.missed += 1
            self._wake()

    def take(self) -> Message | None:
        """The next one, if there is one; under the lock."""
        if self.replayed:
            return self.replayed.popleft()
        while self.buffer:
            message = self.buffer.popleft()
            if not self._known or message.id not in self._known:
                return message
            self._known.discard(message.id)
        return None

    def close(self) -> None:
        with self.changed:
            end, self._end, self.closed = self._end, None, True
            self._wake()
        if end is not None:
            if self._link is not None and self.close in self._link.at_close:
                self._link.at_close.remove(self.close)
            end()

    def _wake(self) -> None:
        self.changed.notify_all()
        waiters, self.waiters = self.waiters, []
        for loop, future in waiters:
            try:
                loop.call_soon_threadsafe(_set, future)
            except RuntimeError:
                pass  # that loop is closed, with its reader in it


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _let_go(ear: Ear) -> None:
    """A Listening was forgotten. Garbage is collected in any thread, that of the bus too, which may not end itself."""
    if not ear.closed:
        threading.Thread(target=ear.close, name="ropeway-listen-end", daemon=True).start()
