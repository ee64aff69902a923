"""Connections that are patient with nobody for long: how many there may be, and how slow each may be, before anything is asked of a store.

uvicorn knows no time limit but that of an idle connection between two requests. Here every connection is looked at once a second: its
headers have to be there within `HEADERS` seconds, its body comes at `RATE` or better, and what is sent to it is taken at that rate. A long
poll and a stream may last, since it is we who are silent then. Whoever is too slow is cut, without waiting for what it has not read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import cast

import uvicorn
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from .problems import problem_body

HEADERS = 10.0  # seconds in which a request's headers, or a TLS handshake, have to be complete
HEAD_LIMIT = 16 << 10  # bytes of the request line and all headers
RATE = 1000  # bytes a second that a body, or the reader of an answer, makes at least
WINDOW = 10.0  # seconds over which that is judged
CONNECTIONS = 4000  # at once
SPARE = 256  # descriptors that are kept for the store
LINGER = 2.0  # seconds that a refused connection gets to read why
SHORT = 1400  # bytes of a message that fits into one packet
LINGERING = 100  # such connections at once; others are closed at once


class Crowd:
    """Who is connected: in all, and from each address."""

    def __init__(self, most: int = CONNECTIONS, each: int = 0) -> None:
        self.most = most
        self.each = each or most // 2  # no address takes it all
        self.all = 0
        self.by_address: Counter[str] = Counter()
        self.refused = 0  # that came when there was no place
        self.cut = 0  # that were too slow
        self.lingering = 0

    def enter(self, address: str) -> str:
        """Counted in; or why not."""
        if self.all >= self.most:
            self.refused += 1
            return f"this server has {self.most} connections, which is all that it takes; nothing was done. Try again later"
        if address and self.by_address[address] >= self.each:
            self.refused += 1
            return f"your address has {self.each} connections here, which is all that one gets; nothing was done. Close some, or use fewer"
        self.all += 1
        if address:
            self.by_address[address] += 1
        return ""

    def leave(self, address: str) -> None:
        """One that was counted in is gone."""
        self.all -= 1
        if address:
            self.by_address[address] -= 1
            if not self.by_address[address]:
                del self.by_address[address]


class Config(uvicorn.Config):
    """The settings of uvicorn, and the crowd that its connections count themselves into."""

    crowd: Crowd


class Reader:
    """Whether the other side takes what is sent to it: looked at now and then."""

    def __init__(self) -> None:
        self.since = 0.0  # when the window began; 0: nothing is held up
        self.size = 0
        self.moved = False  # a good part was taken since, and more was written

    def stuck(self, transport: asyncio.Transport, now: float) -> bool:
        """Whether it has taken less than RATE for a whole window."""
        size = transport.get_write_buffer_size()
        if not size:
            self.since = 0.0
            return False
        if not self.since or now - self.since >= WINDOW:
            slow = bool(self.since) and not self.moved and self.size - size < RATE * WINDOW
            self.since, self.size, self.moved = now, size, False
            return slow
        return False


class Ignored(list[tuple[bytes, bytes]]):
    """Where trailers go: what follows a body in chunks is not what the gate has seen, and nobody asks for it."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        return


