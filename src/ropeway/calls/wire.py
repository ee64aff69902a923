"""What travels between a caller and the worker that answers: headers, names, and the words of each reply. All of it may be forged.

A call is a job like any other, with up to four headers more:

    ropeway-reply-to       the caller's private queue, `_reply.` and 32 hex digits
    ropeway-correlation    32 random hex digits: which of its calls this is
    ropeway-wants          what the caller wants to hear beside the last word: started progress output
    ropeway-ear            where a worker of the same host may send the last word, past that queue (letters.py)

A reply is a job in that queue. Its headers say which call it answers (ropeway-correlation), what it is (ropeway-kind), in which run it
was said (ropeway-attempt), and for what is streamed its place (ropeway-number). Its body is the result or the item as it is; a failure
and a receipt are JSON. Replies are answered for by the correlation alone: 128 bits that nobody else has seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

import msgspec
from msgspec import Struct

from ..job import JSON, Job

T = TypeVar("T")

REPLY_TO = "ropeway-reply-to"
CORRELATION = "ropeway-correlation"
WANTS = "ropeway-wants"
EAR = "ropeway-ear"
KIND = "ropeway-kind"
ATTEMPT = "ropeway-attempt"
NUMBER = "ropeway-number"
TRACE, TRACE_STATE = "traceparent", "tracestate"  # W3C's: by which a job can be followed from process to process

PREFIX = "_reply."
_ADDRESS = re.compile(r"_reply\.[0-9a-f]{32}\Z", re.ASCII).match
_TOKEN = re.compile(r"[0-9a-f]{32}\Z", re.ASCII).match
_WHOLE = re.compile(r"[0-9]{1,15}\Z", re.ASCII).match
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z", re.ASCII).match
_STATE = re.compile(r"[ -~]{1,512}\Z", re.ASCII).match

URGENT = 0  # the priority of a reply


class Kind(StrEnum):
    """What a reply says."""

    STARTED = "started"  # a worker has begun (the receipt)
    PROGRESS = "progress"
    OUTPUT = "output"  # one item of a stream
    RETRYING = "retrying"  # this run failed; another follows
    RESULT = "result"  # the last word
    ERROR = "error"  # the last word


LAST = frozenset({Kind.RESULT, Kind.ERROR})
PARTS = frozenset({Kind.STARTED, Kind.PROGRESS, Kind.OUTPUT})  # said only to those who want it


class Failure(Struct):
    """Why a run failed. `types`: the exception's class and those it is derived from, the nearest first."""

    types: list[str] = []
    message: str = ""
    traceback: str = ""
    worker: str = ""  # host:pid:name


class Started(Struct, frozen=True):
    """The receipt: a worker has begun to run the job."""

    worker: str = ""  # host:pid:name
    attempt: int = 1  # 2 and more: an earlier run failed, or its worker died


class Reply(Struct, gc=False):
    """One reply, as the caller's mailroom hands it out."""

    kind: Kind
    body: bytes
    content_type: str
    attempt: int
    number: int


class Caller(Struct, gc=False):
    """Where a run's answers go, and what its caller wants to hear. `said`: items streamed so far, in this run. `reply`: the last word.
    `ear`: where it may go as a letter, if that can be reached; `early`: before the run is settled; `told`: it did."""

    queue: str
    correlation: str
    wants: frozenset[str]
    ttl: float
    said: int = 0
    reply: Job | None = None
    context: dict[str, str] = {}  # headers by which the call can be followed; its replies carry them
    ear: str = ""
    early: bool = False
    told: bool = False


def caller_of(job: Job) -> Caller | None:
    """Who waits for the answer of this job; None for nobody, also where the headers are not what a caller of ours writes: a job must
    not make its worker put things into whichever queue it names."""
    address, token = job.headers.get(REPLY_TO), job.headers.get(CORRELATION)
    if address is None or token is None or not _ADDRESS(address) or not _TOKEN(token):
        return None
    wants = frozenset(job.headers.get(WANTS, "").split()) & PARTS
    caller = Caller(address, token, wants, job.ttl)
    if TRACE in job.headers:
        caller.context = trace_context(job.headers.get(TRACE), job.headers.get(TRACE_STATE))
    return caller


def trace_context(parent: str | None, state: str | None) -> dict[str, str]:
    """The two headers of a context that comes from outside; nothing of what is none."""
    if parent is None or not _TRACE(parent):
        return {}
    return {TRACE: parent, TRACE_STATE: state} if state is not None and _STATE(state) else {TRACE: parent}


def reply_job(caller: Caller, job_id: str, kind: Kind, body: bytes, content_type: str, attempt: int, number: int = 0) -> Job:
    """A reply as the job that carries it. It lives as long as the call did: its reader, if there is one, waits for it now."""
    headers = {CORRELATION: caller.correlation, KIND: kind.value, ATTEMPT: str(attempt), NUMBER: str(number)}
    if caller.context:
        headers |= caller.context
    return Job(job_id, caller.queue, body, content_type, headers, URGENT, ttl=caller.ttl, fleeting=True)


def read_reply(job: Job) -> tuple[str, Reply] | None:
    """The correlation and the reply that a job of the reply queue carries; None for one that is none."""
    return read_words(job.headers, job.body, job.content_type)


def read_words(headers: Mapping[str, str], body: bytes, content_type: str) -> tuple[str, Reply] | None:
    """The same of a reply that came without a job."""
    get = headers.get
    token, kind, attempt, number = get(CORRELATION, ""), get(KIND, ""), get(ATTEMPT, ""), get(NUMBER, "")
    if not (_TOKEN(token) and _WHOLE(attempt) and _WHOLE(number)):
        return None
    try:
        known = Kind(kind)
    except ValueError:
        return None
    return token, Reply(known, body, content_type, int(attempt), int(number))


def said(what: Failure | Started) -> tuple[bytes, str]:
    """Body and content type of what is told in words."""
    return msgspec.json.encode(what), JSON


def read_failure(body: bytes) -> Failure | None:
    """The failure that an error carries; None when it does not parse."""
    return _read(body, _failure)


def read_started(body: bytes) -> Started | None:
    """The receipt; None when it does not parse."""
    return _read(body, _started)


_failure = msgspec.json.Decoder(Failure)
_started = msgspec.json.Decoder(Started)


def _read(body: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
