"""The gate: nothing reaches a handler that has not passed it. Host, token, door, role, origin: in this order, deny by default.

It is the router as well. A request can only arrive where the table of doors says who may come in, so no route can be forgotten, no method,
and no upgrade.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Collection
from typing import cast
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from ..errors import RopewayError
from ..names import shown
from .doors import SOCKET, Call, Door, Handler, Table, Talk, Talker
from .grants import Grant
from .problems import Refusal, answer, problem

HEADERS_LIMIT = 16 << 10  # bytes of all headers of a request
SAFE = frozenset({"GET", "HEAD"})

log = logging.getLogger("ropeway.server")


class Gate:
    """The ASGI application around the doors.

    `judge` answers the grant of a token, None for nobody's. `anyone`: the grant of those who bring none (`--no-auth`); None: they stay
    out. `hosts`: what a Host header may be, lower case, with its port; empty: a unix socket, where nobody is misled.
    """

    def __init__(
        self,
        table: Table,
        judge: Callable[[str], Grant | None],
        hosts: Collection[str] = (),
        *,
        anyone: Grant | None = None,
        audit: Callable[[Grant, str, str, int], None] | None = None,
    ) -> None:
        self.table = table
        self._judge = judge
        self._hosts = frozenset(hosts)
        self._anyone = anyone
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        try:
            door, grant = self._let_in(scope)
        except Refusal as refusal:
            await _refuse(refusal, scope, receive, send)
            return
        scope["ropeway.grant"] = grant
        if scope["type"] == "websocket":
            await self._talk(door, grant, Talk(scope, receive, send))
            return
        handler = cast("Handler", door.handler)
        try:
            response = await handler(Call(scope, receive, send))
        except (Refusal, RopewayError) as error:
            response = answer(error)
        except Exception as error:
            log.exception("%s %s failed", scope["method"], shown(scope["path"]))
            response = answer(error)
        if self._audit is not None and door.changes:
            self._audit(grant, scope["method"], scope["path"], response.status_code)
        for name, value in SAFETY:
            response.headers.setdefault(name, value)
        await response(scope, receive, send)

    async def _talk(self, door: Door, grant: Grant, talk: Talk) -> None:
        if self._audit is not None and door.changes:
            self._audit(grant, SOCKET, talk.url.path, 101)
        try:
            await cast("Talker", door.handler)(talk)
        except WebSocketDisconnect:
            return  # the other side is the one that ends most of them

    def _let_in(self, scope: Scope) -> tuple[Door, Grant]:
        """Who passes, and through which door; Refusal for all others."""
        headers = Headers(scope=scope)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_LIMIT:
            raise Refusal(431, f"the headers are over {HEADERS_LIMIT} bytes; nothing was done")
        self._check_host(headers)
        found = self.table.find(scope)
        if not isinstance(found, list) and found[0].open:
            return found[0], Grant("anyone", {})
        grant = self._grant(headers)
        if isinstance(found, list):
            known = ", ".join(sorted(set(found)))
            if not found:
                raise Refusal(404, f"there is nothing at {shown(scope['path'])}; see /openapi.json for what there is")
            raise Refusal(405, f"{shown(scope['path'])} knows {known}", Allow=known)
        door, params = found
        scope["path_params"] = params
        if door.role is not None and not grant.may(door.role, params.get("q")):
            where = f" on {shown(params['q'])}" if "q" in params else ""
            raise Refusal(403, f"this token has no right to {door.role}{where}; nothing was done")
        if scope["type"] == "websocket" or scope["method"] not in SAFE:
            self._check_origin(headers)
        return door, grant

    def _check_host(self, headers: Headers) -> None:
        """A page of another site, whose name was made to lead here, must not speak with us (DNS rebinding)."""
        given = headers.getlist("host")
        if self._hosts and (len(given) != 1 or given[0].lower() not in self._hosts):
            raise Refusal(
                421, f"this server is not {shown(given[0] if given else '')}; nothing was done. Start it with --host-name to add one"
            )

    def _check_origin(self, headers: Headers) -> None:
        """Nor may a page of another site change anything with what the browser remembers of us."""
        origins, site = headers.getlist("origin"), headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin"):
            raise Refusal(403, "a request from another site; nothing was done")
        for origin in origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or (self._hosts and parts.netloc.lower() not in self._hosts):
                raise Refusal(403, f"a request from the page {shown(origin)}; nothing was done")

    def _grant(self, headers: Headers) -> Grant:
        given = headers.getlist("authorization")
        if not given and self._anyone is not None:
            return self._anyone
        token = _token(given[0]) if len(given) == 1 else ""
        grant = self._judge(token) if token else None
        if grant is None:
            said = "this token is not known, or its time is over" if given else "a token is needed"
            raise Refusal(
                401,
                f"{said}; nothing was done. Send it as: Authorization: Bearer TOKEN",
                WWW_Authenticate='Basic realm="ropeway", charset="UTF-8"',
            )
        return grant


SAFETY = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)


def _token(header: str) -> str:
    """The token of an Authorization header: Bearer, or the password of Basic."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem(refusal.status, str(refusal), headers=refusal.headers)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "websocket.http.response.body", "body": response.body})
        return
    for name, value in SAFETY:
        response.headers.setdefault(name, value)
    await response(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
