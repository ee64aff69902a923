"""Jobs come in: one with its body byte for byte, or many as lines of JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from ..broker import Broker
from ..errors import BadValue
from ..job import BYTES
from ..names import shown
from ..options import PutOptions
from . import asking
from .asking import BATCH
from .doors import Call, Door
from .grants import Role
from .problems import Refusal

HEADER = "ropeway-h-"  # request headers that become headers of the job: Ropeway-H-Tenant: 7
LINES = "application/x-ndjson"
BULK_LIMIT = 32 << 20  # bytes of a body that holds many jobs

_OPTIONS = {"priority", "delay", "at", "key", "ttl", "keep", "lane", "task", "id", "on_conflict"}


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""

    async def put(call: Call) -> Response:
        options = _options(call)
        kind = call.headers.get("content-type", BYTES)
        queue = broker.queue(call.queue)
        limit = broker.store.max_body or asking.BODY_LIMIT
        if kind.partition(";")[0].strip().lower() == LINES:
            lines = [line for line in (await asking.body(call, BULK_LIMIT)).split(b"\n") if line.strip()]
            _check_lines(lines, options, limit)
            jobs = [queue.job(line, "application/json", **options) for line in lines]
            handles = await queue.aput_jobs(jobs) if jobs else []
            return _created({"ids": [handle.id for handle in handles]})
        handle = await queue.aput_encoded(await asking.body(call, limit), kind, **options)
        return _created({"id": handle.id, "created": handle.created}, f"/v1/jobs/{handle.id}")

    return [Door("POST", "/v1/queues/{q}/jobs", Role.PRODUCE, put, says="Put a job, its body as it stands; or many, as lines of JSON")]


def _created(answer: dict[str, Any], location: str = "") -> Response:
    headers = {"Location": location} if location else None
    return Response(msgspec.json.encode(answer), 201, headers, "application/json")


def _check_lines(lines: list[bytes], options: PutOptions, limit: int) -> None:
    if len(lines) > BATCH:
        raise Refusal(413, f"{len(lines)} lines are over the limit of {BATCH} a request; nothing was stored")
    if options.get("key") or options.get("id"):
        raise BadValue("the options are given to every job, and no two can share a key or an id; nothing was stored")
    for number, line in enumerate(lines, 1):
        if len(line) > limit:
            raise Refusal(413, f"line {number} is over the limit of {limit} bytes; nothing was stored")
        try:
            msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, f"line {number} is no JSON: {error}; nothing was stored") from None


def _options(call: Call) -> PutOptions:
    given = asking.query(call, _OPTIONS)
    options: dict[str, Any] = {name: given[name] for name in ("key", "lane", "task", "id", "on_conflict") if name in given}
    if "priority" in given:
        options["priority"] = asking.number(given["priority"], "priority", 0, 99)
    if "at" in given:
        options["at"] = asking.moment(given["at"])
    options |= {name: asking.span(given[name], name) for name in ("delay", "ttl", "keep") if name in given}
    headers = {}
    for name, value in call.headers.items():
        if name.startswith(HEADER):
            if name[len(HEADER) :] in headers:
                raise BadValue(f"the header {shown(name)} is given twice; nothing was stored")
            headers[name[len(HEADER) :]] = value
    if headers:
        options["headers"] = headers
    return options  # type: ignore[return-value]  # by the names of _OPTIONS
