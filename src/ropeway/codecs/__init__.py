"""The codecs by name, and the way of a queue: how its bodies are written, and which it reads. A body is read by its content type.

json      bytes as they are, text as text, all else as JSON: the default
msgpack   MessagePack; smaller and faster, bytes stay bytes
yaml      YAML, by people for people (needs ropeway[yaml]); no aliases, no tags of Python's
raw       bytes, and nothing else
pickle    any Python object; whoever may put runs code in the worker, so both ends must name it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec

from ..codec import decode_body, encode_body
from ..errors import BadBody, BadValue
from ..job import BYTES, JSON
from ..names import shown

NAMES = ("json", "msgpack", "yaml", "raw", "pickle")
MSGPACK, YAML, PICKLE = "application/msgpack", "application/yaml", "application/x-python-pickle"

_OF_KIND = {
    JSON: "json",
    MSGPACK: "msgpack",
    "application/x-msgpack": "msgpack",
    "application/vnd.msgpack": "msgpack",
    YAML: "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
    "text/x-yaml": "yaml",
    "text/vnd.yaml": "yaml",
    PICKLE: "pickle",
    "application/x-python-serialize": "pickle",  # what other libraries call it
    "application/python-pickle": "pickle",
}
_SUFFIXES = {"+json": "json", "+msgpack": "msgpack", "+yaml": "yaml"}

Decoder = Callable[[bytes], Any]


class Codec(NamedTuple):
    """How one form is written and read. `encode` and what `decoder(type)` answers raise any Exception for what they cannot do."""

    name: str
    kind: str  # the content type of what it writes
    encode: Callable[[object], bytes]
    decoder: Callable[[Any], Decoder]  # checks and builds that type; TypeError for one that it cannot
    objects: bool = False  # carries Python's own objects, and checks their classes only


def name_of(content_type: str) -> str | None:
    """The codec that bodies of this content type belong to; None for bytes, text, and what is not known."""
    kind = content_type.partition(";")[0].strip().lower()
    found = _OF_KIND.get(kind)
    if found is None:
        for suffix, name in _SUFFIXES.items():
            if kind.endswith(suffix):
                return name
    return found


@cache
def codec(name: str) -> Codec:
    """The codec of that name. Raises BadValue when there is none, ConfigError when what it needs is not installed."""
    if name == "json":
        return Codec("json", JSON, msgspec.json.Encoder().encode, lambda into: msgspec.json.Decoder(into).decode)
    if name == "msgpack":
        return Codec("msgpack", MSGPACK, msgspec.msgpack.Encoder().encode, lambda into: msgspec.msgpack.Decoder(into).decode)
    if name == "raw":
        return Codec("raw", BYTES, _raw, _raw_decoder)
    if name == "yaml":
        from .yaml import decoder, encode, library

        library()
        return Codec("yaml", YAML, encode, decoder)
    if name == "pickle":
        from .pickle import decoder, encode

        return Codec("pickle", PICKLE, encode, decoder, objects=True)
    raise BadValue(f"there is no codec {shown(name)}; there are: {' '.join(NAMES)}")


class Way:
    """How the bodies of one queue are written, and which it reads. Made by `way`."""

    __slots__ = ("_decoders", "accept", "codec", "plain")

    def __init__(self, name: str, accept: frozenset[str]) -> None:
        self.codec = codec(name)
        self.accept = accept | {name}
        self.plain = name == "json"
        self._decoders: dict[tuple[str, Any], Decoder] = {}

    def encode(self, data: object) -> tuple[bytes, str]:
        """Body and content type of what a caller put. Raises BadBody for what the codec cannot carry."""
        if self.plain:
            return encode_body(data)
        try:
            return self.codec.encode(data), self.codec.kind
        except Exception as error:  # noqa: BLE001 - the object may be anything, and raise anything
            raise BadBody(
                f"a {type(data).__name__} cannot be a body as {self.codec.name}: {type(error).__name__}: {error}; nothing was stored"
            ) from None

    @property
    def results(self) -> Way:
        """How what a run returned travels: by the same, but raw bytes are no form for that; there it is bytes, text or JSON."""
        return way() if self.codec.name == "raw" else self

    def decode(self, body: bytes, content_type: str, into: Any = Any) -> Any:
        """What `encode` was given, checked against the type `into`. Raises BadBody when the bytes are not of that type, or of a content
        type that is not read here."""
        reader = self.reader(content_type)
        if reader is None or (reader.name == "json" and self.plain):
            return decode_body(body, content_type, into)
        try:
            return self._decoder(reader, into)(body)
        except Exception as error:  # noqa: BLE001 - the bytes may be anything, and raise anything
            wanted = "" if into is Any else f"{getattr(into, '__name__', into)} as "
            raise BadBody(f"the body is not {wanted}{reader.name}: {error}") from None

    def reader(self, content_type: str) -> Codec | None:
        """The codec that reads a body of this content type here; None: it is bytes or text, as it says. Raises BadBody when that codec is
        not one of this queue's."""
        name = name_of(content_type)
        if name is None:
            if self.codec.name == "raw":
                return self.codec
            return None if self.plain or self.codec.objects or content_type != BYTES else self.codec
        if name in self.accept:
            return codec(name)
        raise BadBody(f"the body came as {shown(content_type)}, and here it is {self._reads()}: it was not decoded. {_remedy(name)}")

    def _reads(self) -> str:
        return " or ".join([self.codec.name, *sorted(self.accept - {self.codec.name})]) + " that is read"

    def _decoder(self, reader: Codec, into: Any) -> Decoder:
        try:
            made = self._decoders.get((reader.name, into))
        except TypeError:  # a type that cannot be a key
            return reader.decoder(into)
        if made is None:
            made = self._decoders[reader.name, into] = reader.decoder(into)
        return made


@lru_cache(256)
def way(name: str = "json", accept: tuple[str, ...] = ()) -> Way:
    """The way of a queue that writes by this codec and also reads those of `accept`. Raises BadValue for a name that is none, ConfigError
    when what a codec needs is not installed."""
    for other in accept:
        codec(other)
    return Way(name, frozenset(accept))


def named(name: object, accept: object = ()) -> tuple[str, tuple[str, ...]]:
    """The names, if they are some. Raises BadValue."""
    given = (accept,) if isinstance(accept, str) else tuple(accept) if isinstance(accept, Sequence) else (accept,)
    for one in (name, *given):
        if one not in NAMES:
            raise BadValue(f"there is no codec {shown(one)}; there are: {' '.join(NAMES)}")
    return str(name), tuple(str(one) for one in given)


def _remedy(name: str) -> str:
    if name == "pickle":
        return (
            "Unpickling runs whatever code its sender chose. If only those can put here whom you trust with that, say so at this end too: "
            'codec = "pickle"'
        )
    return f'Have both ends name the same codec, or read this one as well: accept = ["{name}"]'


def _raw(data: object) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError("raw carries bytes, and nothing else")


def _raw_decoder(into: Any) -> Decoder:
    if into is not Any and into is not bytes:
        raise TypeError("raw is bytes: take bytes as the type, or another codec")
    return lambda body: body
