"""What a worker and its children say to one another: msgpack arrays behind their length, many jobs in one.

Both sides keep a buffer of their own and take out of it whatever is whole: two frames may come in one read, and half a one too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from ...calls.wire import Failure
from ...errors import ConfigError, StoreError
from ...job import Job
from ...options import Settings
from ...retry import Retry
from ...store import Handback
from ..app import App

LARGEST = 1 << 30  # bytes of a frame
_LENGTH = struct.Struct(">I")
HEAD = _LENGTH.size


# From the worker


class Policy(Struct, array_like=True):
    """A retry policy in numbers."""

    attempts: int
    base: float
    cap: float
    factor: float
    jitter: float

    def retry(self) -> Retry:
        return Retry(self.attempts, base=self.base, cap=self.cap, factor=self.factor, jitter=self.jitter)


def policy_of(retry: Retry | None) -> Policy | None:
    """The policy as it can travel. Raises ConfigError for one that names exception types."""
    if retry is None:
        return None
    if retry.on is not Exception or retry.give_up_on != ():
        raise ConfigError(
            "a worker's retry policy that names exception types cannot be carried into the processes of its pool; nothing was started. "
            "Say it where the tasks are registered: @broker.task(retry=...)"
        )
    return Policy(retry.attempts, retry.base, retry.cap, retry.factor, retry.jitter)


class Said(Struct, array_like=True):
    """What the configuration says of one queue: options.Settings, as it can travel."""

    lease: float
    keep: float
    dead_keep: float
    priority: int
    retry: Policy
    codec: str
    accept: tuple[str, ...]

    def settings(self) -> Settings:
        return Settings(self.lease, self.keep, self.dead_keep, self.priority, self.retry.retry(), self.codec, self.accept)


def said_of(settings: Settings) -> Said:
    """The same of the worker's own. A configuration names no exception types, so its policies can travel."""
    policy = policy_of(settings.retry)
    assert policy is not None
    lease, keep, dead_keep = settings.lease, settings.keep, settings.dead_keep
    return Said(lease, keep, dead_keep, settings.priority, policy, settings.codec, settings.accept)


class Hello(Struct, array_like=True, tag=0):
    """What a child must know before its first job."""

    app: App
    url: str
    name: str  # the worker's, for the history of its jobs
    lease: float
    max_body: int | None
    retry: Policy | None
    queues: dict[str, Said] = {}


class Sent(Struct, array_like=True, gc=False):
    """One job to run. `number` counts the jobs that were sent to children. `path`: of a body that is kept beside its job."""

    number: int
    job: Job
    receipt: str
    attempt: int
    deaths: int
    until: float
    taken: float
    path: str = ""


class Work(Struct, array_like=True, tag=1):
    """Jobs, to be run in this order."""

    jobs: list[Sent]


class Batch(Struct, array_like=True, tag=2):
    """Jobs of one task that takes several at once."""

    jobs: list[Sent]


class Return(Struct, array_like=True, tag=3):
    """Give back what has not begun."""


class Answer(Struct, array_like=True, tag=4):
    """To a question: what the store answered, or the error."""

    number: int
    value: Any = None
    error: str = ""
    kind: str = ""  # the name of the error's class


class Leave(Struct, array_like=True, tag=5):
    """Do what you have, then end."""


class Look(Struct, array_like=True, tag=6):
    """Show yourself: one of the views of sight/views.py, or `log:ID`, what that job has logged (notebook.py)."""

    number: int
    what: str


# From the child


class Ready(Struct, array_like=True, tag=0):
    """The tasks are loaded: their names."""

    tasks: list[str]


class Unready(Struct, array_like=True, tag=1):
    """They could not be."""

    error: str


class Ended(Struct, array_like=True, gc=False):
    """How a run ended, as it stands in `Run`."""

    number: int
    end: int
    started: float
    ended: float
    handback: Handback | None = None
    result: bytes | None = None
    result_type: str = ""
    stale: bool = False
    doubt: bool = False
    failure: Failure | None = None
    said: int = 0


class Ends(Struct, array_like=True, tag=2):
    """Runs that have ended, in their order."""

    runs: list[Ended]


class Back(Struct, array_like=True, tag=3):
    """These had not begun, and will not."""

    numbers: list[int]


class Ask(Struct, array_like=True, tag=4):
    """A verb of the store that a job wants done, by the worker's own connection."""

    number: int
    verb: str
    given: list[Any]


class Seen(Struct, array_like=True, tag=5):
    """The view that was asked for, as JSON; nothing when it could not be made."""

    number: int
    view: bytes


ToChild = Hello | Work | Batch | Return | Answer | Leave | Look
FromChild = Ready | Unready | Ends | Back | Ask | Seen

_encode = msgspec.msgpack.Encoder().encode
to_child = msgspec.msgpack.Decoder(ToChild)
from_child = msgspec.msgpack.Decoder(FromChild)


class Broken(StoreError):
    """What came over the socket is no frame."""


def framed(message: ToChild | FromChild) -> bytes:
    """The message behind its length."""
    payload = _encode(message)
    return _LENGTH.pack(len(payload)) + payload


class Buffer:
    """Bytes as they come, messages as they are whole."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self._bytes = bytearray()
        self._decode = decoder.decode

    def feed(self, data: bytes) -> Iterator[Any]:
        """The messages that are whole now. Raises Broken for what is none."""
        buffer = self._bytes
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= HEAD:
                end = start + HEAD + _LENGTH.unpack_from(buffer, start)[0]
                if end - start > LARGEST:
                    raise Broken("a frame of over a gigabyte")
                if len(buffer) < end:
                    break
                with memoryview(buffer) as view, view[start + HEAD : end] as part:
                    message = self._decode(part)
                start = end
                yield message
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Broken(f"no frame: {error}") from None
        finally:
            if start:
                del buffer[:start]
