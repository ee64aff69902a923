"""The job, and what is remembered of its attempts: pure data, the same on every floor and every engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from .durations import LONGEST
from .errors import BadBody, BadName, BadValue
from .ids import is_id
from .names import check_headers, check_key, check_name

PRIORITY = 50
HIGHEST, LOWEST = 0, 99

BYTES = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

_CONTENT_TYPE = re.compile(r"[ -~]{0,256}\Z", re.ASCII).match
LATEST = 253402300800.0  # the year 10000


class State(StrEnum):
    """Where a job stands. `ready` and `delayed` differ only by whether its moment has come."""

    READY = "ready"
    DELAYED = "delayed"
    RUNNING = "running"
    DEAD = "dead"
    DONE = "done"


WAITING = frozenset({State.READY, State.DELAYED})


class Job(Struct, array_like=True, gc=False):
    """What a queue holds.

    The order of the fields is the stored format (codec.py): new ones go to the end, with a default, and none is ever removed.
    Times are seconds since 1970 by the store's clock; durations are seconds. `created` and `due` are filled in by the store at
    the put and stay with the object, so that repeating a put whose outcome is unknown asks for the same place again.
    """

    id: str  # 32 hex digits, made by the client (ids.py)
    queue: str
    body: bytes = b""
    content_type: str = BYTES
    headers: dict[str, str] = {}
    priority: int = PRIORITY  # 0-99, low first
    delay: float = 0.0  # from the put until it is due
    key: str = ""  # unique while the job lives: ready, delayed, running, and done for as long as it is kept
    ttl: float = 0.0  # from the put until nobody wants it any more; 0 = never
    keep: float = 0.0  # how long it stays as done, with its result
    task: str = ""  # the registered function that it runs
    lane: str = ""  # strict order, one at a time, among the jobs of one lane
    once: bool = False  # refuse a second put of this id even from another process (costs a key)
    created: float = 0.0
    due: float = 0.0
    size: int = -1  # of a body that is kept beside the job, -1 when `body` is all of it
    digest: str = ""  # SHA-256 of such a body, hex
    source: Any = None  # at the put: a Source to stream from; at the claim: a Blob to read from; never stored
    fleeting: bool = False  # worthless once its caller is gone: the put may be answered before it would survive a power cut; never stored

    def expires(self) -> float:
        """The moment after which it must not be handed out any more; infinity when it has none."""
        return self.created + self.ttl if self.ttl else float("inf")


class Source(Protocol):
    """A body that is streamed in: chunks of bytes, read once, in constant memory."""

    def __iter__(self) -> Iterator[bytes]: ...


class Blob(Protocol):
    """A body that is kept beside its job."""

    size: int

    def read(self) -> bytes: ...
    def path(self) -> str: ...


class Attempt(Struct, array_like=True, gc=False):
    """One run of a job that did not end well, as it is kept in the job's history (the last ten of them).

    Stored as it stands: new fields go to the end, with a default. Given back with number 0 it gets that of its claim from the store: for
    those who hold a receipt and nothing else.
    """

    number: int
    started: float  # seconds since 1970, by the worker's clock: for reading, nothing is decided by it
    ended: float
    worker: str  # host:pid:name
    outcome: str  # failed, timeout, killed, crashed, returned, discarded, expired, lost
    error: str = ""  # "Type: text", one line
    traceback: str = ""
    log: str = ""  # the last lines that it logged, one a line


def numbered(attempt: Attempt, claims: int) -> Attempt:
    """The attempt, with a number: its own, or else that of the claim."""
    return attempt if attempt.number else replace(attempt, number=claims)


HISTORY = 10


def check_job(job: Job, max_body: int | None = None) -> Job:
    """The job itself if every field keeps its rule; else BadName, BadBody or BadValue. Stores call it first of all."""
    check_name(job.queue)
    if not is_id(job.id):
        raise BadName(f"{ascii(job.id)[:80]} is no job id: it must be 32 lower-case hex digits; nothing was stored")
    if job.key != "":
        check_key(job.key)
    if job.task != "":
        check_name(job.task, "task")
    if job.lane != "":
        check_key(job.lane)
    if job.headers or job.headers.__class__ is not dict:
        check_headers(job.headers)
    kind = job.content_type
    if kind is not JSON and kind is not BYTES and kind is not TEXT:
        check_content_type(kind, "stored")
    if type(job.once) is not bool or type(job.fleeting) is not bool:
        raise BadValue(f"once and fleeting are True or False, not {ascii(job.once)[:40]}, {ascii(job.fleeting)[:40]}; nothing was stored")
    if job.__class__ is not Job or type(job.priority) is not int or not HIGHEST <= job.priority <= LOWEST:
        raise BadValue(f"priority {ascii(job.priority)[:40]} is not a whole number from {HIGHEST} (first) to {LOWEST}; nothing was stored")
    if not (job.delay == job.ttl == job.keep == job.created == job.due == 0 or _in_range(job)):
        raise BadValue("delay, ttl and keep are seconds from 0 to 100 years, created and due are moments of this age; nothing was stored")
    if type(job.body) is not bytes:
        raise BadBody(f"a stored body is bytes, not {type(job.body).__name__}; nothing was stored")
    if max_body is not None and len(job.body) > max_body:
        raise BadBody(
            f"the body is {len(job.body)} bytes, this engine takes {max_body}; nothing was stored. "
            "Keep large bodies on the directory engine, or put a reference to them"
        )
    return job


class Checked(list[Job]):
    """Jobs that `check_job` has passed already, so that a store need not look at each again: it trusts this class, and nobody but those who
    have checked them makes one. `size`: bytes of all their bodies, `largest`: of the largest one."""

    __slots__ = ("largest", "size")

    def __init__(self, jobs: Iterable[Job], size: int, largest: int) -> None:
        super().__init__(jobs)
        self.size = size
        self.largest = largest


def check_each(jobs: Sequence[Job], max_body: int | None = None) -> None:
    """`check_job` for each of them, and for nothing where that is done already."""
    if jobs.__class__ is Checked and (max_body is None or jobs.largest <= max_body):
        return
    for job in jobs:
        check_job(job, max_body)


def check_jobs(jobs: Sequence[Job], max_body: int | None = None) -> Checked:
    """The same, and the jobs as those that it took."""
    if jobs.__class__ is Checked and (max_body is None or jobs.largest <= max_body):
        return jobs
    size = largest = 0
    for job in jobs:
        check_job(job, max_body)
        length = len(job.body)
        size += length
        largest = max(largest, length)
    return Checked(jobs, size, largest)


def check_content_type(kind: object, done: str) -> None:
    """BadValue for what is no content type. `done`: what has not been done then."""
    if not (isinstance(kind, str) and _CONTENT_TYPE(kind)):
        raise BadValue(f"{ascii(kind)[:80]} is no content type: at most 256 visible ASCII characters; nothing was {done}")


def _in_range(job: Job) -> bool:
    try:
        lasting = 0 <= job.delay <= LONGEST and 0 <= job.ttl <= LONGEST and 0 <= job.keep <= LONGEST
        return lasting and 0 <= job.created <= LATEST and 0 <= job.due <= LATEST
    except TypeError:
        return False


Clock = Callable[[], float]
