"""What both sides say to each other: the verbs of a store as messages of MessagePack, one POST for each, or several as one commit.

    POST /v1/store/VERB     a tuple of the verb's arguments       -> its answer
    POST /v1/store/commit   a list of [VERB, arguments]           -> a list of Told, in the same order

A version of ropeway that knows less than the other finds fields it does not know at the end of arrays, or in maps, and passes over them.
Moments of this machine's boot clock are told as seconds from now. A body that is kept beside its job does not travel with it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ...job import Job
from ...message import Message
from ...store import Ack, Counts, Entry, Finding, Handback, Lent, Limits, Query

PATH = "/v1/store/"
KIND = "application/msgpack"
LIMIT = 64 << 20  # bytes of one message

Put = list[tuple[bool, float, float]]  # stored, created, due

# verb: (the type of its arguments, the type of its answer)
VERBS: dict[str, tuple[Any, Any]] = {
    "put": (tuple[list[Job]], Put),
    "bring": (tuple[list[Entry]], list[bool]),
    "claim": (tuple[list[str], int, float, str], list[Lent]),
    "pick": (tuple[str, list[str], float, str], list[Lent | None]),
    "ack": (tuple[list[Ack]], list[bool]),
    "nack": (tuple[list[Handback]], list[bool]),
    "bury": (tuple[list[Handback]], list[bool]),
    "extend": (tuple[list[str], float], list[bool]),
    "queues": (tuple[()], list[str]),
    "counts": (tuple[list[str] | None], dict[str, Counts]),
    "browse": (tuple[Query], list[Entry]),
    "requeue": (tuple[Query], int),
    "delete": (tuple[Query], int),
    "pause": (tuple[list[str], bool | None, bool | None, str], None),
    "limit": (tuple[list[str], Limits], None),
    "drop": (tuple[list[str]], list[bool]),
    "note": (tuple[str, bytes, float], None),
    "notes": (tuple[str], dict[str, bytes]),
    "forget": (tuple[str], bool),
    "check": (tuple[()], list[Finding]),
    "publish": (tuple[list[Message]], None),
}
IN_COMMIT = ("put", "bring", "claim", "ack", "nack", "bury", "extend")


class About(Struct):
    """What a server says of its store: GET /v1/store/."""

    url: str
    features: list[str]
    max_body: int | None
    durability: str


class Told(Struct):
    """One answer within a commit: packed, or the refusal of this one verb, as a problem (server/problems.py)."""

    answer: msgspec.Raw = msgspec.Raw(b"\xc0")
    problem: dict[str, Any] | None = None


encode = msgspec.msgpack.Encoder().encode
_arguments = {verb: msgspec.msgpack.Decoder(kinds[0]) for verb, kinds in VERBS.items()}
_answers = {verb: msgspec.msgpack.Decoder(kinds[1]) for verb, kinds in VERBS.items()}


def arguments(verb: str, data: bytes | msgspec.Raw) -> Any:
    """The arguments of a message, checked by their type. Raises msgspec.MsgspecError."""
    return _arguments[verb].decode(data)


def answer(verb: str, data: bytes | msgspec.Raw) -> Any:
    """The answer of a message."""
    return _answers[verb].decode(data)
