"""How a call begins: a job gets its address for replies, and is put; what may be said about a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypedDict

import msgspec
from msgspec import Struct

from ..aio import facade
from ..codecs import Way, way
from ..durations import Duration, seconds
from ..errors import BadBody, BadValue
from ..job import JSON, Job
from ..link import Link
from ..names import check_name, shown
from ..options import PutOptions
from ..queue import Queue
from .call import Call
from .mailroom import mailroom
from .wire import Kind, Started

TIMEOUT = 30.0  # seconds, when nobody says


class Calling(TypedDict, total=False):
    """What may be said about a call."""

    timeout: Duration  # for the answer, from the put; of a stream: for each item
    on_start: Callable[[Started], object] | None  # told when a worker begins
    on_progress: Callable[[Any], object] | None  # told what the run says with progress


class NamedOptions(Calling, total=False):
    """What may be said about a call by name."""

    priority: int
    headers: Mapping[str, str] | None
    key: str | None


class Asked(Struct):
    """What one call wants. `into` is the type of its result, `item` that of what it streams."""

    timeout: float
    wants: frozenset[Kind]
    into: Any = Any
    item: Any = Any
    way: Way | None = None
    on_start: Callable[[Started], object] | None = None
    on_progress: Callable[[Any], object] | None = None


def asked(options: Calling, *more: Kind, into: Any = Any, item: Any = Any, way: Way | None = None) -> Asked:
    """What these options ask for, and `more`. Raises BadValue for a timeout that is none."""
    timeout = seconds(options.get("timeout", TIMEOUT), "timeout")
    if not timeout:
        raise BadValue("a call needs a timeout above 0: it is how long its job is worth anything; nothing was put")
    on_start, on_progress = options.get("on_start"), options.get("on_progress")
    wants = set(more)
    if on_start is not None:
        wants.add(Kind.STARTED)
    if on_progress is not None:
        wants.add(Kind.PROGRESS)
    return Asked(timeout, frozenset(wants), into, item, way, on_start, on_progress)


def begin(link: Link, job: Job, put: Callable[[Job], object], what: Asked) -> Call[Any]:
    """Put the job as a call. Raises what `put` raises; then there is no call."""
    room = mailroom(link)
    if not room.ready:
        room.prepare()
    call = _open(link, job, what)
    after = link.tracing.calling(call) if link.tracing is not None else None
    try:
        put(job)
    except BaseException:
        call.forget()
        raise
    finally:
        if after is not None:
            after()
    return call


async def abegin(link: Link, job: Job, put: Callable[[Job], Awaitable[object]], what: Asked) -> Call[Any]:
    """The awaitable twin of `begin`."""
    room = mailroom(link)
    if not room.ready:
        await facade(link).call(room.prepare)
    call = _open(link, job, what)
    after = link.tracing.calling(call) if link.tracing is not None else None
    try:
        await put(job)
    except BaseException:
        call.forget()
        raise
    finally:
        if after is not None:
            after()
    return call


def by_name(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """The arguments for a task whose function is not here, as a body. Raises BadBody for what JSON cannot carry."""
    given: Any = {"args": list(args), "kwargs": dict(kwargs)} if args and kwargs else list(args) if args else dict(kwargs)
    try:
        return msgspec.json.encode(given)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadBody(f"an argument cannot be carried: {error}; nothing was put") from None


def named(
    queues: Callable[[str], Queue[Any]], queue: str, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: NamedOptions
) -> tuple[Job, Queue[Any], Asked]:
    """A call of a task whose function need not be here: its job, where to put it, and what is asked. Raises TypeError for an option that
    is none, else as `Queue.put`."""
    if unknown := options.keys() - NamedOptions.__annotations__.keys():
        raise TypeError(f"a call has no option {shown(min(unknown))}; it has: {' '.join(sorted(NamedOptions.__annotations__))}")
    target = queues(queue)
    put: PutOptions = {"task": check_name(task, "task"), "headers": options.get("headers"), "key": options.get("key")}
    if (priority := options.get("priority")) is not None:
        put["priority"] = priority
    calling: Calling = {}
    for name in Calling.__annotations__:
        if name in options:
            calling[name] = options[name]  # type: ignore[literal-required]
    return target.job(by_name(args, kwargs), JSON, **put), target, asked(calling, way=target.settings.way())


def _open(link: Link, job: Job, what: Asked) -> Call[Any]:
    call = mailroom(link).open(job, what.timeout, " ".join(sorted(what.wants)))
    call.expect(what.into, what.item, what.way or way())
    call.on_start, call.on_progress = what.on_start, what.on_progress
    return call
