"""Letters: answers that go from a worker straight to the caller on the same host, past the store, in one datagram.

A caller's mailroom has an *ear*, a socket with a random name, and writes the name into the headers of its calls. A worker of the same host
sends the last word there. A letter that cannot be sent (another host, too large, the ear is full or gone) is put into the store instead,
as all other replies are. Whoever knows the name may send what he likes: a letter counts by its correlation alone, as a reply does.
"""

from __future__ import annotations

import _socket  # the C half of socket, as the bells take it
import os
import re
import threading
from collections import deque
from functools import cache, partial
from itertools import islice

import msgspec
from msgspec import Struct

from ..bells.datagram import AF_UNIX, world
from ..bells.place import SleepingPlace
from ..job import Job
from .wire import Reply, read_words

LARGEST = 60_000  # bytes of a letter; a longer answer is kept by the store
CROWD = 8  # letters found at once: the system holds ten or so for a socket that nobody reads, so others may have gone to the store
AT_ONCE = 64  # letters taken between two looks at everything else
_FLAGS = _socket.SOCK_DGRAM | getattr(_socket, "SOCK_NONBLOCK", 0) | getattr(_socket, "SOCK_CLOEXEC", 0)
_EAR = re.compile(r"([0-9a-f.]{1,40})\.([0-9a-f]{32})\Z", re.ASCII).match


class Letter(Struct, array_like=True, gc=False):
    """What is in a datagram. `kept`: the same answer lies in the store as well."""

    headers: dict[str, str]
    content_type: str
    body: bytes
    kept: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Letter).decode


@cache
def here(_: int) -> str:
    """What an ear must share with us so that our letters reach it; nothing where there are none. By process: a child may have gone
    elsewhere."""
    return world() if AF_UNIX is not None else ""


class Ear(SleepingPlace):
    """Where the letters to one mailroom come in. Slept on by one thread at a time. Raises OSError when the system has no socket left."""

    def __init__(self) -> None:
        super().__init__()
        self.token = os.urandom(16).hex()
        self._letters: deque[bytes] = deque()
        self._socket = _socket.socket(_socket.AF_UNIX, _FLAGS)
        self._socket.bind(_address(self.token))
        self._receive = partial(self._socket.recv, LARGEST)
        self._watch(self._socket.fileno())

    @property
    def address(self) -> str:
        """As the headers of a call have it."""
        return f"{here(os.getpid())}.{self.token}"

    def _heard(self) -> bool:
        try:
            self._letters.extend(islice(iter(self._receive, b""), AT_ONCE))  # one step: no interrupt between a letter and its place
        except OSError:
            pass  # there is no more for now
        return True

    def __len__(self) -> int:
        return len(self._letters)

    def first(self) -> bytes | None:
        """The letter that came first. It stays until `passed`: whoever hands it out may be interrupted."""
        return self._letters[0] if self._letters else None

    def passed(self) -> None:
        """The first one was handed out."""
        if self._letters:
            self._letters.popleft()

    def close(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()
        super().close()


def ear_of(address: str | None) -> str:
    """The name of the ear that a header tells of, if our letters can reach it; else nothing."""
    found = _EAR(address) if address else None
    return found[2] if found is not None and found[1] == here(os.getpid()) else ""


class Post:
    """Sends letters. For all threads of a process, one socket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: _socket.socket | None = None

    def nudge(self, ear: str) -> None:
        """Have the caller look into its store: what was for it did not fit into a letter."""
        self._send(ear, b"")

    def send(self, ear: str, reply: Job, *, kept: bool = False) -> bool:
        """Whether the letter is on its way: then it arrives, unless the caller's process ends first. Never waits, never raises."""
        if len(reply.body) > LARGEST:
            return False
        letter = _encode(Letter(reply.headers, reply.content_type, reply.body, kept))
        return len(letter) <= LARGEST and self._send(ear, letter)

    def _send(self, ear: str, letter: bytes) -> bool:
        try:
            out = self._socket
            if out is None:
                with self._lock:
                    out = self._socket = self._socket or _socket.socket(_socket.AF_UNIX, _FLAGS)
            out.sendto(letter, _address(ear))
        except OSError:
            return False  # the ear is full, or gone
        return True

    def close(self) -> None:
        """Let go of the socket; the next letter opens another."""
        with self._lock:
            out, self._socket = self._socket, None
        if out is not None:
            out.close()


def read_letter(letter: bytes) -> tuple[str, Reply, bool] | None:
    """The correlation, the reply, and whether the store has it too; None for what is no letter."""
    try:
        read = _decode(letter)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    words = read_words(read.headers, read.body, read.content_type)
    return None if words is None else (*words, read.kept)


def _address(token: str) -> bytes:
    return f"\0ropeway-ear.{token}".encode()
