"""What happens to the jobs of one queue, for all who listen to it over HTTP: how it stands, and each thing that this server sees (tap.py).

A queue that is listened to has a room: a ring of what happened last, so that who comes back is told what it missed, and its readers, each
with a bounded buffer of which the oldest go. Every gap is told, with its exact size while the room stands: from the first reader on, and
for a while after the last one has left. With the last room the tap goes too, so where nobody listens nothing is paid.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ..aio import facade
from ..broker import Broker
from .counting import Till
from .grants import Grant
from .lasting import lasting
from .sampling import Change, Sampler, event
from .stopping import Stopping
from .tap import Claimed, Happening, Tap

RING = 1000  # happenings of a queue that somebody who comes back may have missed
BUFFER = 1000  # that wait for one reader
COMING = 10_000  # that wait for the event loop
LINGER = 60.0  # seconds that a room stands after its last reader has left
READERS = 5000

_encode = msgspec.json.Encoder().encode


class Item:
    """A happening with its number in its room; what it is sent as is made once for all readers."""

    __slots__ = ("_sent", "happening", "number")

    def __init__(self, number: int, happening: Happening) -> None:
        self.number = number
        self.happening = happening
        self._sent = b""

    @property
    def row(self) -> bytes:
        """As JSON."""
        if not self._sent:
            one = self.happening
            shown: dict[str, Any] = {"event": one.event, "id": one.id or None, "queue": one.queue, "at": round(one.at, 6)}
            if one.attempt:
                shown["attempt"] = one.attempt
            self._sent = _encode(shown | (one.more or {}))
        return self._sent


class Reader:
    """One who listens to a queue. Its buffer is the event loop's own."""

    def __init__(self, room: Room, grant: Grant) -> None:
        self.room = room
        self.grant = grant
        self.sent = room.number  # the number of the last happening that it was sent, or that was before its time
        self.news = asyncio.Event()
        self._line: deque[Item] = deque()
        self._missed = 0
        self._change: Change | None = None

    def add(self, item: Item) -> None:
        self._line.append(item)
        if len(self._line) > BUFFER:
            self._line.popleft()
            self.lose(1)
        self.news.set()

    def lose(self, count: int) -> None:
        """So many were lost, -1: some, nobody knows how many."""
        self._missed = -1 if count < 0 or self._missed < 0 else self._missed + count
        self.news.set()

    def changed(self, change: Change) -> None:
        """The queue stands otherwise than before: only the last word on that waits for a slow reader."""
        if (meant := change.of(self.room.queue)) is not None:
            self._change = meant
            self.news.set()

    def take(self) -> tuple[int, list[Item], Change | None]:
        """How many were missed, what came after them, and how the queue stands by now."""
        taken = self._missed, list(self._line), self._change
        self._missed, self._change = 0, None
        self._line.clear()
        self.news.clear()
        return taken


class Room:
    """One queue that is listened to. `turn`: which room of this server it is; its numbers mean nothing in another."""

    def __init__(self, queue: str, turn: int) -> None:
        self.queue = queue
        self.turn = turn
        self.number = 0  # of the last happening
        self.readers: set[Reader] = set()
        self.leaving: asyncio.TimerHandle | None = None
        self._ring: deque[Item] = deque(maxlen=RING)

    def add(self, happening: Happening) -> None:
        self.number += 1
        item = Item(self.number, happening)
        self._ring.append(item)
        for reader in self.readers:
            reader.add(item)

    def lose(self, count: int) -> None:
        """So many happenings went by before anybody could be told."""
        self.number += count
        for reader in self.readers:
            reader.lose(count)

    def resume(self, reader: Reader, turn: int, number: int) -> None:
        """Tell it what has happened since that number."""
        if turn != self.turn or not 0 <= number <= self.number:
            reader.lose(-1)
            return
        reader.sent = number
        kept = [item for item in self._ring if item.number > number]
        if missed := self.number - number - len(kept):
            reader.lose(missed)
        for item in kept:
            reader.add(item)


