"""Put and take in one request: /q/ and /qb/."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct
from starlette.responses import Response

from ...aio import facade
from ...broker import Broker
from ...errors import BadValue, Conflict, Stopped
from ...job import JSON, TEXT
from ...names import check_name, shown
from ...store import Ack, Handback, Lent
from .. import asking
from ..doors import Call, Door
from ..grants import Role
from ..problems import Refusal
from .depends import Waiting
from .facts import Facts
from .plain import FORM, LEASE, Handed, error, form, kind_of, plainly, worker_of
from .streams import Feeds

MARK = "ropeway-classic"  # the header of jobs that came as the value of a form: they are given out as {key, value, count}
BATCH = 10  # jobs of one GET /qb/ that does not say how many


class Jobs(Struct):
    """The body of POST /qb/."""

    jobs: list[Raw]


def doors(broker: Broker, facts: Facts, waiting: Waiting, feeds: Feeds) -> list[Door]:
    """The doors of this family."""
    side = facade(broker.link)
    turns: dict[str, int] = {}  # of virtual queues: whose turn it is

    async def post(call: Call) -> Response:
        return await stored(call)

    async def put(call: Call) -> Response:
        answer = await stored(call)
        await facts.count(call.queue, worker_of(call), failed=1)
        return answer

    async def stored(call: Call) -> Response:
        if await facts.text("virtual", call.queue):
            raise Refusal(409, f"{call.queue} is a virtual queue; put into one of those that it stands for")
        if kind_of(call) == FORM:
            return await valued(call)
        given = asking.query(call, {"delayed", "uniq", "depends"})
        if kind_of(call) != JSON:
            return error("the content type must be application/json", 400)
        body = await asking.body(call, broker.store.max_body or asking.BODY_LIMIT)
        if not body:
            return error("the body is empty", 400)
        options: dict[str, Any] = {"delay": _delay(broker, given), "key": given.get("uniq") or None}
        try:
            if given.get("depends"):
                await waiting.put(call.queue, body, given["depends"], options)
            else:
                await broker.queue(call.queue).aput_encoded(body, JSON, **options)
        except Conflict:
            return error("job already exists", 400)
        return Response(status_code=201)

    async def valued(call: Call) -> Response:
        fields = await form(call)
        value = fields.get("value", fields.get("msg"))
        if value is None:
            return error("value is missing", 400)
        return Response(await put_value(broker, call.queue, value, fields.get("ttl")), 201, media_type="text/plain")

    async def take(call: Call) -> Response:
        asking.query(call, ())
        lents = await claimed(call, 1)
        if isinstance(lents, Response):
            return lents
        job = lents[0].job
        if MARK in job.headers:
            return handed(call, lents, msgspec.json.encode(valued_row(lents[0])), JSON)
        return handed(call, lents, job.body if job.source is None else await asyncio.to_thread(job.source.read), job.content_type)

    async def take_many(call: Call) -> Response:
        given = asking.query(call, {"batch_size"})
        lents = await claimed(call, asking.number(given.get("batch_size", str(BATCH)), "batch_size", 1, asking.BATCH))
        if isinstance(lents, Response):
            return lents
        return handed(call, lents, msgspec.json.encode([_value(lent) for lent in lents]), JSON)

    async def claimed(call: Call, limit: int) -> list[Lent] | Response:
        """Jobs of the queue, or of the first member of a virtual one that has any, in turn; else the answer that there is none."""
        members = await facts.text("virtual", call.queue)
        turn = turns[call.queue] = turns.get(call.queue, -1) + 1 if members else 0
        stopped = False
        for queue in members[turn % len(members) :] + members[: turn % len(members)] if members else [call.queue]:
            if not call.grant.may(Role.CONSUME, queue):
                continue
            try:
                if lents := await side.claim(queue, limit, LEASE, 0.0, bound=False):
                    return lents
            except Stopped:
                stopped = True
        await facts.alive(worker_of(call))
        state = "stopped" if stopped else "empty"
        return error("queue is closed" if stopped else "no job", 404, Ropeway_State=state)

    def handed(call: Call, lents: list[Lent], body: bytes, kind: str) -> Response:
        return Handed(body, kind, settling(call, lents))

    def settling(call: Call, lents: list[Lent]) -> Callable[[bool], Awaitable[None]]:
        async def settle(written: bool) -> None:
            if not written:
                await side.settle("nack", [Handback(lent.receipt, restore=True) for lent in lents])
                return
            answers = await side.settle("ack", [Ack(lent.receipt) for lent in lents])
            await facts.count(lents[0].job.queue, worker_of(call), processed=sum(answers))

        return settle

    async def post_many(call: Call) -> Response:
        given = asking.query(call, {"delayed"})
        if kind_of(call) != JSON:
            return error("the content type must be application/json", 400)
        try:
            jobs = msgspec.json.decode(await asking.body(call, 32 << 20), type=Jobs).jobs
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
            return error(f"send {{'jobs': [...]}}: {failure}; nothing was stored", 400)
        if len(jobs) > asking.BATCH:
            return error(f"at most {asking.BATCH} jobs at once; nothing was stored", 413)
        queue, delay = broker.queue(call.queue), _delay(broker, given)
        await queue.aput_jobs([queue.job(bytes(one), JSON, delay=delay) for one in jobs])
        return Response(status_code=201)

    async def refuse(_: Call) -> Response:
        return error("PUT is for one job: /q/", 400)

    async def purge(call: Call) -> Response:
        asking.query(call, ())
        feeds.shut(call.queue)
        await asyncio.to_thread(broker.queue(call.queue).purge)
        await waiting.forget(call.queue)
        await facts.forget("counts", call.queue)
        return Response(status_code=204)

    return [
        Door("GET", "/q/{q}", Role.CONSUME, plainly(take), says="Take one job: it is gone once it is sent"),
        Door("POST", "/q/{q}", Role.PRODUCE, plainly(post), says="Put a job"),
        Door("PUT", "/q/{q}", Role.CONSUME, plainly(put), says="A job has failed: count it, and put it again"),
        Door("DELETE", "/q/{q}", Role.OPERATE, plainly(purge), says="Purge, and close all streams"),
        Door("GET", "/qb/{q}", Role.CONSUME, plainly(take_many), says="Take several jobs"),
        Door("POST", "/qb/{q}", Role.PRODUCE, plainly(post_many), says="Put several jobs"),
        Door("PUT", "/qb/{q}", Role.CONSUME, plainly(refuse), says="Refused, as ever"),
        Door("DELETE", "/qb/{q}", Role.OPERATE, plainly(purge), says="As DELETE /q/"),
    ]


async def put_value(broker: Broker, queue: str, value: str, ttl: str | None) -> str:
    """Put the value of a form; the key by which it is known."""
    headers = {MARK: "value"}
    seconds = asking.span(ttl, "ttl") if ttl else 0
    handle = await broker.queue(check_name(queue)).aput_encoded(value.encode(), TEXT, headers=headers, ttl=seconds)
    return f"{queue}:{handle.id}"


def valued_row(lent: Lent) -> dict[str, Any]:
    """A job that came as a value."""
    job = lent.job
    return {"key": f"{job.queue}:{job.id}", "value": job.body.decode(errors="replace"), "count": 0}


def _value(lent: Lent) -> Any:
    """A job inside a JSON array: as it stands when it is JSON, so that nothing is encoded twice."""
    body = lent.job.body if lent.job.source is None else lent.job.source.read()
    try:
        msgspec.json.decode(body)
        return Raw(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")


def _delay(broker: Broker, given: dict[str, str]) -> float:
    """`delayed` is a moment, in seconds since 1970."""
    if not given.get("delayed"):
        return 0.0
    try:
        return max(0.0, float(given["delayed"]) - broker.link.clock.now())
    except (ValueError, OverflowError):
        raise BadValue(f"delayed is a moment in seconds since 1970, not {shown(given['delayed'])}; nothing was stored") from None
