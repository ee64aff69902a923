"""The gate: nothing reaches a handler that has not passed it. Host, token, door, role, origin: in this order, deny by default.

It is the router as well. A request can only arrive where the table of doors says who may come in, so no route can be forgotten, no method,
and no upgrade.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from time import monotonic
from typing import cast
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from ..errors import RopewayError
from ..introspection.gate import token_of
from ..names import shown
from .answers import SAFETY, Answer
from .doors import Call, Door, Handler, Table, Talk, Talker
from .grants import LOOK, Grant
from .problems import Refusal, answer, problem, status_of

HEADERS_LIMIT = 16 << 10  # bytes of all headers of a request
SAFE = frozenset({"GET", "HEAD"})

log = logging.getLogger("ropeway.server")


class Gate:
    """The ASGI application around the doors.

    `judge` answers the grant of a token, None for nobody's. `anyone`: the grant of those who bring none that is known (`--no-auth`);
    None: they stay out. `hosts`: what a Host header may be, lower case, with its port; empty: a unix socket, where nobody is misled.
    `begins`: what is to be called once, in the event loop that serves.
    """

    def __init__(
        self,
        table: Table,
        judge: Callable[[str], Grant | None],
        hosts: Collection[str] = (),
        *,
        anyone: Grant | None = None,
        audit: Callable[[Door, Scope, int], None] | None = None,
        begins: Collection[Callable[[], None]] = (),
    ) -> None:
        self.table = table
        self._judge = judge
        self._hosts = frozenset(hosts)
        self._plain_hosts = frozenset(host.encode("latin-1", "replace") for host in hosts)  # as nearly every request has them
        self._anyone = anyone
        self._audit = audit
        self._begins = begins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            door, grant = self._let_in(scope)
        except Refusal as refusal:
            await refuse(refusal, scope, receive, send)
            return
        scope["ropeway.grant"] = grant
        if door.lasts:
            scope["ropeway.still"] = Stay(self.stays, scope, grant)
        if scope["type"] == "websocket":
            await self._talk(door, Talk(scope, receive, send))
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
            self._audit(door, scope, response.status_code)
        _guard(response)
        await response(scope, receive, send)

    def begin(self) -> None:
        """The server has started."""
        begins, self._begins = self._begins, ()
        for one in begins:
            one()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.begin()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _talk(self, door: Door, talk: Talk) -> None:
        if self._audit is not None and door.changes:
            self._audit(door, talk.scope, 101)
        try:
            await cast("Talker", door.handler)(talk)
        except RopewayError as error:  # of what was asked for, before anything was accepted
            await refuse(Refusal(status_of(error), str(error)), talk.scope, talk.receive, talk.send)
        except WebSocketDisconnect:
            return  # the other side is the one that ends most of them

    def stays(self, scope: Scope, grant: Grant) -> bool:
        """Whether who came in with that grant may stay: its time is not over, and it is what its token gives by now."""
        try:
            return self._grant(_heads(scope), scope) == grant
        except Refusal:
            return False

    def _let_in(self, scope: Scope) -> tuple[Door, Grant]:
        """Who passes, and through which door; Refusal for all others."""
        headers = _heads(scope)
        self._check_host(headers.get(b"host", ()))
        found = self.table.find(scope)
        if isinstance(found, list):
            self._grant(headers, scope)
            known = ", ".join(sorted(set(found)))
            if not found:
                raise Refusal(404, f"there is nothing at {shown(scope['path'])}; see /openapi.json for what there is")
            raise Refusal(405, f"{shown(scope['path'])} knows {known}", Allow=known)
        door, params = found
        scope["path_params"] = params
        if door.open:
            if door.changes and scope["query_string"]:  # of the doors that are open one changes anything, and does so by its query
                self._check_origin(headers)
            return door, self._known(headers, scope)
        grant = self._grant(headers, scope)
        if door.role is not None and not grant.may(door.role, params.get("q")):
            where = f" on {shown(params['q'])}" if "q" in params else ""
            raise Refusal(403, f"this token has no right to {door.role}{where}; nothing was done")
        if door.changes or scope["type"] == "websocket" or scope["method"] not in SAFE:
            self._check_origin(headers)
        return door, grant

    def _check_host(self, given: Sequence[bytes]) -> None:
        """A page of another site, whose name was made to lead here, must not speak with us (DNS rebinding)."""
        if len(given) == 1 and given[0] in self._plain_hosts:
            return
        if self._hosts and len(given) != 1:
            raise Refusal(421, f"a request names one Host, not {len(given)}; nothing was done")
        if self._hosts and given[0].decode("latin-1").lower() not in self._hosts:
            host = shown(given[0].decode("latin-1"))
            raise Refusal(421, f"this server is not {host}; nothing was done. Start it with --host-name to add one")

    def _check_origin(self, headers: Heads) -> None:
        """Nor may a page of another site change anything with what the browser remembers of us."""
        if any(site not in (b"none", b"same-origin") for site in headers.get(b"sec-fetch-site", ())):
            raise Refusal(403, "a request from another site; nothing was done")
        hosts = self._hosts or {host.decode("latin-1").lower() for host in headers.get(b"host", ())}
        for origin in headers.get(b"origin", ()):
            text = origin.decode("latin-1")
            try:
                parts = urlsplit(text)
            except ValueError:
                parts = urlsplit("")
            if parts.scheme not in ("http", "https") or parts.netloc.lower() not in hosts:
                raise Refusal(403, f"a request from the page {shown(text)}; nothing was done")

    def _grant(self, headers: Heads, scope: Scope) -> Grant:  # noqa: ARG002 - for those who know it from elsewhere
        given = headers.get(b"authorization", ())
        if not given and self._anyone is not None:
            return self._anyone  # no work for the most frequent case
        token = token_of(given[0].decode("latin-1")) if len(given) == 1 else ""
        grant = (self._judge(token) if token else None) or self._anyone  # a client of this host sends the token of its own server to any
        if grant is None:
            said = "this token is not known, or its time is over" if given else "a token is needed"
            raise Refusal(401, f"{said}; nothing was done. Send it as: Authorization: Bearer TOKEN", WWW_Authenticate=_challenge(headers))
        return grant

    def _known(self, headers: Heads, scope: Scope) -> Grant:
        """The grant of who comes through an open door: one of nothing, where there is no good token."""
        try:
            return self._grant(headers, scope)
        except Refusal:
            return NOBODY


class Stay:
    """Whether one who came in through a door that lasts may stay: asked whenever something is told, looked at once a second at most."""

    def __init__(self, look: Callable[[Scope, Grant], bool], scope: Scope, grant: Grant) -> None:
        self._look = look
        self._what = (scope, grant)
        self._next = monotonic() + LOOK

    def __call__(self) -> bool:
        if (now := monotonic()) < self._next:
            return True
        self._next = now + LOOK
        return self._look(*self._what)


NOBODY = Grant("nobody", {})

Heads = dict[bytes, list[bytes]]
LOOKED_AT = frozenset({b"host", b"authorization", b"origin", b"sec-fetch-site", b"sec-fetch-mode"})


def _heads(scope: Scope) -> Heads:
    """The headers that a gate looks at, read in one pass: each request pays for it."""
    known: Heads = {}
    size = len(scope["path"]) + len(scope["query_string"])
    for name, value in scope["headers"]:
        size += len(name) + len(value) + 4
        if name in LOOKED_AT:
            known.setdefault(name, []).append(value)
    if size > HEADERS_LIMIT:
        raise Refusal(431, f"the address and the headers are over {HEADERS_LIMIT} bytes; nothing was done")
    return known


def _guard(response: Response) -> None:
    """What keeps an answer safe in a browser, where the handler has said nothing else."""
    if response.__class__ is Answer:
        return  # it has all of it
    raw = response.raw_headers
    given = {name for name, _ in raw}
    raw += [pair for pair in SAFETY if pair[0] not in given]


def _challenge(headers: Heads) -> str:
    """How to sign in. A page that asks by itself has a form of its own: no browser shall cover it with a question for a password."""
    by_page = headers.get(b"sec-fetch-mode", [b"navigate"]) != [b"navigate"]
    return 'Bearer realm="ropeway"' if by_page else 'Basic realm="ropeway", charset="UTF-8"'


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Say no, to a request or to an upgrade."""
    response = problem(refusal.status, str(refusal), headers=refusal.headers)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "websocket.http.response.body", "body": response.body})
        return
    _guard(response)
    await response(scope, receive, send)
