"""Jobs that are lent out, as JSON: a row for each, made without a dictionary in between, since a claim may bring a thousand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import Raw, Struct

from ..store import Lent

_decode = msgspec.json.Decoder().decode


class _Row(Struct, gc=False):
    """What every row says, in its order. The body comes last, under the name that says what it is."""

    id: str
    queue: str
    receipt: str
    attempt: int
    deaths: int
    headers: dict[str, str]
    content_type: str
    key: str
    task: str
    priority: int


class Plain(_Row, gc=False):
    """JSON that stands as it is, byte for byte; or text."""

    body: Raw | str


class Based(_Row, gc=False):
    """Any other bytes."""

    body_base64: bytes


def rows(lents: Sequence[Lent]) -> list[Plain | Based]:
    """Claimed jobs, as they are given out."""
    return [_row(lent) for lent in lents]


def _row(lent: Lent) -> Plain | Based:
    job = lent.job
    body, kind = job.body if job.source is None else job.source.read(), job.content_type
    shown: Raw | str
    try:
        if _is_json(kind):
            _decode(body)
            shown = Raw(body)
        else:
            shown = body.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Based(job.id, job.queue, lent.receipt, lent.attempt, lent.deaths, job.headers, kind, job.key, job.task, job.priority, body)
    return Plain(job.id, job.queue, lent.receipt, lent.attempt, lent.deaths, job.headers, kind, job.key, job.task, job.priority, shown)


@lru_cache(256)
def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")
