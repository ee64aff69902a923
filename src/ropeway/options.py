"""What may be said about a job when it is put, and how that becomes a Job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict

from msgspec import Struct
from msgspec.structs import replace

from .codecs import Way, way
from .durations import Duration, seconds
from .errors import BadBody, BadValue
from .ids import check_id
from .job import BYTES, PRIORITY, Checked, Job, check_job
from .link import Link
from .names import check_headers, check_key, shown
from .retry import DEFAULT, Retry
from .unique import check_unique, hold_key

OnConflict = Literal["raise", "keep", "replace"]


class PutOptions(TypedDict, total=False):
    """The options of every put. Durations are seconds or text such as "10m"."""

    priority: int  # 0-99, low first; 50
    delay: Duration  # from now until it is due; 0
    at: datetime | None  # the moment when it is due, with its time zone; instead of `delay`
    key: str | None  # unique among the live jobs of the queue
    ttl: Duration | None  # from now until nobody wants it any more; none = never
    headers: Mapping[str, str] | None
    keep: Duration | None  # how long it stays as done, with its result; 0
    lane: str | None  # strict order, one at a time, among the jobs of one lane
    task: str | None  # the registered function that it runs
    once: bool  # refuse a second put of this id even from another process; meant when `id` is given
    on_conflict: OnConflict  # when the key is taken: raise Conflict, answer the first job's handle, or let this one take its place
    unique_for: Duration | None  # the key stays taken for so long from the put, also when the job is done
    debounce: Duration | None  # due when no other put of this key has come for so long: each takes the place of the one before
    debounce_max: Duration | None  # at most so long after the first of them
    id: str | None  # 32 hex digits, made by the caller, who can then repeat a put whose outcome is unknown without a double
    tx: Any  # a connection or session to the same database: the job is put inside the transaction that it has open


_KNOWN = frozenset(PutOptions.__annotations__)


class Settings(Struct, frozen=True):
    """What a queue's handle does when the caller says nothing. Durations in seconds."""

    lease: float = 30.0
    keep: float = 0.0
    dead_keep: float = 0.0  # 0 = as the store's URL says
    priority: int = PRIORITY
    retry: Retry = DEFAULT
    codec: str = "json"  # how bodies are written
    accept: tuple[str, ...] = ()  # codecs that are read as well

    def way(self) -> Way:
        """How bodies are written here, and which are read. Raises ConfigError when what a codec needs is not installed."""
        return way(self.codec, self.accept)


PLAIN = Settings()


def make_job(link: Link, queue: str, body: bytes, content_type: str, options: PutOptions, settings: Settings = PLAIN) -> Job:
    """The job that these options ask for. Raises BadValue or BadName for an option that breaks its rule, TypeError for an unknown one.

    The rules of the fields themselves are the store's to check (job.check_job).
    """
    if not options:
        return Job(link.new_id(), queue, body, content_type, {}, settings.priority, keep=settings.keep)
    if unknown := options.keys() - _KNOWN:
        raise TypeError(f"put has no option {shown(min(unknown))}; it has: {' '.join(sorted(_KNOWN))}")
    get: Any = options.get
    own_id, at, delay, headers, keep = get("id"), get("at"), get("delay", 0), get("headers"), get("keep")
    check_unique(options)
    job = Job(
        id=link.new_id() if own_id is None else check_id(own_id),
        queue=queue,
        body=body,
        content_type=content_type,
        headers=check_headers(dict(headers)) if headers else {},
        priority=get("priority", settings.priority),
        delay=seconds(get("debounce") or delay, "delay") if at is None else _until(at, delay, link),
        key=check_key(key) if (key := get("key")) is not None else "",
        ttl=seconds(get("ttl") or 0, "ttl"),
        keep=settings.keep if keep is None else seconds(keep, "keep"),
        task=get("task") or "",
        lane=get("lane") or "",
        once=get("once", own_id is not None),
    )
    if period := get("unique_for"):
        hold_key(job, seconds(period, "unique_for"))
    return job


def make_jobs(
    link: Link, queue: str, bodies: Sequence[bytes], content_type: str, options: PutOptions, settings: Settings = PLAIN
) -> Checked:
    """The jobs of many bodies that differ in nothing else, made and checked as one: a fraction of what `make_job` costs for each. Their
    order is that of their ids. `options` give no key and no id. Raises as `make_job`, and as `job.check_job`."""
    first = check_job(make_job(link, queue, b"", content_type, options, settings))
    largest = size = 0
    for body in bodies:
        if type(body) is not bytes:
            raise BadBody(f"a stored body is bytes, not {type(body).__name__}; nothing was stored")
        length = len(body)
        size += length
        if length > largest:
            largest = length
    ids = link.new_id.many(len(bodies))
    return Checked([replace(first, id=new, body=body) for new, body in zip(ids, bodies, strict=True)], size, largest)


def file_job(link: Link, queue: str, source: object, options: PutOptions, settings: Settings = PLAIN, content_type: str = BYTES) -> Job:
    """As `make_job`, with a body that is streamed in."""
    job = make_job(link, queue, b"", content_type, options, settings)
    job.source = source
    return job


def _until(at: object, delay: Duration, link: Link) -> float:
    if delay:
        raise BadValue("give either at= or delay=, not both; nothing was stored")
    if not isinstance(at, datetime):
        raise BadValue(f"at= is a datetime with its time zone, not {shown(at)}; nothing was stored")
    if at.utcoffset() is None:
        raise BadValue(
            f"at={at.isoformat()} has no time zone, so it could mean any of 24 hours; nothing was stored. "
            "Write datetime.now(UTC) + ..., or .replace(tzinfo=...), or .astimezone()"
        )
    return max(0.0, at.timestamp() - link.clock.now())
