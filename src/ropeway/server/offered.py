"""The tasks that one can put a job for: those that workers have registered, and what each takes, asked of a worker that has it.

Nothing of this is stored: a worker names its tasks in its note, and tells the rest when somebody asks. What it says is another program's
word: its shape and size are checked here, and the page runs nothing of it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import Response

from ..broker import Broker
from ..errors import BadValue, RopewayError, Timeout
from ..names import check_name, shown
from ..worker.fleet import Member, workers
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Grant, Role
from .problems import Refusal

PATIENCE = 3.0  # seconds for a worker
ASKED = 2  # workers that are asked, one after the other
KEPT = 60.0  # seconds for which an answer is good; the same worker says the same, but may have ended
MOST = 200  # answers that are kept
LARGEST = 64 << 10  # bytes of one
TASKS = 1000  # tasks that are named


class Parameter(Struct):
    """One argument. `kind`: place, name, either, places (*args) or names (**kwargs)."""

    name: str
    kind: str
    required: bool = False
    schema: dict[str, Any] = {}


class Signature(Struct):
    """What a worker tells of a task."""

    task: str
    parameters: list[Parameter]
    queue: str = ""
    signature: str = ""
    says: str = ""
    defs: dict[str, Any] = {}


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""
    known: OrderedDict[tuple[str, str], tuple[float, Signature]] = OrderedDict()
    boot = broker.link.clock.boot

    async def tasks(call: Call) -> Response:
        asking.query(call, ())
        found: dict[str, set[str]] = {}
        for member in await asyncio.to_thread(_there, broker, call.grant):
            for name in member.seen.tasks or ():
                found.setdefault(name, set()).update(_served(member, call.grant))
        rows = [{"task": name, "queues": sorted(found[name])} for name in sorted(found)[:TASKS]]
        return said({"tasks": rows})

    async def task(call: Call) -> Response:
        asking.query(call, ())
        name = check_name(call.path_params["name"], "task")
        members = [one for one in await asyncio.to_thread(_there, broker, call.grant) if name in (one.seen.tasks or ())]
        for member in members[:ASKED]:
            if (told := known.get((member.id, name))) is not None and boot() - told[0] < KEPT:
                return said(told[1])
            told_now = await asyncio.to_thread(_ask, member, name)
            if told_now is not None:
                known[member.id, name] = boot(), told_now
                while len(known) > MOST:
                    known.popitem(last=False)
                return said(told_now)
        why = "no worker that is there has it" if not members else "the workers that have it do not tell"
        raise Refusal(404, f"it is not known what task {shown(name)} takes: {why}. A body for it is not checked here")

    return [
        Door("GET", "/v1/tasks", Role.PRODUCE, tasks, says="The tasks that workers have registered", changes=False),
        Door("GET", "/v1/tasks/{name}", Role.PRODUCE, task, says="What a task takes, with a JSON Schema for each argument", changes=False),
    ]


def _there(broker: Broker, grant: Grant) -> list[Member]:
    """The workers for which this token may put something."""
    return [member for member in workers(broker.link) if member.seen.tasks and _served(member, grant)]


def _served(member: Member, grant: Grant) -> list[str]:
    """Its queues that this token may put into; what it asks for, where none is known by name yet."""
    names = [*member.seen.queues, *(pattern.partition("=")[0] for pattern in member.seen.patterns if not pattern.startswith("!"))]
    return [name for name in dict.fromkeys(names) if not name.startswith("_") and grant.may(Role.PRODUCE, name)]


def _ask(member: Member, name: str) -> Signature | None:
    try:
        told = msgspec.convert(member.signature(name, timeout=PATIENCE), Signature)
        fits = told.task == name and len(msgspec.json.encode(told)) <= LARGEST
    except (Timeout, BadValue, msgspec.ValidationError, RopewayError, RecursionError):
        return None
    return told if fits else None
