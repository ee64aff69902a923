"""Who asks, and whom: what the bearer of this token may do, and what this server and its store are."""

from __future__ import annotations

import asyncio
import os
import platform
from typing import Any

from starlette.responses import Response

from .. import __version__
from ..broker import Broker
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Role


def doors(broker: Broker, *, read_only: bool) -> list[Door]:
    """The doors of this family. `read_only`: nobody may change anything here, whatever the token says."""
    started = broker.link.clock.boot()

    async def me(call: Call) -> Response:
        asking.query(call, ())
        usable = (Role.OBSERVE,) if read_only else tuple(Role)
        roles = {role: list(patterns) for role, patterns in call.grant.queues.items() if patterns and role in usable}
        return said({"name": call.grant.name, "roles": roles, "read_only": read_only, "version": __version__})

    async def about(call: Call) -> Response:
        asking.query(call, ())
        row: dict[str, Any] = {"version": __version__, "python": platform.python_version(), "system": platform.platform(terse=True)}
        row |= {"host": os.uname().nodename, "pid": os.getpid(), "uptime": broker.link.clock.boot() - started, "read_only": read_only}
        return said(row | await asyncio.to_thread(_of_store, broker))

    return [
        Door("GET", "/v1/me", None, me, says="What this token may do", changes=False),
        Door("GET", "/v1/about", Role.OBSERVE, about, says="What this server and its store are", changes=False),
    ]


def _of_store(broker: Broker) -> dict[str, Any]:
    store = broker.store
    row: dict[str, Any] = {"url": broker.url, "features": sorted(store.features), "max_body": store.max_body}
    return row | {"durability": str(store.durability()), "paused": broker.paused()}
