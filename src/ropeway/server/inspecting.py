"""Looking into a worker: the views of its process, asked by way of its orders, so that no worker needs an address."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from ..broker import Broker
from ..names import shown
from ..worker.fleet import Member, workers
from ..worker.fleet.orders import VIEWS
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Role
from .problems import Refusal

PATIENCE = 8.0  # seconds for the worker; a busy one reads its orders each second


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""

    async def inspect(call: Call) -> Response:
        given = asking.query(call, {"what"})
        what = given.get("what", "state")
        if what not in VIEWS:
            raise Refusal(400, f"{shown(what)} is no view; there are: {' '.join(VIEWS)}. Nothing was asked")
        member = await asyncio.to_thread(_member, broker, call.path_params["id"])
        if not all(call.grant.may(Role.OPERATE, queue) for queue in _queues(member)):
            raise Refusal(403, f"this token has no right to operate all queues of worker {shown(member.id)}; nothing was asked")
        return said(await asyncio.to_thread(lambda: member.inspect(what, timeout=PATIENCE)))

    return [
        Door("GET", "/v1/workers/{id}/inspect", Role.OPERATE, inspect, says="What a worker shows of itself: ?what=", changes=False),
    ]


def _queues(member: Member) -> list[str]:
    """Its queues, and its patterns too: those of a worker that has just begun may not be known by name yet. A pattern is held against those
    of the token as it is written, so `*` asks for a token with `*`."""
    patterns = [pattern.partition("=")[0] for pattern in member.seen.patterns if not pattern.startswith("!")]
    return [name for name in (*member.seen.queues, *patterns) if not name.startswith("_")]


def _member(broker: Broker, name: str) -> Member:
    found = next((member for member in workers(broker.link) if member.id == name), None)
    if found is None:
        raise Refusal(404, f"there is no worker {shown(name)}; nothing was asked. See /v1/workers")
    return found
