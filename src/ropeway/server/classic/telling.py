"""How things stand, and the switch: /j/, /status/, /stats/, /control/, /wj/."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import Raw, Struct
from starlette.responses import Response

from ...broker import Broker
from ...job import State
from ...names import check_name
from ...store import Counts, Entry, Query
from .. import asking
from ..answers import said
from ..doors import Call, Door
from ..grants import Role
from ..problems import Refusal
from ..veil import Veil
from .depends import Waiting
from .facts import Facts
from .plain import FORM, error, form, kind_of, plainly

_WAITING = frozenset({State.READY, State.DELAYED})
SHOWN = 100  # jobs of ?with_desc=1


class Control(Struct):
    """The body of POST /control/."""

    status: str = ""
    type: str = ""
    action: str = ""
    queues: list[str] = []


def doors(broker: Broker, facts: Facts, waiting: Waiting) -> list[Door]:
    """The doors of this family."""
    veil = Veil.of(broker)

    async def info(call: Call) -> Response:
        counts, tally = (await broker.acounts([call.queue]))[call.queue], await facts.look("counts", call.queue)
        held = len(await waiting.of(call.queue))
        row = {"queue_name": call.queue, "job_count": size(counts) - held, "job_failed": tally.failed, "job_processed": tally.processed}
        return said(row | {"job_pending": counts.running, "job_waiting": held})

    async def status(call: Call) -> Response:
        counts = await seen(call)
        return said({"queues": list(counts), "size": sum(map(size, counts.values()))})

    async def status_of(call: Call) -> Response:
        given = asking.query(call, {"with_desc"})
        row: dict[str, Any] = {"queue": call.queue, "size": size((await broker.acounts([call.queue]))[call.queue])}
        if given.get("with_desc") == "1":
            query = Query(queues=(call.queue,), states=_WAITING, limit=SHOWN)
            row["jobs"] = [_shown(veil.entry(call.grant, entry)) for entry in await asyncio.to_thread(broker.store.browse, query)]
        return said(row)

    async def stats(call: Call) -> Response:
        return said([await _row(name, one) for name, one in (await seen(call)).items()])

    async def stats_of(call: Call) -> Response:
        return said(await _row(call.queue, (await broker.acounts([call.queue]))[call.queue]))

    async def _row(name: str, one: Counts) -> dict[str, Any]:
        policy = await facts.text("policy", name)
        return {
            "name": name,
            "len": size(one),
            "status": "stop" if one.claim_stopped is not None else "start",
            "policy": policy[0] if policy else "broadcast",
        }

    async def control(call: Call) -> Response:
        one = (await broker.acounts([call.queue]))[call.queue]
        return said({"queue": call.queue, "status": 0 if one.claim_stopped is not None else 1})

    async def steer(call: Call) -> Response:
        given = await _control(call)
        if given.type == "virtual":
            return await virtual(call, given)
        if given.status not in ("start", "stop"):
            return error("status is start or stop", 400)
        stop = given.status == "stop"
        await asyncio.to_thread(lambda: broker.store.pause([call.queue], claim=stop, reason="closed over HTTP" if stop else ""))
        return said({"queue": call.queue, "response": "updated"})

    async def virtual(call: Call, given: Control) -> Response:
        """A name that stands for several queues: what is taken from it comes from those, in turn."""
        members = [check_name(name) for name in given.queues]
        if call.queue in await broker.aqueues():
            return error(f"there is a real queue {call.queue}", 409)
        if any(not call.grant.may(Role.OPERATE, name) for name in members):
            raise Refusal(403, "this token may not operate all of these queues; nothing was done")
        known = await facts.text("virtual", call.queue)
        if given.action == "set":
            await facts.write("virtual", call.queue, list(dict.fromkeys([*known, *members])))
        elif given.action == "remove":
            await facts.write("virtual", call.queue, [name for name in known if name not in members])
        elif given.action == "destroy":
            await facts.forget("virtual", call.queue)
        else:
            return error("action is set, remove or destroy", 400)
        return said({"queue": call.queue, "response": "updated"})

    async def seen(call: Call) -> dict[str, Counts]:
        counts = await broker.acounts()
        return {name: counts[name] for name in call.grant.seen(list(counts)) if not name.startswith("_")}

    async def release(call: Call) -> Response:
        return said({"queue": call.queue, "released": await waiting.release(call.queue)})

    async def drop(call: Call) -> Response:
        return said({"queue": call.queue, "dropped": await waiting.drop(call.queue)})

    return [
        Door("GET", "/j/{q}", Role.OBSERVE, plainly(info), says="The counters of a queue", changes=False),
        Door("GET", "/status/", Role.OBSERVE, plainly(status), says="All queues", changes=False),
        Door("GET", "/status/{q}", Role.OBSERVE, plainly(status_of), says="One queue, its jobs with ?with_desc=1", changes=False),
        Door("GET", "/stats/", Role.OBSERVE, plainly(stats), says="Name, length, status and policy of all queues", changes=False),
        Door("GET", "/stats/{q}", Role.OBSERVE, plainly(stats_of), says="The same of one", changes=False),
        Door("GET", "/control/{q}", Role.OBSERVE, plainly(control), says="Whether a queue is open", changes=False),
        Door("POST", "/control/{q}", Role.OPERATE, plainly(steer), says="Start or stop it, or make it a virtual one"),
        Door("POST", "/wj/{q}", Role.OPERATE, plainly(release), says="Let jobs run that wait for others"),
        Door("DELETE", "/wj/{q}", Role.OPERATE, plainly(drop), says="Delete jobs that wait for others"),
    ]


def size(counts: Counts) -> int:
    """What waits."""
    return counts.ready + counts.delayed


async def _control(call: Call) -> Control:
    if kind_of(call) == FORM:
        return Control(status=(await form(call)).get("status", ""))
    try:
        return msgspec.json.decode(await asking.body(call), type=Control)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise Refusal(400, f"send {{'status': 'start'}} or 'stop': {failure}; nothing was done") from None


def _shown(entry: Entry) -> Any:
    body = entry.job.body
    try:
        msgspec.json.decode(body)
        return Raw(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")
