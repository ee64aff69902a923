"""Answers that are whole when they are made: a value as JSON, or bytes of any kind."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

SAFETY = (  # what keeps an answer safe in a browser
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
JSON = b"application/json"

_encode = msgspec.json.Encoder().encode
_safety = b"".join(b"%b: %b\r\n" % pair for pair in SAFETY)


class Answer(Response):
    """Bytes with their content type, safe in a browser as they are: the gate has nothing to add. Where the connection is one of ours
    (sockets.Cycle), it takes them in one piece; all others hear them as ASGI has it.

    `more`: headers beside those, in lower case. Raises ValueError for one with a line break in it: that would be a fault of ours.
    """

    def __init__(self, body: bytes, status: int = 200, kind: bytes = JSON, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *SAFETY, *more]
        self._lines = b"content-type: %b\r\ncontent-length: %d\r\n%b" % (kind, len(body), _safety)
        for name, value in more:
            if b"\n" in value or b"\r" in value:
                raise ValueError(f"the header {name!a} would be more than one line")
            self._lines += b"%b: %b\r\n" % (name, value)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        whole = getattr(getattr(send, "__self__", None), "whole", None)
        if whole is None or not whole(self.status_code, self._lines, self.body):
            await super().__call__(scope, receive, send)


def said(value: object, status: int = 200, **headers: str) -> Answer:
    """The value as JSON. Headers by their names, with _ for -."""
    return Answer(_encode(value), status, JSON, raw(headers) if headers else ())


def raw(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """Headers by their names, with _ for -, as they travel."""
    return tuple((name.replace("_", "-").lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers.items())
