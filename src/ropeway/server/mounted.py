"""The server inside an application of yours, under a path of it: the application says who may come in, and the gate does the rest."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from ..broker import Broker
from ..errors import ConfigError
from ..names import check_patterns
from .app import make_app
from .doors import Table
from .gate import Gate, Heads, refuse
from .grants import Grant, Role
from .problems import Refusal

log = logging.getLogger("ropeway.server")

Roles = dict[str, Sequence[str]]  # by role: queue patterns
Auth = Callable[[HTTPConnection], Grant | Roles | Awaitable[Grant | Roles | None] | None]


class HostGate(Gate):
    """A gate whose bearers the host application knows."""

    def _grant(self, headers: Heads, scope: Scope) -> Grant:  # noqa: ARG002
        grant: Grant = scope["ropeway.admitted"]
        return grant


class Dashboard:
    """The ASGI application. It needs no lifespan events, which a mounted application is not given."""

    def __init__(self, broker: Broker, auth: Auth, *, read_only: bool = False) -> None:
        if not callable(auth):
            raise ConfigError(
                "a dashboard needs auth=, a function that is given the request and answers what its sender may do: "
                'None for nothing, or {"observe": ["*"], "operate": ["*"]}; nothing was opened'
            )
        self._auth = auth
        self._gate = make_app(broker, lambda _: None, read_only=read_only, gate=HostGate)

    @property
    def table(self) -> Table:
        """All its doors."""
        return self._gate.table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._gate(scope, receive, send)
            return
        try:
            grant = await self._admitted(HTTPConnection(scope))
        except Refusal as refusal:
            await refuse(refusal, scope, receive, send)
            return
        except ConfigError as error:
            log.error("%s; nobody was let in", error)
            await refuse(Refusal(500, "the application's answer about you is none; nothing was done"), scope, receive, send)
            return
        self._gate.begin()
        await self._gate({**scope, "ropeway.admitted": grant}, receive, send)

    async def _admitted(self, request: HTTPConnection) -> Grant:
        told: Any = self._auth(request)
        if inspect.isawaitable(told):
            told = await told
        if told is None:
            raise Refusal(403, "this application does not let you in here; nothing was done")
        return told if isinstance(told, Grant) else granted(told)


def granted(roles: Roles) -> Grant:
    """The grant of a table of roles. Raises ConfigError for one that is none: nobody is let in by mistake."""
    if not isinstance(roles, dict) or not roles.keys() <= {role.value for role in Role}:
        raise ConfigError(f"auth= answers a table of the roles {' '.join(Role)}, each with queue patterns, a Grant, or None")
    return Grant("of the application", {Role(role): check_patterns(patterns) for role, patterns in roles.items()})
