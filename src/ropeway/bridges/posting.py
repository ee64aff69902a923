"""One POST and its answer, over connections that are kept for the next: with one deadline for all of it, and a bound for what is read."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from time import monotonic
from typing import IO, Any, NamedTuple

from ..bells.place import readable
from ..failure import clean
from ..sight.secrets import censored
from .target import Target

TOLD = 2048  # bytes of an answer that are kept as its error text
SHOWN = 300  # characters of it
DRAINED = 64 * 1024  # bytes of an answer that are read so that its connection can be used again,
DRAIN = 0.5  # and the seconds that it gets for them
IDLE = 30.0  # seconds that a connection is kept unused
OLD = 300.0  # seconds after which one is made anew, so that a name that has moved is followed
LONGEST_WAIT = 86400.0  # seconds that an answer can ask us to wait
_BLOCK = 64 * 1024

Headers = Sequence[tuple[str, bytes]]


class Answer(NamedTuple):
    """What came back: the status, how many seconds it asks us to wait (None: it does not say), and how it begins if it refuses."""

    status: int
    wait: float | None
    text: str


class Exchange:
    """A POST that goes on. `stop` ends it from another thread."""

    def __init__(self, timeout: float) -> None:
        self._until = monotonic() + timeout
        self._line: Line | None = None
        self.stopped = False

    def left(self) -> float:
        """Seconds until the deadline. Raises TimeoutError when there are none."""
        left = self._until - monotonic()
        if left <= 0 or self.stopped:
            raise TimeoutError
        return left

    def hurry(self, most: float) -> None:
        """It has so many seconds left and no more."""
        self._until = min(self._until, monotonic() + most)

    def use(self, line: Line) -> None:
        """From now on it goes over this connection."""
        self._line = line
        line.left = self.left

    def stop(self) -> None:
        """End it now: whoever waits in it gets an OSError."""
        self.stopped = True
        if self._line is not None:
            with suppress(OSError):
                self._line.sock.shutdown(socket.SHUT_RDWR)


class Line:
    """A connection as http.client wants one; each step may take as long as the whole exchange still has."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.left: Callable[[], float]
        self.made = self.used = monotonic()

    def sendall(self, data: Any) -> None:
        self.sock.settimeout(self.left())
        self.sock.sendall(data)

    def receive(self, into: Any) -> int:
        self.sock.settimeout(self.left())
        return self.sock.recv_into(into)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        """http.client may close it before the answer is read; `drop` does so for good."""

    def drop(self) -> None:
        self.sock.close()

    @property
    def fresh(self) -> bool:
        """Whether it can be used once more: young, and the other side has neither closed it nor said anything."""
        now = monotonic()
        return now - self.used < IDLE and now - self.made < OLD and not readable([self.sock], 0)


class _Incoming(io.RawIOBase):
    """What comes in, for a reader with a buffer."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        return self._line.receive(into)


class Poster:
    """POSTs to one target, from as many threads as like."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._resting: list[Line] = []  # appended to and popped from: each is one atomic step

    def post(self, exchange: Exchange, headers: Headers, opened: Callable[[], bytes | IO[bytes]], now: float) -> Answer:
        """Send this and read the answer. `opened` gives the body, anew for each try; `now`: seconds since 1970.

        A connection that was kept may have been closed by the other side meanwhile: then it is sent once more over a new one. Raises
        NotAllowed, HTTPException, OSError and TimeoutError."""
        while (line := self._rested()) is not None:
            try:
                return self._over(line, exchange, headers, opened, now)
            except (RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if exchange.stopped:
                    raise
        return self._over(Line(self._target.connect(exchange.left)), exchange, headers, opened, now)

    def close(self) -> None:
        """Let go of the connections that are kept."""
        while self._resting:
            with suppress(IndexError):
                self._resting.pop().drop()

    def _rested(self) -> Line | None:
        while self._resting:
            try:
                line = self._resting.pop()
            except IndexError:
                break
            if line.fresh:
                return line
            line.drop()
        return None

    def _over(self, line: Line, exchange: Exchange, headers: Headers, opened: Callable[[], bytes | IO[bytes]], now: float) -> Answer:
        exchange.use(line)
        keeps = False
        try:
            exchange.left()  # it may have been stopped before it had a connection
            connection = HTTPConnection(self._target.host, self._target.port, blocksize=_BLOCK)
            connection.auto_open = 0
            connection.sock = line
            _send(connection, line, self._target, headers, opened())
            response = connection.getresponse()
            well = 200 <= response.status < 300
            answer = Answer(response.status, _wait(response, now), "" if well else _told(response))
            exchange.hurry(DRAIN)
            keeps = not response.will_close and _drained(response)
            return answer
        finally:
            if keeps:
                line.used = monotonic()
                self._resting.append(line)
            else:
                line.drop()


def _send(connection: HTTPConnection, line: Line, target: Target, headers: Headers, body: bytes | IO[bytes]) -> None:
    try:
        connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", target.host_header)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
    except BrokenPipeError:
        if not readable([line.sock], 0):  # it may have refused before it had read all, and then its answer is there
            raise
    finally:
        if not isinstance(body, bytes):
            body.close()


def _told(response: HTTPResponse) -> str:
    """The first of what it says, on one line and without what looks like a secret."""
    try:
        data = response.read(TOLD)
    except (HTTPException, OSError):
        return ""
    return clean(" ".join(censored(data.decode("utf-8", "replace")).split()), SHOWN)


def _drained(response: HTTPResponse) -> bool:
    """Whether the rest of it was read, so that the connection stands at the next answer."""
    try:
        left = DRAINED
        while left > 0 and (data := response.read(min(left, _BLOCK))):
            left -= len(data)
        return response.isclosed()
    except (HTTPException, OSError):
        return False


def _wait(response: HTTPResponse, now: float) -> float | None:
    """The seconds that Retry-After says, as a number or as a date."""
    text = (response.getheader("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        return min(max(0.0, parsedate_to_datetime(text).timestamp() - now), LONGEST_WAIT)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
