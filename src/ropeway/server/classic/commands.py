"""Commands in JSON: POST /queue with add, get, take, del; and the forms of the bare root."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import Response

from ...aio import facade
from ...broker import Broker
from ...errors import Stopped
from ...ids import check_id
from ...job import State
from ...names import check_name, shown
from ...store import Ack, Handback, Lent, Query
from .. import asking
from ..answers import said
from ..doors import Call, Door
from ..grants import Role
from ..problems import Refusal
from ..veil import Veil
from .facts import Facts
from .plain import FORM, LEASE, Handed, error, form, kind_of, plainly
from .taking import put_value, valued_row

_ROLES = {"add": Role.PRODUCE, "get": Role.OBSERVE, "take": Role.CONSUME, "del": Role.OPERATE}


class Command(Struct):
    """One command."""

    cmd: str
    queue: str = ""
    value: Any = None
    key: str = ""
    ttl: float = 0


def doors(broker: Broker, facts: Facts) -> list[Door]:
    """The doors of this family."""
    veil = Veil.of(broker)
    side = facade(broker.link)

    async def command(call: Call) -> Response:
        given = await _command(call)
        role = _ROLES.get(given.cmd)
        if role is None:
            return error(f"the commands are: {' '.join(_ROLES)}", 400)
        queue = check_name(given.queue or given.key.rpartition(":")[0])
        if not call.grant.may(role, queue):
            raise Refusal(403, f"this token has no right to {role} on {shown(queue)}; nothing was done")
        if role is Role.OPERATE:
            call.operates(cmd=given.cmd, queue=queue, key=given.key[:200])
        if given.cmd == "get":
            return await get(queue, veil if veil.lies(call.grant, queue) else None)
        return await {"add": add, "take": take, "del": delete}[given.cmd](queue, given)

    async def add(queue: str, given: Command) -> Response:
        value = given.value if isinstance(given.value, str) else msgspec.json.encode(given.value).decode()
        return said({"queue": queue, "key": await put_value(broker, queue, value, str(given.ttl) if given.ttl else None)})

    async def get(queue: str, hiding: Veil | None) -> Response:
        """Soft: the job stays, and a counter says how often it was read."""
        ready = Query(queues=(queue,), states=frozenset({State.READY}), limit=1)
        found = await asyncio.to_thread(broker.store.browse, ready)
        if not found:
            return said({"queue": queue, "error": "empty"}, Ropeway_State="empty")
        job = found[0].job
        tally = await facts.tally("read", job.id)
        tally.processed += 1
        facts.touch("read", job.id)
        body = job.body if hiding is None else hiding.content(job.body, job.content_type)
        return said({"queue": queue, "key": f"{queue}:{job.id}", "value": body.decode(errors="replace"), "count": tally.processed})

    async def take(queue: str, _: Command) -> Response:
        lents = await claimed(queue)
        if isinstance(lents, Response):
            return lents
        row = valued_row(lents[0])
        tally = await facts.look("read", lents[0].job.id)
        row["count"] = tally.processed
        await facts.forget("read", lents[0].job.id)
        return handed(lents, msgspec.json.encode({"queue": queue, **row}), "application/json")

    async def delete(queue: str, given: Command) -> Response:
        job_id = check_id(given.key.rpartition(":")[2])
        count = await asyncio.to_thread(broker.store.delete, Query(queues=(queue,), ids=(job_id,), limit=None))
        await facts.forget("read", job_id)
        return said({"queue": queue, "key": given.key, "deleted": count})

    async def pop(call: Call) -> Response:
        given = asking.query(call, {"queue"})
        if "queue" not in given:
            raise Refusal(400, "say which queue: /?queue=NAME; nothing was taken")
        queue = check_name(given["queue"])
        if not call.grant.may(Role.CONSUME, queue):
            raise Refusal(403, f"this token has no right to consume from {shown(queue)}; nothing was done")
        lents = await claimed(queue)
        return lents if isinstance(lents, Response) else handed(lents, lents[0].job.body, "text/plain; charset=utf-8")

    async def push(call: Call) -> Response:
        fields = await form(call)
        queue, value = check_name(fields.get("queue", "")), fields.get("value", fields.get("msg"))
        if not call.grant.may(Role.PRODUCE, queue):
            raise Refusal(403, f"this token has no right to produce on {shown(queue)}; nothing was done")
        if value is None:
            return error("value is missing", 400)
        return Response(await put_value(broker, queue, value, fields.get("ttl")), 201, media_type="text/plain")

    async def claimed(queue: str) -> list[Lent] | Response:
        try:
            lents = await side.claim(queue, 1, LEASE, 0.0, bound=False)
        except Stopped:
            return error("queue is closed", 404, Ropeway_State="stopped")
        return lents or error("no job", 404, Ropeway_State="empty")

    def handed(lents: list[Lent], body: bytes, kind: str) -> Response:
        async def settle(written: bool) -> None:
            if written:
                await side.settle("ack", [Ack(lents[0].receipt)])
                await facts.count(lents[0].job.queue, processed=1)
            else:
                await side.settle("nack", [Handback(lents[0].receipt, restore=True)])

        return Handed(body, kind, settle)

    return [
        Door("POST", "/queue", None, plainly(command), says="A command: add, get (the job stays), take, del"),
        Door("GET", "/", None, plainly(pop), says="Take one as text: /?queue="),
        Door("POST", "/", None, plainly(push), says="Put a form: queue=, value=, ttl="),
    ]


async def _command(call: Call) -> Command:
    """JSON, or a form whose field `body` is JSON."""
    data = (await form(call)).get("body", "").encode() if kind_of(call) == FORM else await asking.body(call)
    try:
        return msgspec.json.decode(data, type=Command)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise Refusal(400, f"this is no command: {failure}; nothing was done") from None
