"""The line from a publishing process to one that listens: what the socket does not take waits here, within bounds, and what does not fit is
counted, so that the listener can be told between which messages it missed how many."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence

from .. import living
from ..topics import matcher
from .frames import ANSWER, CHUNK, GREETING, LISTENER, NO_GREETING, PUBLISHER, Announcement, framed, proof, same
from .hearers import SOME, UNKNOWN
from .places import Place, Refused

ROOM = 4 * 1024 * 1024  # bytes that wait for one listener; the same bytes may wait for many
MOST = 10_000  # messages that do
TOPICS = 1000  # topics of which the missed are counted apart
PATIENCE = 5.0  # seconds for the two to prove themselves to each other
RETRY = 1.0  # seconds between two tries to reach one that may be there
CROWDED = 0.02  # seconds until one is tried again that has no room for a new line just now

Packed = tuple[str, bytes]  # a topic, and the message as it goes over the line


class Line:
    """Used by any thread; no call ever waits for the listener. `gone`: nobody is there any more."""

    def __init__(self, place: Place, key: str, value: bytes, said: Announcement) -> None:
        self.key = key
        self.value = value  # of the note
        self.means = matcher(said.patterns)
        self.gone = False
        self.again = 0.0  # when it is to be tried again, if it cannot be watched
        self._place = place
        self._said = said
        self._lock = threading.Lock()
        self._queue: deque[Packed | dict[str, int]] = deque()  # a dict: what was dropped at that place
        self._count = self._size = 0
        self._rest = memoryview(b"")  # of the frame that is going out
        self._out: socket.socket | None = None
        self._own = self._heard = b""
        self._joining = False
        self._open_since = self._broken_at = 0.0

    def say(self, packed: Sequence[Packed]) -> bool:
        """Send these, or as much as goes without waiting. True when something is left for `push`."""
        stuck = False
        with self._lock:
            for one in packed:
                if not stuck and self._is_full(one):
                    stuck = self._push()
                if self._is_full(one):
                    self._miss(one[0])
                else:
                    self._queue.append(one)
                    self._count += 1
                    self._size += len(one[1])
            return self._push()

    def push(self) -> bool:
        """Go on. True when something is still left."""
        with self._lock:
            return self._push()

    def listens_anew(self, value: bytes, said: Announcement) -> bool:
        """It listens for something else by now; False when it is not the same one."""
        if (said.address, said.secret) != (self._said.address, self._said.secret):
            return False
        self.value, self._said, self.means = value, said, matcher(said.patterns)
        return True

    def watched(self) -> tuple[int, int] | None:
        """What to poll for before the next `push`; None when `again` says when."""
        out = self._out
        return None if out is None else (out.fileno(), select.POLLIN if self._joining else select.POLLOUT)

    def close(self) -> None:
        with self._lock:
            self._hang_up()
            self._queue.clear()
            self._rest = memoryview(b"")

    def let_go(self) -> None:
        """In a forked child: the line is the parent's."""
        if self._out is not None:
            self._out.close()

    # -- within the lock

    def _is_full(self, one: Packed) -> bool:
        return self._count >= MOST or (self._count > 0 and self._size + len(one[1]) > ROOM)

    def _miss(self, topic: str) -> None:
        if not self._queue or not isinstance(self._queue[-1], dict):
            self._queue.append({})
        gap = self._queue[-1]
        assert isinstance(gap, dict)
        topic = topic if topic in gap or len(gap) < TOPICS else SOME
        gap[topic] = gap.get(topic, 0) + 1

    def _push(self) -> bool:
        while (self._queue or self._rest) and not self.gone:
            try:
                out = self._out or self._connected()
                if out is None or (self._joining and not self._joined(out)):
                    break
                if not self._rest:
                    self._rest = memoryview(self._next())
                self._rest = self._rest[out.send(self._rest) :]
            except BlockingIOError:
                break
            except OSError as error:
                self._broke(error)
        if self.gone:
            self._queue.clear()
            self._rest = memoryview(b"")
        return bool(self._queue or self._rest)

    def _next(self) -> bytes:
        missed: dict[str, int] = {}
        some: list[bytes] = []
        size = 0
        while self._queue:
            first = self._queue[0]
            if isinstance(first, dict):
                if some:
                    break
                missed |= first
            elif some and size + len(first[1]) > CHUNK:
                break
            else:
                some.append(first[1])
                size += len(first[1])
            self._queue.popleft()
        self._count -= len(some)
        self._size -= size
        return framed(missed, some, more=bool(self._queue))

    def _connected(self) -> socket.socket | None:
        now = time.monotonic()
        if now < self.again:
            return None
        try:
            out = self._place.reach(self._said.address)
        except Refused:
            self.gone = True
            return None
        except BlockingIOError:
            self.again = now + CROWDED
            return None
        except OSError:
            self.again = now + RETRY
            return None
        if out is None:  # of another host: not ours to reach, nor to judge
            self._queue.clear()
            self._count = self._size = 0
            return None
        self._out, self._open_since, self._own, self._heard = out, now, os.urandom(16), b""
        self._joining = bool(self._place.greeting)
        if not self._joining:
            self._introduce(out, NO_GREETING)
        return out

    def _introduce(self, out: socket.socket, greeting: bytes) -> None:
        """Few bytes on a fresh socket: they fit."""
        out.send(self._own + proof(self._said.secret, PUBLISHER, greeting, self._own, self._said.address))

    def _joined(self, out: socket.socket) -> bool:
        """Whether both have proved themselves."""
        try:
            while len(self._heard) < GREETING + ANSWER:
                data = out.recv((GREETING if len(self._heard) < GREETING else GREETING + ANSWER) - len(self._heard))
                if not data:
                    raise ConnectionAbortedError("closed before it was open")
                self._heard += data
                if len(self._heard) == GREETING:
                    self._introduce(out, self._heard)
        except BlockingIOError:
            if time.monotonic() - self._open_since > PATIENCE:
                raise TimeoutError from None
            return False
        greeting, answer = self._heard[:GREETING], self._heard[GREETING:]
        if not same(answer, proof(self._said.secret, LISTENER, greeting, self._own, self._said.address)):
            raise ConnectionAbortedError("somebody else")
        self._joining = False
        return True

    def _broke(self, error: OSError) -> None:
        """What was on its way may have been heard or not: it is not said twice, and the listener is told that some may be missing."""
        now = time.monotonic()
        if self._joining:
            self.gone = (isinstance(error, ConnectionRefusedError) and "@" in self._said.address) or living.is_dead(self._said.who)
            self.again = now + RETRY
        else:
            if self._queue and isinstance(self._queue[0], dict):
                self._queue[0] |= UNKNOWN
            else:
                self._queue.appendleft(dict(UNKNOWN))
            self.again = now + RETRY if now - self._broken_at < RETRY else 0.0
            self._broken_at = now
        self._hang_up()
        self._rest = memoryview(b"")

    def _hang_up(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None
        self._joining = False

    @property
    def deadline(self) -> float:
        """When it must be looked after, whatever comes."""
        if self._joining:
            return self._open_since + PATIENCE
        return self.again if self._out is None else float("inf")

    @property
    def pending(self) -> bool:
        return bool(self._queue or self._rest)
