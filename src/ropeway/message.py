"""The message: what a topic carries to all who listen. Pure data, the same on every floor and every engine."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .codec import decode_body
from .errors import BadBody, BadName, BadValue
from .ids import is_id
from .job import BYTES, check_content_type
from .names import check_headers
from .topics import check_topic


class Message(Struct, array_like=True, gc=False):
    """What was published.

    The order of the fields is the format on the wire: new ones go to the end, with a default, and none is ever removed.
    """

    topic: str
    id: str  # 32 hex digits, made by the publisher (ids.py); rises with the time
    body: bytes = b""
    content_type: str = BYTES
    headers: dict[str, str] = {}
    at: float = 0.0  # when it was published, seconds since 1970 by the publisher's clock

    @property
    def data(self) -> Any:
        """The body as what was published: bytes, text, or what JSON says. Raises BadBody when the bytes are not of their content type."""
        return decode_body(self.body, self.content_type)


def check_message(message: Message, max_body: int | None = None) -> Message:
    """The message itself if every field keeps its rule; else BadName, BadBody or BadValue. A bus calls it first of all."""
    check_topic(message.topic)
    if not is_id(message.id):
        raise BadName(f"{ascii(message.id)[:80]} is no message id: it must be 32 lower-case hex digits; nothing was published")
    check_headers(message.headers)
    check_content_type(message.content_type, "published")
    if type(message.body) is not bytes:
        raise BadBody(f"a message's body is bytes, not {type(message.body).__name__}; nothing was published")
    if max_body is not None and len(message.body) > max_body:
        raise BadBody(f"the body is {len(message.body)} bytes, a message takes {max_body}; nothing was published")
    if not isinstance(message.at, int | float) or message.at < 0:
        raise BadValue(f"{ascii(message.at)[:40]} is no moment; nothing was published")
    return message
