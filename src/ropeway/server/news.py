"""What is published, for all who listen over HTTP: one listener of the store, a ring of the last messages, a bounded buffer a client.

The store is listened to from the first client on, and for a while after the last one has left: so who comes back with the number of the
last message that it saw is told what it missed meanwhile, as far as the ring reaches. A client that is slow loses the oldest of what waits
for it, and is told how many.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ..broker import Broker
from ..message import Message
from ..topics import matcher
from .asking import raw_or_text
from .grants import Grant, Role
from .lasting import lasting
from .stopping import Stopping

RING = 1000  # messages that somebody who comes back may have missed
RING_SIZE = 8 << 20  # bytes of their bodies
BUFFER = 1000  # messages that wait for one client
BUFFER_SIZE = 4 << 20
COMING = 10_000  # messages that wait for the event loop
LINGER = 60.0  # seconds that the store is listened to after the last client has left
CLIENTS = 5000

_encode = msgspec.json.Encoder().encode


class Item:
    """A message with its number in the life of this server; what it is sent as is made once for all clients."""

    __slots__ = ("_sent", "message", "number", "size")

    def __init__(self, number: int, message: Message) -> None:
        self.number = number
        self.message = message
        self.size = len(message.body) + 256
        self._sent: dict[bool, bytes] = {}

    def row(self, *, exact: bool) -> bytes:
        """As JSON. `exact`: the body always as base64, so that not even a line's end in it can be another afterwards."""
        found = self._sent.get(exact)
        if found is None:
            found = self._sent[exact] = _encode(row(self.message, exact=exact))
        return found


class Client:
    """One who listens. Its buffer is the event loop's own."""

    def __init__(self, patterns: Sequence[str], grant: Grant) -> None:
        self.patterns = tuple(patterns)
        self._means = matcher(patterns)
        self._grant = grant
        self.until = grant.expires
        self._line: deque[Item] = deque()
        self._size = 0
        self.missed = 0  # before the first that waits; -1: some, nobody knows how many
        self.seen = 0  # the number of the last one that concerned it or did not
        self.news = asyncio.Event()

    def means(self, topic: str) -> bool:
        """Whether it has asked for that, and may hear it."""
        return self._means(topic) and self._grant.may(Role.CONSUME, topic)

    def add(self, item: Item) -> None:
        self._line.append(item)
        self._size += item.size
        while len(self._line) > BUFFER or (self._size > BUFFER_SIZE and len(self._line) > 1):
            self._size -= self._line.popleft().size
            self.lose(1)
        self.news.set()

    def lose(self, count: int) -> None:
        """So many were lost, -1: some. They are told before what still waits, where that is known."""
        self.missed = -1 if count < 0 or self.missed < 0 else self.missed + count
        self.news.set()

    def take(self) -> tuple[int, list[Item]]:
        """How many were missed, and what came after them."""
        missed, some = self.missed, list(self._line)
        self.missed, self._size = 0, 0
        self._line.clear()
        self.news.clear()
        return missed, some


