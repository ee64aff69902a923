"""What goes over a line of the bus: one proof, then frames; and the note by which a listening process is found.

    line       the proof (48 bytes), then frames
    frame      4 bytes of length, big-endian, then MessagePack: [what was missed before these, the messages, whether more were waiting]
    proof      16 random bytes of who publishes, then HMAC-SHA256 over "ropeway bus", who proves, the greeting, those bytes and the address

Over TCP the listener speaks first, a greeting of 16 random bytes, and proves itself in turn (32 bytes) before a message is sent: the port
may have become somebody else's. On a unix socket, whose folder is the store's own, the greeting is 16 zeros that nobody sends.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from ..bus import MESSAGE_LIMIT
from ..errors import RopewayError
from ..message import Message, check_message
from ..topics import check_patterns

GREETING, PROOF, ANSWER = 16, 48, 32  # bytes
NO_GREETING = bytes(GREETING)
CHUNK = 128 * 1024  # bytes of messages gathered in one frame; one message may be larger
FRAME_LIMIT = MESSAGE_LIMIT + 512 * 1024  # one of the largest messages, or a chunk, with headers and what was missed
PUBLISHER, LISTENER = b"publisher", b"listener"

_HEAD = struct.Struct(">I")


class BadFrame(Exception):
    """What came is no frame of the bus: the line is closed."""


class Frame(Struct, array_like=True, gc=False):
    """One frame, read. New fields go to the end, with a default."""

    missed: dict[str, int]
    messages: list[Message]
    more: bool = False


class Announcement(Struct, array_like=True, gc=False):
    """Who listens, as the note `listen/<random>` says it. New fields go to the end, with a default."""

    address: str
    secret: bytes
    patterns: list[str]
    who: str = ""  # living.identity() of the process


_frame = msgspec.msgpack.Decoder(Frame)
_announcement = msgspec.msgpack.Decoder(Announcement)
pack = msgspec.msgpack.Encoder().encode


def framed(missed: Mapping[str, int], packed: Sequence[bytes], *, more: bool) -> bytes:
    """A frame of messages that are packed already."""
    body = pack([missed, [msgspec.Raw(one) for one in packed], more])
    return _HEAD.pack(len(body)) + body


def read_announcement(value: bytes) -> Announcement | None:
    """None for what is none: anybody who may write to the store may have written it."""
    try:
        found = _announcement.decode(value)
        check_patterns(found.patterns)
    except (msgspec.MsgspecError, RopewayError):
        return None
    return found if 16 <= len(found.secret) <= 64 and len(found.address) <= 128 and len(found.who) <= 128 else None


class Reader:
    """Takes bytes as they come, and gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.cut = False  # whether what has come so far ends in the middle of something

    def feed(self, data: bytes) -> list[Frame]:
        """Raises BadFrame, and must not be used any more then."""
        self._buffer += data
        frames: list[Frame] = []
        at, end = 0, len(self._buffer)
        while end - at >= _HEAD.size:
            size = _HEAD.unpack_from(self._buffer, at)[0]
            if size > FRAME_LIMIT:
                raise BadFrame(f"a frame of {size} bytes")
            if end - at - _HEAD.size < size:
                break
            at += _HEAD.size
            frames.append(_read(bytes(self._buffer[at : at + size])))
            at += size
        if at:
            del self._buffer[:at]
        if frames:
            self.cut = frames[-1].more
        self.cut = self.cut or bool(self._buffer)
        return frames


def _read(data: bytes) -> Frame:
    try:
        frame = _frame.decode(data)
        for message in frame.messages:
            check_message(message, MESSAGE_LIMIT)
    except (msgspec.MsgspecError, RopewayError) as error:
        raise BadFrame(str(error)) from None
    if any(count < 1 for count in frame.missed.values()):
        raise BadFrame("fewer than none missed")
    return frame


def proof(secret: bytes, who: bytes, greeting: bytes, own: bytes, address: str) -> bytes:
    """That who says this has the secret, here and now."""
    import hmac  # and with it the hashes, which nobody else needs

    return hmac.digest(secret, b"ropeway bus" + who + greeting + own + address.encode(), "sha256")


def same(one: bytes, other: bytes) -> bool:
    """Whether two proofs are one; how long that takes tells nobody anything."""
    import hmac

    return hmac.compare_digest(one, other)
