"""Values on their way into PostgreSQL: each has its type by its name, so that nothing is left to be guessed from the statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from struct import pack
from typing import Any

from ..statements import Statements
from .wire import Call

_BOOL, _BYTEA, _INT8, _TEXT, _UUID = 16, 17, 20, 25, 2950
_BYTEAS, _TEXTS, _INT8S, _UUIDS = 1001, 1009, 1016, 2951

_TYPES = {
    "id": _UUID,
    "ids": _UUIDS,
    **dict.fromkeys(("queues", "queue_each", "keys", "lanes", "laned", "lane_each"), _TEXTS),
    **dict.fromkeys(("jobs", "tokens", "priorities", "createds", "dues", "delays"), _INT8S),
    **dict.fromkeys(("heads", "bodies"), _BYTEAS),
    **dict.fromkeys(
        ("queue", "key", "lane", "holder", "reason", "name", "prefix", "beyond", "result_type", "address", "fact", "who"), _TEXT
    ),
    **dict.fromkeys(("head", "body", "past", "result", "value"), _BYTEA),
    **dict.fromkeys(("relaxed",), _BOOL),
}

_NAMES = {
    _BOOL: "boolean", _BYTEA: "bytea", _INT8: "bigint", _TEXT: "text", _UUID: "uuid",
    _BYTEAS: "bytea[]", _TEXTS: "text[]", _INT8S: "bigint[]", _UUIDS: "uuid[]",
}  # fmt: skip


def kind_of(name: str) -> str:
    """The type of a value, as a cast says it."""
    return _NAMES[_TYPES.get(name, _INT8)]


_VALUE = re.compile(r"\{:([a-z_]+):\}")
BIND = "{{:{}:}}".format  # how a value is marked in a statement until it has a number
# the calls of our functions: their plan cannot go wrong, so it may be kept; others are planned anew, since a plan that was made while the
# table was empty is kept when it has filled
PREPARED = frozenset({"put_quick", "put_one", "put_many", "lend", "drop", "next_due", "ring", "announce", "withdrawn"})


def text_array(values: Sequence[str | None]) -> bytes:
    """An array of text as PostgreSQL reads one; a null stands without quotes."""
    return "{{{}}}".format(
        ",".join("null" if one is None else '"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"' for one in values)
    ).encode()


def _int_array(values: Sequence[int | None]) -> bytes:
    return "{{{}}}".format(",".join("null" if one is None else str(one) for one in values)).encode()


def _id_array(values: Sequence[str]) -> bytes:
    raw = bytes.fromhex("".join(values))
    rows = b"".join(b"\0\0\0\x10" + raw[at : at + 16] for at in range(0, len(raw), 16))
    return (pack(">iiiii", 1, 0, _UUID, len(values), 1) if values else pack(">iii", 0, 0, _UUID)) + rows


def _bytes_array(values: Sequence[bytes]) -> bytes:
    rows = b"".join(pack(">i", len(one)) + one for one in values)
    return (pack(">iiiii", 1, 0, _BYTEA, len(values), 1) if values else pack(">iii", 0, 0, _BYTEA)) + rows


def _number(value: int) -> bytes:
    return b"%d" % value


# type: (how it is written, whether that is the binary form)
_WAYS: dict[int, tuple[Callable[[Any], bytes], int]] = {
    _BOOL: (lambda value: b"t" if value else b"f", 0),
    _BYTEA: (bytes, 1),
    _INT8: (_number, 0),
    _TEXT: (str.encode, 0),
    _UUID: (str.encode, 0),
    _TEXTS: (text_array, 0),
    _INT8S: (_int_array, 0),
    _UUIDS: (_id_array, 1),
    _BYTEAS: (_bytes_array, 1),
}


class _Shape:
    """A statement made ready: the names of its values in the order of their numbers."""

    __slots__ = ("formats", "name", "text", "types", "values", "ways")

    def __init__(self, text: str, *, kept: bytes) -> None:
        self.values: list[str] = []
        numbered = _VALUE.sub(self._number, text)
        self.text = numbered.encode()
        kinds = [_TYPES.get(name, _INT8) for name in self.values]
        self.types = kinds
        self.formats = [_WAYS[kind][1] for kind in kinds]
        self.ways = [(name, _WAYS[kind][0]) for name, kind in zip(self.values, kinds, strict=True)]
        # the name is made of the text: where a pooler mixes connections, the same name is the same statement
        self.name = kept + blake2b(self.text, digest_size=12).hexdigest().encode() if kept else b""

    def _number(self, found: re.Match[str]) -> str:
        if found[1] not in self.values:
            self.values.append(found[1])
        return f"${self.values.index(found[1]) + 1}"


class Caller:
    """Makes calls of statements. Keeps what it has read of each."""

    def __init__(self) -> None:
        self._shapes: dict[str, _Shape] = {}
        self._pinned: dict[str, _Shape] = {}

    def call(self, statements: Statements, name: str, values: Mapping[str, Any], *, pinned: bool = False) -> Call:
        """`pinned`: in a transaction that has set what our functions pin. There any plan is right, and may be kept: but under a name of its
        own, since one that was made elsewhere may be wrong."""
        shapes = self._pinned if pinned else self._shapes
        shape = shapes.get(name)
        if shape is None:
            kept = b"ropeway_pinned_" if pinned else b"ropeway_" if name in PREPARED else b""
            shape = shapes[name] = _Shape(statements[name], kept=kept)
        bound = [None if (value := values[wanted]) is None else way(value) for wanted, way in shape.ways]
        return Call(shape.text, bound, shape.types, shape.formats, shape.name)
