"""What a request says: its body within bounds, its query and its JSON checked strictly."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from ..calls.wire import TRACE, TRACE_STATE, trace_context
from ..durations import seconds
from ..errors import BadValue
from ..names import shown
from .doors import Call
from .problems import Refusal

BODY_LIMIT = 1 << 20
BATCH = 1000  # jobs, receipts or ids in one request

T = TypeVar("T")
_TRACE, _TRACE_STATE = TRACE.lower().encode(), TRACE_STATE.lower().encode()


async def body(call: Call, limit: int = BODY_LIMIT) -> bytes:
    """The whole body, refused with 413 as soon as it is known to be over the limit."""
    heads = call.heads
    if heads.get(b"content-encoding", b"identity") != b"identity":
        raise Refusal(415, "a body is taken as it is, not compressed; nothing was done")
    length = heads.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        size = length.decode() if length.isdigit() else shown(length.decode("latin-1"))
        raise Refusal(413, f"a body of {size[:20]} bytes is over the limit of {limit}; nothing was done")
    parts, came = [], 0
    while True:
        message = await call.receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "the body ended before its end; nothing was done")
        part: bytes = message.get("body", b"")
        came += len(part)
        if came > limit:
            raise Refusal(413, f"the body is over the limit of {limit} bytes; nothing was done")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def json(call: Call, kind: type[T], limit: int = BODY_LIMIT) -> T:
    """The body as JSON of that type; its content type must say so, or any page's form could send it."""
    given = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise Refusal(415, f"send application/json, not {shown(given)}; nothing was done")
    data = await body(call, limit)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not what this asks for: {error}; nothing was done") from None


def query(call: Call, known: Collection[str]) -> dict[str, str]:
    """The query, each name at most once and none that is not known."""
    out: dict[str, str] = {}
    if not call.scope["query_string"]:
        return out
    for name, value in call.query_params.multi_items():
        if name not in known or name in out:
            twice = "is given twice" if name in out else "is not known"
            there = f"there are: {' '.join(sorted(known))}" if known else "there is none here"
            raise Refusal(400, f"the parameter {shown(name)} {twice}; {there}. Nothing was done")
        out[name] = value
    return out


def number(text: str, name: str, least: int, most: int) -> int:
    """A whole number within its bounds."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise BadValue(f"{name} is a whole number from {least} to {most}, not {shown(text)}; nothing was done")
    return int(text)


def trace(call: Call) -> dict[str, str]:
    """The headers by which the request is followed (W3C trace context), for the jobs that it puts; nothing of what is none."""
    heads = call.heads
    parent = heads.get(_TRACE)
    if parent is None:
        return {}
    return trace_context(parent.decode("latin-1"), heads.get(_TRACE_STATE, b"").decode("latin-1") or None)


def flag(text: str, name: str) -> bool:
    """true or false."""
    if text not in ("true", "false"):
        raise BadValue(f"{name} is true or false, not {shown(text)}; nothing was done")
    return text == "true"


def span(text: str, name: str) -> float:
    """A duration: seconds, or text such as 30s."""
    return seconds(text, name)


def moment(text: str) -> datetime:
    """A moment with its time zone, as ISO 8601, or seconds since 1970."""
    try:
        if text.replace(".", "", 1).isdigit() and text.isascii():
            from datetime import UTC

            return datetime.fromtimestamp(float(text), UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise BadValue(f"{shown(text)} is no moment; write 2030-01-31T08:00:00Z, or seconds since 1970; nothing was done") from None
    if at.tzinfo is None:
        raise BadValue(f"{shown(text)} has no time zone; nothing was done. Write it with Z or +02:00")
    return at


def raw_or_text(data: bytes, content_type: str) -> dict[str, Any]:
    """A body inside JSON: JSON stands as it is, byte for byte; UTF-8 as text; all else as base64."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            msgspec.json.decode(data)
            return {"body": msgspec.Raw(data)}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {"body_base64": data}
    try:
        return {"body": data.decode()}
    except UnicodeDecodeError:
        return {"body_base64": data}
