"""How the old routes speak: errors as {"error": text}, and an answer that takes its jobs along only when somebody was there to get it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...errors import RopewayError
from ...names import shown
from .. import asking
from ..answers import said
from ..doors import Call, Handler
from ..problems import Refusal, status_of

LEASE = 30.0  # seconds in which an answer must have been written

FORM = "application/x-www-form-urlencoded"


def error(text: str, status: int, **headers: str) -> Response:
    """As they said it."""
    return said({"error": text}, status, **headers)


def plainly(handler: Handler) -> Handler:
    """The handler, its errors told in the old way."""

    @wraps(handler)
    async def told(call: Call) -> Response:
        try:
            return await handler(call)
        except Refusal as refusal:
            return error(str(refusal), refusal.status)
        except RopewayError as failure:
            return error(str(failure), status_of(failure))

    return told


class Handed(Response):
    """An answer with jobs in it. `then` is told whether it was written to a connection that is still open: only then they are gone."""

    def __init__(self, body: bytes, kind: str, then: Callable[[bool], Awaitable[None]], **headers: str) -> None:
        super().__init__(body, 200, {name.replace("_", "-"): text for name, text in headers.items()}, kind or None)
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        written = False
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
            written = not await Call(scope, receive).is_disconnected()
        finally:
            await self._then(written)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def form(call: Call) -> dict[str, str]:
    """The fields of a form, the last of each name."""
    data = await asking.body(call)
    try:
        fields = parse_qs(data.decode(), keep_blank_values=True, max_num_fields=20, strict_parsing=False)
    except (UnicodeDecodeError, ValueError) as failure:
        raise Refusal(400, f"this is no form: {shown(str(failure))}; nothing was done") from None
    return {name: values[-1] for name, values in fields.items()}


def kind_of(call: Call) -> str:
    """The content type without its parameters."""
    return call.headers.get("content-type", "").partition(";")[0].strip().lower()


def worker_of(call: Call) -> str:
    """Who asks, if it says so."""
    return call.headers.get("x-presque-workerid", "")[:128]
