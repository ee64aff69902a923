"""Calls over HTTP: put, wait for the answer, give it back."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import Response

from ..broker import Broker
from ..durations import seconds
from ..errors import BadValue
from ..names import check_name, shown
from . import asking
from .doors import Call, Door
from .grants import Role
from .problems import Refusal

LONGEST = 300.0  # seconds that a caller may wait


class Arguments(Struct, forbid_unknown_fields=True):
    """The body of a call."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""

    async def call(call: Call) -> Response:
        given = asking.query(call, {"timeout", "queue"})
        task, queue = check_name(call.path_params["task"], "task"), check_name(given.get("queue", "default"))
        if not call.grant.may(Role.PRODUCE, queue):
            raise Refusal(403, f"this token has no right to produce on {shown(queue)}; nothing was done")
        timeout = seconds(given.get("timeout", "30s"), "timeout")
        if not 0 < timeout <= LONGEST:
            raise BadValue(f"timeout is above 0 and at most {LONGEST:g} s; nothing was done")
        what = await asking.json(call, Arguments)
        value = await broker.acall(task, what.args, what.kwargs, queue=queue, timeout=timeout)
        try:
            answer = msgspec.json.encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise Refusal(422, f"task {task} answered what JSON cannot carry; it has run") from None
        return Response(answer, media_type="application/json")

    return [
        Door(
            "POST", "/v1/call/{task}", Role.PRODUCE, call, says="Run a task and wait for what it returns; 502 when it failed, 504 when late"
        )
    ]
