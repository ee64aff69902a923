"""Jobs come in: one with its body byte for byte, or many as lines of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from ..aio import facade
from ..broker import Broker
from ..errors import BadValue
from ..job import BYTES, JSON, TEXT, Job
from ..names import check_name, shown
from ..options import PLAIN, PutOptions, make_job, make_jobs
from . import asking
from .answers import Answer
from .asking import BATCH
from .doors import Call, Door
from .grants import Role
from .problems import Refusal

HEADER = b"ropeway-h-"  # request headers that become headers of the job: Ropeway-H-Tenant: 7
LINES = "application/x-ndjson"
BULK_LIMIT = 32 << 20  # bytes of a body that holds many jobs

_KINDS = {kind.encode(): kind for kind in (BYTES, JSON, TEXT)}  # as the very objects that checks know at a glance
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_OPTIONS = {"priority", "delay", "at", "key", "ttl", "keep", "lane", "task", "id", "on_conflict"}


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""

    link = broker.link
    side = facade(link)

    async def put(call: Call) -> Response:
        options = _options(call)
        kind = _kind(call)
        limit = broker.store.max_body or asking.BODY_LIMIT
        if kind is not BYTES and kind is not JSON and kind.partition(";")[0].strip().lower() == LINES:
            return await put_lines(call, options, limit)
        body = await asking.body(call, limit)
        if options.get("key") or options.get("id"):  # then it may be refused, or another's
            handle = await broker.queue(call.queue).aput_encoded(body, kind, **options)
            return _created(call, handle.id, handle.created)
        job = make_job(link, call.queue, body, kind, options, link.settings_of(call.queue) or PLAIN)
        await stored((job,))
        return _created(call, job.id, new=True)

    async def put_lines(call: Call, options: PutOptions, limit: int) -> Response:
        lines = [line for line in (await asking.body(call, BULK_LIMIT)).split(b"\n") if line.strip()]
        _check_lines(lines, options, limit)
        jobs = make_jobs(link, check_name(call.queue), lines, JSON, options, link.settings_of(call.queue) or PLAIN)
        if jobs:
            await stored(jobs)
        return Answer(_encode({"ids": [job.id for job in jobs]}), 201)

    async def stored(jobs: Sequence[Job]) -> None:
        """None of them can be refused: they have neither a key nor an id of their own."""
        tracing = link.tracing
        await (
            side.put(jobs) if tracing is None else tracing.aput(list(jobs), side.put)
        )  # it adds to their headers: they are looked at again

    return [Door("POST", "/v1/queues/{q}/jobs", Role.PRODUCE, put, says="Put a job, its body as it stands; or many, as lines of JSON")]


def _kind(call: Call) -> str:
    """What the request says of its body."""
    given = call.heads.get(b"content-type")
    return BYTES if given is None else _KINDS.get(given) or given.decode("latin-1")


def _created(call: Call, job_id: str, new: bool) -> Response:
    """The answer to one job. Its id is hexadecimal: nothing in here has to be escaped."""
    body = b'{"id":"%b","created":%b}' % (job_id.encode(), b"true" if new else b"false")
    where = f"{call.scope.get('root_path', '')}/v1/jobs/{job_id}"
    return Answer(body, 201, more=((b"location", where.encode("latin-1")),))


def _check_lines(lines: list[bytes], options: PutOptions, limit: int) -> None:
    if len(lines) > BATCH:
        raise Refusal(413, f"{len(lines)} lines are over the limit of {BATCH} a request; nothing was stored")
    if options.get("key") or options.get("id"):
        raise BadValue("the options are given to every job, and no two can share a key or an id; nothing was stored")
    number, decode = 0, _decode
    try:
        for line in lines:
            number += 1
            if len(line) > limit:
                raise Refusal(413, f"line {number} is over the limit of {limit} bytes; nothing was stored")
            decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"line {number} is no JSON: {error}; nothing was stored") from None


def _options(call: Call) -> PutOptions:
    given = asking.query(call, _OPTIONS)
    headers = headers_of(call)
    if not given:
        return {"headers": headers} if headers else {}
    options: dict[str, Any] = {name: given[name] for name in ("key", "lane", "task", "id", "on_conflict") if name in given}
    if "priority" in given:
        options["priority"] = asking.number(given["priority"], "priority", 0, 99)
    if "at" in given:
        options["at"] = asking.moment(given["at"])
    options |= {name: asking.span(given[name], name) for name in ("delay", "ttl", "keep") if name in given}
    if headers:
        options["headers"] = headers
    return options  # type: ignore[return-value]  # by the names of _OPTIONS


def text_of(value: bytes) -> str:
    """The value of a header: UTF-8, as terminals and programs write it; else Latin-1, as HTTP once meant it."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def headers_of(call: Call) -> dict[str, str]:
    """What the request's own headers say for the job, or the message."""
    headers: dict[str, str] = {}
    for raw, value in call.scope["headers"]:
        if raw.startswith(HEADER):
            name = raw[len(HEADER) :].decode("latin-1")
            if name in headers:
                raise BadValue(f"the header {shown(raw.decode('latin-1'))} is given twice; nothing was stored")
            headers[name] = text_of(value)
    return asking.trace(call) | headers