class Seen:
    """All readers of one server."""

    def __init__(self, broker: Broker, sampler: Sampler, stopping: Stopping) -> None:
        self._link = broker.link
        self._sampler = sampler
        self._stopping = stopping
        self._rooms: dict[str, Room] = {}
        self._turn = 0
        self._readers = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tap = Tap(broker.link, self._rooms.__contains__, self._told, self._known)
        self._lock = threading.Lock()
        self._coming: deque[Happening] = deque()
        self._lost: Counter[str] = Counter()
        self._called = False

    @property
    def crowded(self) -> bool:
        """Whether so many listen that no more are let in."""
        return self._readers >= READERS

    def join(self, queue: str, grant: Grant, after: str = "") -> Reader:
        """From now on the reader's buffer gets what happens there; first what it has missed since `after`, the id of its last event."""
        self._loop = asyncio.get_running_loop()
        room = self._rooms.get(queue)
        if room is None:
            if not self._rooms:
                self._tap.open()
            self._turn += 1
            room = self._rooms[queue] = Room(queue, self._turn)
        if room.leaving is not None:
            room.leaving.cancel()
            room.leaving = None
        self._come()  # what is on its way happened before
        reader = Reader(room, grant)
        if after:
            life, _, turn, number = _parts(after)
            room.resume(reader, turn if life == self._sampler.life else 0, number)
        room.readers.add(reader)
        self._readers += 1
        return reader

    def leave(self, reader: Reader) -> None:
        room = reader.room
        if reader not in room.readers:
            return
        room.readers.discard(reader)
        self._readers -= 1
        if not room.readers:
            room.leaving = asyncio.get_running_loop().call_later(0 if self._stopping.begun else LINGER, self._left, room)

    async def events(self, reader: Reader, after: str, still: Callable[[], bool]) -> AsyncIterator[bytes]:
        """The stream of one reader, as server-sent events, for as long as it may hear them."""
        sampler, queue, clock = self._sampler, reader.room.queue, self._link.clock
        last = 0

        def take() -> bytes:
            nonlocal last
            missed, some, newest = reader.take()
            out = [event("missed", "", b'{"missed":%d}' % missed)] if missed else []
            for item in some:
                reader.sent = item.number
                out.append(self._event(reader, "job", last, item.row))
            if newest is not None:
                last = newest.number
                out.append(self._event(reader, "change", last, newest.told(reader.grant)))
            return b"".join(out)

        await sampler.watch(reader.changed)
        try:
            life, last, _, _ = _parts(after)
            since = sampler.since(last) if life == sampler.life else None
            if since is None:
                whole = sampler.whole
                told = whole.of(queue) or Change(whole.number, {}, [queue])
                last = whole.number
                yield self._event(reader, "snapshot", last, told.told(reader.grant))
            else:
                for change in since:
                    reader.changed(change)
            may = lambda: clock.now() < reader.grant.expires and still()  # noqa: E731
            async with aclosing(lasting(self._stopping, reader.news, take, may)) as parts:
                async for part in parts:
                    yield part
        finally:
            sampler.unwatch(reader.changed)

    def _event(self, reader: Reader, kind: str, change: int, data: bytes) -> bytes:
        """By its mark both are found again: which change of the numbers was seen last, and which happening of which room."""
        return event(kind, f"{self._sampler.life}-{change}-{reader.room.turn}-{reader.sent}", data)

    # -- from the tap

    def _known(self, receipt: str) -> Claimed | None:
        """Claims that went out over HTTP before anybody listened: who counts them knows whose they are."""
        till = facade(self._link).watch
        return till.known(receipt) if isinstance(till, Till) else None

    def _told(self, some: Sequence[Happening]) -> None:
        """In the thread of whoever used the store."""
        with self._lock:
            self._coming += some
            while len(self._coming) > COMING:
                self._lost[self._coming.popleft().queue] += 1
            if self._called or self._loop is None:
                return
            self._called = True
        try:
            self._loop.call_soon_threadsafe(self._come)
        except RuntimeError:
            return  # the loop has ended, and the server with it

    def _come(self) -> None:
        with self._lock:
            coming, self._coming = self._coming, deque()
            lost, self._lost = self._lost, Counter()
            self._called = False
        for queue, count in lost.items():
            if (room := self._rooms.get(queue)) is not None:
                room.lose(count)
        for one in coming:
            if (room := self._rooms.get(one.queue)) is not None:
                room.add(one)

    def _left(self, room: Room) -> None:
        if room.readers or self._rooms.get(room.queue) is not room:
            return
        del self._rooms[room.queue]
        if not self._rooms:
            self._tap.close()


class SeenStream(StreamingResponse):
    """The answer to one reader, which comes and leaves with it, whether its stream ever began or not."""

    def __init__(self, seen: Seen, queue: str, grant: Grant, after: str, still: Callable[[], bool]) -> None:
        self._seen = seen
        self._reader = seen.join(queue, grant, after)
        super().__init__(seen.events(self._reader, after, still), media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._seen.leave(self._reader)


def _parts(mark: str) -> tuple[str, int, int, int]:
    """What the mark of an event says: the life of the server, the change, the room and the happening; -1 for what is no number."""
    life, *numbers = mark.split("-", 4)
    read = [int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1 for text in numbers]
    change, turn, number = (*read, -1, -1, -1)[:3]
    return life, change, turn, number