class News:
    """All clients of one server."""

    def __init__(self, broker: Broker, stopping: Stopping) -> None:
        self.life = os.urandom(6).hex()  # numbers of another life of this server mean nothing here
        self.number = 0
        self._broker = broker
        self._stopping = stopping
        self._clients: set[Client] = set()
        self._ring: deque[Item] = deque()
        self._size = 0
        self._holes: deque[int] = deque(maxlen=RING)  # numbers behind which some are missing
        self._end: Callable[[], None] | None = None
        self._turn = 0  # which listening of the store this is
        self._opening = asyncio.Lock()
        self._leaving: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()
        self._coming: deque[tuple[Sequence[Message], int]] = deque()
        self._count = 0
        self._called = False

    async def join(self, patterns: Sequence[str], grant: Grant, after: str = "") -> Client:
        """From when this answers on, the client's buffer gets what it may hear; first what it has missed since `after`, the number of the
        last one that it saw. Raises Unsupported and StoreError."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        client = Client(patterns, grant)
        self._clients.add(client)  # before the store is listened to, so that it is not left while we wait
        try:
            await self._listen()
        except BaseException:
            self._clients.discard(client)
            raise
        client.take()  # what came while it was opened has no place in an order with what follows
        self._resume(client, after)
        client.seen = self.number
        return client

    def leave(self, client: Client) -> None:
        self._clients.discard(client)
        if not self._clients and self._leaving is None and self._end is not None:
            self._leaving = asyncio.get_running_loop().call_later(0 if self._stopping.begun else LINGER, self._left)

    @property
    def crowded(self) -> bool:
        """Whether so many listen that no more are let in."""
        return len(self._clients) >= CLIENTS

    def mark(self, number: int) -> str:
        """The number as a client knows it."""
        return f"{self.life}-{number}"

    async def events(self, client: Client, still: Callable[[], bool], *, exact: bool) -> AsyncGenerator[bytes, None]:
        """The stream of one client, as server-sent events, for as long as it may hear them."""
        clock = self._broker.link.clock

        def take() -> bytes:
            missed, some = client.take()
            told = b'event: missed\ndata: {"missed": %d}\n\n' % missed if missed else b""
            return told + b"".join(self._event(item, exact=exact) for item in some)

        yield b"event: listening\nid: %s\n\n" % self.mark(client.seen).encode()
        async with aclosing(lasting(self._stopping, client.news, take, lambda: clock.now() < client.until and still())) as parts:
            async for part in parts:
                yield part

    def _event(self, item: Item, *, exact: bool) -> bytes:
        data = item.row(exact=exact).replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
        return b"id: %s\ndata: %s\n\n" % (self.mark(item.number).encode(), data)

    # -- the store

    async def _listen(self) -> None:
        async with self._opening:
            if self._end is None:
                loop = asyncio.get_running_loop()
                self._turn += 1
                mine = self._turn

                def heard(messages: Sequence[Message], missed: int) -> None:
                    if mine == self._turn:  # not the one that is just ending, which hears the same
                        self._heard(loop, messages, missed)

                self._end = await asyncio.to_thread(self._broker.store.bus.listen, ["#"], heard)

    def _left(self) -> None:
        self._leaving = None
        if self._clients or self._end is None:
            return
        end, self._end = self._end, None
        self._turn += 1
        self.life = os.urandom(6).hex()  # what is published from here on has no numbers
        self._ring.clear()
        self._holes.clear()
        self._size = 0
        threading.Thread(target=end, name="ropeway-news-end", daemon=True).start()

    def _heard(self, loop: asyncio.AbstractEventLoop, messages: Sequence[Message], missed: int) -> None:
        """In a thread of the bus."""
        with self._lock:
            self._coming.append((messages, missed))
            self._count += len(messages)
            while self._count > COMING and len(self._coming) > 1:
                lost, _ = self._coming.popleft()
                self._count -= len(lost)
                first, before = self._coming[0]
                self._coming[0] = (first, -1 if before < 0 else before + len(lost))
            if self._called:
                return
            self._called = True
        try:
            loop.call_soon_threadsafe(self._come)
        except RuntimeError:
            return  # the loop has ended, and the server with it

    def _come(self) -> None:
        with self._lock:
            coming, self._coming = self._coming, deque()
            self._count, self._called = 0, False
        for messages, missed in coming:
            if missed:
                self._holes.append(self.number)
                for client in self._clients:
                    client.lose(missed if "#" in client.patterns else -1)  # of which topics they were is not known here
            for message in messages:
                self.number += 1
                item = Item(self.number, message)
                self._ring.append(item)
                self._size += item.size
                while len(self._ring) > RING or (self._size > RING_SIZE and len(self._ring) > 1):
                    self._size -= self._ring.popleft().size
                for client in self._clients:
                    if client.means(message.topic):
                        client.add(item)

    def _resume(self, client: Client, after: str) -> None:
        if not after:
            return
        life, _, text = after.rpartition("-")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1
        if life != self.life or not 0 <= number <= self.number:
            client.lose(-1)
            return
        first = self._ring[0].number if self._ring else self.number + 1
        if number + 1 < first or any(hole >= number for hole in self._holes):
            client.lose(-1)
        for item in self._ring:
            if item.number > number and client.means(item.message.topic):
                client.add(item)


class EventStream(StreamingResponse):
    """The answer to one client, which leaves with it, whether its stream ever began or not."""

    def __init__(self, news: News, client: Client, still: Callable[[], bool], *, exact: bool) -> None:
        super().__init__(news.events(client, still, exact=exact), media_type="text/event-stream")
        self._news, self._client = news, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._news.leave(self._client)


def row(message: Message, *, exact: bool = False) -> dict[str, Any]:
    """A message as JSON shows it."""
    shown: dict[str, Any] = {
        "topic": message.topic,
        "id": message.id,
        "at": message.at,
        "content_type": message.content_type,
        "headers": message.headers,
    }
    return shown | ({"body_base64": message.body} if exact else raw_or_text(message.body, message.content_type))
