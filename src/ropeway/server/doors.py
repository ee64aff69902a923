"""The doors of the server: one table of method, path, role and handler. What is not in it does not exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match, Route, WebSocketRoute
from starlette.types import Scope
from starlette.websockets import WebSocket

from .grants import Grant, Role

Handler = Callable[["Call"], Awaitable[Response]]
Talker = Callable[["Talk"], Awaitable[None]]


class Passed(HTTPConnection):
    """What has passed the gate."""

    @property
    def grant(self) -> Grant:
        """What its bearer may do."""
        found: Grant = self.scope["ropeway.grant"]
        return found

    @property
    def queue(self) -> str:
        """The queue that its path names."""
        name: str = self.path_params["q"]
        return name


class Call(Passed, Request):
    """A request that has passed the gate."""


class Talk(Passed, WebSocket):
    """A WebSocket that has passed the gate; not accepted yet."""


SOCKET = "WEBSOCKET"  # the method of a door for upgrades


class Door(NamedTuple):
    """One way in. A path with `{q}` asks for the role on that queue, any other for the role on some queue. `role` None: for anyone who is
    let in at all. `open`: without any token, for those who only ask whether the server lives."""

    method: str
    path: str
    role: Role | None
    handler: Handler | Talker
    open: bool = False
    says: str = ""  # one line for the description of the API
    changes: bool = True  # whether it changes anything: then it is recorded, and the Origin is looked at


class Table:
    """All doors, matched in their order."""

    def __init__(self, doors: Sequence[Door]) -> None:
        self.doors = tuple(doors)
        self._routes = [(door, _route(door)) for door in doors]

    def find(self, scope: Scope) -> tuple[Door, dict[str, str]] | list[str]:
        """The door and what its path says; or the methods that this path knows, none when there is no such path."""
        methods = []
        for door, route in self._routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                return door, child["path_params"]
            if match is Match.PARTIAL:
                methods.append(door.method)
        return methods

    def __iter__(self) -> Iterator[Door]:
        return iter(self.doors)


def _route(door: Door) -> Route | WebSocketRoute:
    return WebSocketRoute(door.path, _unused) if door.method == SOCKET else Route(door.path, _unused, methods=[door.method])


async def _unused(request: Request) -> Response:
    raise AssertionError(f"{request.url.path} is only matched, never called")
