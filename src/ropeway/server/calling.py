"""Calls over HTTP: put, wait for the answer, give it back."""

from __future__ import annotations

from collections.abc import Coroutine
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
from .lending import patiently
from .problems import Refusal
from .stopping import Stopping

LONGEST = 300.0  # seconds that a caller may wait


class Arguments(Struct, forbid_unknown_fields=True):
    """The body of a call."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


async def _told(asked: Coroutine[Any, Any, Any]) -> tuple[Any]:
    """What a call returns, told from no answer."""
    return (await asked,)


def doors(broker: Broker, stopping: Stopping) -> list[Door]:
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
        asked = broker.acall(task, what.args, what.kwargs, queue=queue, timeout=timeout, headers=asking.trace(call))
        answered = await patiently(call, _told(asked), stopping)
        if answered is None:
            raise Refusal(503, f"the server stops; it is unknown whether {task} has run")
        try:
            answer = msgspec.json.encode(answered[0])
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise Refusal(422, f"task {task} answered what JSON cannot carry; it has run") from None
        return Response(answer, media_type="application/json")

    return [
        Door(
            "POST", "/v1/call/{task}", Role.PRODUCE, call, says="Run a task and wait for what it returns; 502 when it failed, 504 when late"
        )
    ]