class Cycle(RequestResponseCycle):
    """One request and its answer. What is whole when it is made goes out in one piece, without a walk through each of its headers.
    `leaving` is called when its client goes before that."""

    leaving: Callable[[], None] | None = None

    def whole(self, status: int, lines: bytes, body: bytes) -> bool:
        """Answer with this. `lines`: headers as they travel, its length among them, checked by whoever made them. False when it has to be
        said the usual way: nothing was written then."""
        if self.response_started or self.disconnected or self.flow.write_paused or self.access_log or self.scope["method"] == "HEAD":
            return False
        self.response_started = True
        self.waiting_for_100_continue = False
        parts = [STATUS_LINE[status]]
        for name, value in self.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (lines, b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n", body)
        self.transport.write(b"".join(parts))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True


class Http(HttpToolsProtocol):
    """One connection. Between two requests `began` is 0; uvicorn closes what is idle there."""

    heading = True  # headers are awaited; else a body
    began = 0.0  # when the window began in which they are judged
    came = 0  # bytes since then
    counted = False
    refused = 0.0  # when it was refused: what it says since is not read, and it gets a moment to read why
    cycles: tuple[RequestResponseCycle, ...] = ()  # requests that are not answered yet: several, when a client does not wait

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.reader = Reader()
        self.began = self.loop.time()
        self.crowd = cast("Config", self.config).crowd
        self.address = self.client[0] if self.client else ""
        if why := self.crowd.enter(self.address):
            self.refuse(503, why)
        else:
            self.counted = True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.counted:
            self.crowd.leave(self.address)
        if self.refused:
            self.crowd.lingering -= 1
        self.leave()
        super().connection_lost(exc)

    def leave(self) -> None:
        """Tell all who work for it that it is gone; uvicorn tells the last of them, and when the connection has ended."""
        for cycle in self.cycles:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
                if isinstance(cycle, Cycle) and cycle.leaving is not None:
                    cycle.leaving()

    def data_received(self, data: bytes) -> None:
        if self.refused:
            return
        if not self.began:
            self.began, self.came = self.loop.time(), 0
        self.came += len(data)
        super().data_received(data)
        if self.came > HEAD_LIMIT and self.heading:
            self.refuse(431, f"the headers are over {HEAD_LIMIT} bytes; nothing was done")

    def on_headers_complete(self) -> None:
        self.heading, self.began, self.came = False, self.loop.time(), 0
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.headers = Ignored()
            self.cycle.__class__ = Cycle  # uvicorn makes it in the middle of what it does; it has not begun
            waiting = self.cycles and tuple(one for one in self.cycles if not one.response_complete)
            self.cycles = (*waiting, self.cycle)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.heading, self.began, self.came = True, 0.0, 0

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        follower = self.transport.get_protocol()
        if isinstance(follower, Socket):
            follower.take_over(self)

    def resume_writing(self) -> None:
        self.reader.moved = True
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, f"{msg} Nothing was done.")

    def refuse(self, status: int, why: str) -> None:
        """Say no, and close: here is no gate yet that could. What it still sends is taken and dropped for a moment, since a connection
        that is closed on unread bytes is reset, and its answer with it."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.cut()  # in the middle of another answer
            return
        self.leave()
        self.transport.write(refusal(status, why))
        if self.transport.can_write_eof() and self.crowd.lingering < LINGERING:
            self.refused = self.loop.time()
            self.crowd.lingering += 1
            self.flow.resume_reading()
            self.transport.write_eof()
        else:
            self.transport.close()

    def look(self, now: float) -> None:
        """Cut it if it is too slow."""
        if self.reader.stuck(self.transport, now) or (self.refused and now - self.refused > LINGER):
            self.cut()
        elif not self.began or self.refused:
            return
        elif self.flow.read_paused:  # it is we who do not read
            self.began, self.came = now, 0
        elif self.heading and now - self.began > HEADERS:
            self.crowd.cut += 1
            self.refuse(408, f"no whole headers came within {HEADERS:g} s; nothing was done")
        elif not self.heading and now - self.began > WINDOW:
            slow, self.began, self.came = self.came < RATE * WINDOW, now, 0
            if slow:
                self.crowd.cut += 1
                self.refuse(408, f"the body came at less than {RATE} bytes a second; nothing was done")

    def cut(self) -> None:
        """At once: what it has not read is not waited for."""
        self.crowd.cut += 1
        self.leave()
        self.transport.abort()


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket. That it is alive is asked by pings; that it reads is looked at here."""

    crowd: Crowd | None = None
    address = ""

    def whole(self, text: bytes) -> bool:
        """Send this as one message. False when it has to be said the usual way: nothing was written then. A short one goes as it is, even
        where both sides know how to compress: it would cost more time than it saves bytes."""
        size = len(text)
        if self.close_sent or self.disconnected or not self.writable.is_set() or self.conn.state is not State.OPEN:
            return False
        if size < 126:
            head = b"\x81%c" % size
        elif size < SHORT:
            head = b"\x81\x7e" + size.to_bytes(2, "big")
        else:
            return False
        self.transport.write(head + text)
        return True

    def take_over(self, http: Http) -> None:
        """It is the connection that was `http`, and counts as that."""
        self.reader, self.crowd, self.address = http.reader, http.crowd, http.address
        http.counted = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.crowd is not None:
            self.crowd.leave(self.address)
            self.crowd = None
        super().connection_lost(exc)

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # by a refusal: uvicorn would log an error, as if it had been forgotten

    def resume_writing(self) -> None:
        self.reader.moved = True
        super().resume_writing()

    def look(self, now: float) -> None:
        """Cut it if it does not read."""
        if self.crowd is not None and self.reader.stuck(self.transport, now):
            self.crowd.cut += 1
            self.transport.abort()


def refusal(status: int, why: str) -> bytes:
    """A whole answer, for those who have not come as far as the gate."""
    body = problem_body(status, why)
    head = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
    return STATUS_LINE[status] + head + (b"retry-after: 1\r\n" if status == 503 else b"") + b"\r\n" + body


def room(most: int) -> int:
    """How many connections fit into the descriptors that this process may open; it asks for all that it can have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        wanted = hard if hard != resource.RLIM_INFINITY else most + SPARE
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, most + SPARE)), hard))
        except (ValueError, OSError):
            pass
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(most, soft - SPARE)) if soft > SPARE else max(1, soft // 2)
