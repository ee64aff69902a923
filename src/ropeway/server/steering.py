"""Steering: limits of a queue, orders to a worker, and what an operator does to a schedule."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from ..broker import Broker
from ..cli.scheduling import schedule_row
from ..cli.times import iso
from ..cron import NAMED
from ..durations import Duration
from ..errors import BadValue
from ..names import check_name, shown
from ..schedule import Schedule
from ..worker.fleet import Notice
from ..worker.fleet.notice import ORDERS
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Role
from .problems import Refusal
from .veil import Veil

PATIENCE: Duration = 10.0  # seconds that a worker has for its answer
TICKS = 3


class Limiting(Struct, forbid_unknown_fields=True):
    """The body of limits: what is not given stays as it is."""

    running: int | None = None
    lane: int | None = None


class Ordering(Struct, forbid_unknown_fields=True):
    """The body of an order."""

    do: str
    slots: int = 0


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""
    veil = Veil.of(broker)

    async def limits(call: Call) -> Response:
        given = await asking.json(call, Limiting)
        if given.running is None and given.lane is None:
            raise BadValue("say running or lane, a whole number each; nothing was changed")
        limits = await broker.queue(call.queue).alimit(running=given.running, lane=given.lane)
        return said({"running": limits.running, "lane": limits.lane})

    async def order(call: Call) -> Response:
        name = call.path_params["id"]
        given = await asking.json(call, Ordering)
        member = next((one for one in await broker.aworkers() if one.id == name), None)
        if member is None:
            raise Refusal(404, f"there is no worker {shown(name)}: it has ended, or never was; nothing was ordered")
        if not all(call.grant.may(Role.OPERATE, queue) for queue in _served(member.seen)):
            raise Refusal(403, f"this token has no right to operate all queues of worker {shown(name)}; nothing was ordered")
        return said({"said": await member.aorder(given.do, slots=given.slots, timeout=PATIENCE)})

    async def schedule(call: Call) -> Response:
        asking.query(call, ())
        return said(_whole(await _schedule(broker, call, Role.OBSERVE), broker, veil, call))

    async def change(call: Call) -> Response:
        one = await _schedule(broker, call, Role.OPERATE)
        verb: str = call.scope["path"].rpartition("/")[2]
        schedules = broker.schedules
        if verb == "run":
            handle = await schedules.arun(one.name)
            return said({"id": handle.id, "queue": handle.queue})
        if verb == "delete":
            return said({"count": int(await schedules.adelete(one.name))})
        changed = await (schedules.apause(one.name) if verb == "pause" else schedules.aresume(one.name))
        return said(_whole(changed, broker, veil, call))

    says = {"pause": "Plant no more ticks of it", "resume": "Plant them again", "run": "Put its job now", "delete": "Remove it"}
    return [
        Door("POST", "/v1/queues/{q}/limits", Role.OPERATE, limits, says="How many of a queue, and of each lane, run at once"),
        Door("POST", "/v1/workers/{id}/orders", Role.OPERATE, order, says="Give a worker an order, and wait for what it says"),
        Door("GET", "/v1/schedules/{name}", Role.OBSERVE, schedule, says="A schedule, in words, with its next ticks", changes=False),
        *(Door("POST", f"/v1/schedules/{{name}}/{verb}", Role.OPERATE, change, says=text) for verb, text in says.items()),
    ]


def _served(worker: Notice) -> list[str]:
    """The queues that an order to this worker concerns; what it asks for, while none of those is there yet."""
    there = [queue for queue in worker.queues if not queue.startswith("_")]
    return there or [pattern for pattern in worker.patterns if not pattern.startswith("!")] or [ORDERS + worker.id]


async def _schedule(broker: Broker, call: Call, role: Role) -> Schedule:
    """The schedule that the path names; one whose queue this token does not reach is as little there as one that does not exist."""
    name = check_name(call.path_params["name"], "schedule")
    found = await asyncio.to_thread(broker.schedules.get, name)
    if found is None or not call.grant.may(Role.OBSERVE, found.queue):
        raise Refusal(404, f"there is no schedule {name}; nothing was done")
    if not call.grant.may(role, found.queue):
        raise Refusal(403, f"this token has no right to {role} on {found.queue}; nothing was done")
    return found


def words(expression: str) -> str:
    """The expression in plain English; as it stands where it is plain already."""
    if expression.startswith("every"):
        return expression
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    try:
        return str(CronSim(NAMED.get(expression, expression), datetime(2024, 1, 1, tzinfo=UTC)).explain())
    except (CronSimError, ValueError):
        return expression


def _whole(schedule: Schedule, broker: Broker, veil: Veil, call: Call) -> dict[str, Any]:
    from ..cron import cron

    now = broker.link.clock.now()
    first = schedule.next(now)
    ticks = [] if first is None else [first, *cron(schedule.expression, schedule.tz).first(TICKS - 1, first)]
    row: dict[str, Any] = schedule_row(schedule, now)
    row |= {"words": words(schedule.expression), "ticks": [iso(tick) for tick in ticks], "headers": schedule.headers}
    row |= {"priority": schedule.priority, "ttl": schedule.ttl, "keep": schedule.keep, "lane": schedule.lane}
    row["content_type"] = schedule.content_type
    body = veil.content(schedule.body, schedule.content_type) if veil.lies(call.grant, schedule.queue) else schedule.body
    return row | asking.raw_or_text(body, schedule.content_type)
