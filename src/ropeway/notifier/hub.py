"""Who is connected, and what each is told: lines are gathered for one turn of the event loop, and go to everybody in one write each."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import logging
from collections.abc import Callable
from typing import cast

from msgspec import Struct

from .lines import Splitter, harmless

log = logging.getLogger("ropeway.notifier")

EOF = b"\x04"
CLOSING = frozenset({b"quit", b"exit"})
Said = tuple["Client | None", bytes]


class Rules(Struct, frozen=True):
    """What the notifier allows. Sizes in bytes, times in seconds."""

    token: str = ""  # asked of each client in its first line; none: nobody is asked
    clients: int = 10_000  # connected at once; more are turned away
    buffer: int = 1 << 20  # that may lie unread for one client; what comes beyond it misses
    patience: float = 30.0  # for one that reads nothing, until it is cut
    greeting: float = 10.0  # for the token


class Hub:
    """All clients of one notifier. `said` hears of each line that a client says, once it goes to the others."""

    def __init__(self, rules: Rules | None = None, said: Callable[[list[bytes]], None] | None = None) -> None:
        self.rules = rules or Rules()
        self.clients: dict[int, Client] = {}
        self.lines = 0  # that came in
        self.missed = 0  # that somebody was too slow for, summed over all
        self.cut = 0  # clients that were
        self._said = said
        self._numbers = itertools.count(1)
        self._turn: list[Said] = []
        self._scheduled = False
        self._all: set[Client] = set()  # also those who have not said the token

    def client(self) -> asyncio.Protocol:
        """For the event loop: one for each connection."""
        return Client(self)

    def say(self, lines: list[bytes], by: Client | None = None) -> None:
        """Tell all but `by`, at the end of this turn."""
        self.lines += len(lines)
        self._turn.append((by, b"".join([line + b"\r\n" for line in lines])))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._tell)
        if by is not None and self._said is not None:
            self._said(lines)

    def _tell(self) -> None:
        turn, self._turn, self._scheduled = self._turn, [], False
        everything = b"".join([text for _, text in turn])
        speakers = {by for by, _ in turn}
        for client in list(self.clients.values()):
            text = everything if client not in speakers else b"".join([text for by, text in turn if by is not client])
            if text:
                client.tell(text)

    def enter(self, client: Client) -> int | None:
        """Its number; None when there is no room."""
        self._all.add(client)
        if len(self._all) > self.rules.clients:
            return None
        return next(self._numbers)

    def leave(self, client: Client) -> None:
        self._all.discard(client)
        self.clients.pop(client.number, None)

    @property
    def anybody(self) -> bool:
        """Whether a connection is left."""
        return bool(self._all)

    def close(self) -> None:
        """Send everybody off, once what they were told has gone out."""
        if self._turn:
            self._tell()
        for client in list(self._all):
            client.end()


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, hub: Hub) -> None:
        self.number = 0
        self._hub = hub
        self._splitter = Splitter()
        self._transport: asyncio.Transport | None = None
        self._slow = False  # it has not read what lies there
        self._missed = 0
        self._known = not hub.rules.token
        self._timer: asyncio.TimerHandle | None = None

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=self._hub.rules.buffer, low=self._hub.rules.buffer // 4)
        number = self._hub.enter(self)
        if number is None:
            self._write(b"Full.  Try again later.\r\n")
            self.end()
            return
        self.number = number
        if self._known:
            self._join()
        else:
            self._write(b"Token?\r\n")
            self._timer = asyncio.get_running_loop().call_later(self._hub.rules.greeting, self.end)

    def data_received(self, data: bytes) -> None:
        lines = self._splitter.feed(data)
        if self._splitter.dropped:
            self._splitter.dropped = 0
            self._write(b"That line was too long, and was not passed on.\r\n")
        if not self._known and lines:
            if not self._proves(lines.pop(0)):
                self._write(b"That is not the token.\r\n")
                self.end()
                return
            self._join()
        if self._known:
            self._hear(lines)
        elif len(self._splitter.waiting) > 1024:
            self.end()

    def eof_received(self) -> bool:
        rest = self._splitter.rest()
        if self._known and rest:
            self._hear([rest.removesuffix(b"\r")])
        self.end()
        return True  # what it was told goes out first

    def pause_writing(self) -> None:
        self._slow = True
        self._timer = asyncio.get_running_loop().call_later(self._hub.rules.patience, self._cut)

    def resume_writing(self) -> None:
        self._slow = False
        if self._transport is None or self._transport.is_closing():
            return  # the timer is that of its end
        if self._timer is not None:
            self._timer.cancel()
        if self._missed:
            missed, self._missed = self._missed, 0
            self._write(b"Missed %d lines: read faster.\r\n" % missed)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio says so
        if self._timer is not None:
            self._timer.cancel()
        self._hub.leave(self)

    # What is done with it

    def tell(self, text: bytes) -> None:
        """Lines for this one. Those for which there is no room it misses."""
        if self._slow:
            missed = text.count(b"\n")
            self._missed += missed
            self._hub.missed += missed
        else:
            self._write(text)

    def end(self) -> None:
        """Close, once all has gone out; what it says meanwhile is not heard."""
        if self._transport is not None and not self._transport.is_closing():
            self._known = True
            self._hub.clients.pop(self.number, None)
            self._transport.close()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(self._hub.rules.patience, self._transport.abort)

    def _hear(self, lines: list[bytes]) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        passed, last = [], b""
        for line in lines:
            if line == EOF or line.strip() in CLOSING:
                last = line
                break
            passed.append(harmless(line))
        else:
            last = EOF if self._splitter.waiting == EOF else b""
        if passed:
            log.debug("%d: %d lines", self.number, len(passed))
            self._hub.say(passed, self)
        if last:
            if last == EOF:
                self._write(b"Received EOF.  Closing connection...\r\n")
            asyncio.get_running_loop().call_soon(self.end)  # after this turn's lines, which others have said

    def _join(self) -> None:
        self._known = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._hub.clients[self.number] = self
        self._write(b"Connected.  (PID %d)\r\n" % self.number)

    def _proves(self, line: bytes) -> bool:
        return hmac.compare_digest(line.strip(), self._hub.rules.token.encode())

    def _cut(self) -> None:
        """It has read nothing for so long that it is not there."""
        self._hub.cut += 1
        log.warning("client %d reads nothing: cut, %d lines missed", self.number, self._missed)
        if self._transport is not None:
            self._transport.abort()

    def _write(self, text: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(text)
