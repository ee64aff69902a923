"""How a job and what it carries become bytes: one versioned envelope for jobs, a small table of codecs for bodies.

The envelope is one byte of version and a MessagePack array of the job's fields in their order (job.py). Within version 1 fields are
only ever added at the end: an older reader passes over those it does not know, a newer one takes their defaults. A change that an old
reader must not pass over raises the version; then the old reader leaves the job alone and says so (I25). tests/ground holds a golden
file of every version that was ever written.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .errors import BadBody, StoreError
from .job import BYTES, JSON, TEXT, Attempt, Job

VERSION = 1
_HEAD = bytes([VERSION])

_pack = msgspec.msgpack.Encoder().encode
_unpack_job = msgspec.msgpack.Decoder(Job).decode
_unpack_history = msgspec.msgpack.Decoder(list[Attempt]).decode
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode


class FutureFormat(StoreError):
    """Written by a newer ropeway than this one: left as it is. Update this side, or keep it away from that store."""


class Damaged(StoreError):
    """The bytes are not what was written: to be set aside and reported, never handed out and never dropped."""


def pack_job(job: Job) -> bytes:
    """The envelope of a job whose body is all bytes; `source` is never part of it."""
    if job.source is not None:
        raise BadBody("a streamed body must be taken out of the job before it is packed")
    return _HEAD + _pack(job)


def pack_head(job: Job) -> bytes:
    """The envelope of a job without its body and its moments, for engines that keep those in places of their own. What stands behind the
    last field given is read as its default."""
    return _HEAD + _pack(
        (
            job.id,
            job.queue,
            b"",
            job.content_type,
            job.headers,
            job.priority,
            job.delay,
            job.key,
            job.ttl,
            job.keep,
            job.task,
            job.lane,
            job.once,
        )
    )


def unpack_job(data: bytes | memoryview) -> Job:
    """The job of an envelope; FutureFormat for a version above ours, Damaged for anything that does not parse."""
    if not data or data[0] != VERSION:
        if data and data[0] > VERSION:
            raise FutureFormat(
                f"a job in envelope version {data[0]}, this ropeway reads up to {VERSION}: update it; the job was left alone"
            )
        raise Damaged("a job without its envelope")
    try:
        job = _unpack_job(memoryview(data)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"a job that does not parse: {error}") from None
    if job.source is not None:
        raise Damaged("a job that carries what is never stored")
    return job


def pack_history(attempts: list[Attempt]) -> bytes:
    return _pack(attempts)


def unpack_history(data: bytes) -> list[Attempt]:
    """The attempts as stored; an empty list for bytes that do not parse: a lost history must not stop a job."""
    try:
        return _unpack_history(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def encode_body(data: object) -> tuple[bytes, str]:
    """Body and content type of what a caller put: bytes as they are, text as UTF-8, everything else as JSON.

    Raises BadBody for what JSON cannot carry; objects are never pickled.
    """
    if isinstance(data, bytes):
        return data, BYTES
    if isinstance(data, str):
        try:
            return data.encode(), TEXT
        except UnicodeEncodeError as error:
            raise BadBody(f"the text cannot be encoded: {error}; nothing was stored") from None
    if isinstance(data, bytearray | memoryview):
        return bytes(data), BYTES
    try:
        return _to_json(data), JSON
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadBody(
            f"a {type(data).__name__} cannot be a body: {error}; nothing was stored. Put bytes, text, or what JSON can carry "
            "(numbers, lists, dicts, dataclasses, msgspec structs, datetimes)"
        ) from None


def decode_body(body: bytes, content_type: str, into: Any = Any) -> Any:
    """What `encode_body` was given, by content type; `into` (a type) makes msgspec check and build that type.

    Raises BadBody when the bytes are not of that type. Unknown content types stay bytes.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == JSON or kind.endswith("+json"):
            return _from_json(body) if into is Any else msgspec.json.decode(body, type=into)
        if kind.startswith("text/"):
            return _as(body.decode(), into)
        return _as(body, into)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadBody(f"the body is not {_shown_type(into)} as {kind or 'bytes'}: {error}") from None


def _as(value: Any, into: Any) -> Any:
    if into is Any or (isinstance(into, type) and isinstance(value, into)):
        return value
    if into is bytes and isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):  # raw JSON put by another language without a content type
        return msgspec.json.decode(value, type=into)
    return msgspec.convert(value, into)


def _shown_type(into: Any) -> str:
    return "text" if into is Any else getattr(into, "__name__", str(into))
