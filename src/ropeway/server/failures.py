"""Failures: dead jobs gathered by task and by what their errors have in common, and what is done to such a group as a whole.

The fingerprint of an error is the error without what differs from job to job: numbers, ids, addresses, quoted words. One look reads at most
`MOST` dead jobs; when there are more, the answer says so, and the groups are those of the jobs that were read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from ..broker import Broker
from ..cli.times import iso
from ..job import State
from ..names import shown
from ..store import Entry, Query
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Grant, Role
from .problems import Refusal
from .veil import Veil

MOST = 10_000  # dead jobs that one look reads
PAGE = 1000
SHOWN = 200  # jobs of a group in one answer
_DEAD = frozenset({State.DEAD})
_DIFFERS = re.compile(
    r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b|[^\s@<>\"']+@[^\s@<>\"']+|'[^']*'|\"[^\"]*\"|\d+(?:[.,:]\d+)*"
)


class Group(Struct):
    """The dead jobs of one task whose errors are alike. Moments are those of their ends."""

    fingerprint: str
    task: str
    error: str
    first: float
    last: float
    example: Entry
    queues: set[str]
    ids: list[str]


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""
    veil = Veil.of(broker)

    async def failures(call: Call) -> Response:
        given = asking.query(call, {"queue", "task"})
        groups, all_read = await _look(broker, call.grant, Role.OBSERVE, given.get("queue", ""), given.get("task", ""))
        rows = sorted(map(_row, groups.values()), key=lambda row: (-row["count"], row["fingerprint"]))
        return said({"failures": rows, "complete": all_read})

    async def failure(call: Call) -> Response:
        asking.query(call, ())
        group, all_read = await _group(broker, call, Role.OBSERVE)
        ids = tuple(group.ids[-SHOWN:])
        found = await asyncio.to_thread(broker.store.browse, Query(queues=tuple(group.queues), ids=ids, limit=None))
        return said(_row(group) | {"complete": all_read, "jobs": [veil.row(call.grant, entry) for entry in found]})

    async def requeue(call: Call) -> Response:
        group, _ = await _group(broker, call, Role.OPERATE)
        return said({"count": await asyncio.to_thread(_each, broker.link.store.requeue, group)})

    async def delete(call: Call) -> Response:
        group, _ = await _group(broker, call, Role.OPERATE)
        return said({"count": await asyncio.to_thread(_each, broker.link.store.delete, group)})

    return [
        Door("GET", "/v1/failures", Role.OBSERVE, failures, says="Dead jobs, by task and by what their errors share", changes=False),
        Door("GET", "/v1/failures/{fingerprint}", Role.OBSERVE, failure, says="One group, with its latest jobs", changes=False),
        Door("POST", "/v1/failures/{fingerprint}/requeue", Role.OPERATE, requeue, says="Make the jobs of a group ready now"),
        Door("POST", "/v1/failures/{fingerprint}/delete", Role.OPERATE, delete, says="Remove the jobs of a group"),
    ]


def fingerprint(task: str, error: str) -> str:
    """The name of the group that such a failure belongs to."""
    return blake2b(f"{task}\0{alike(error)}".encode(errors="surrogatepass"), digest_size=8).hexdigest()


def alike(error: str) -> str:
    """The error without what differs from job to job."""
    return _DIFFERS.sub("…", error)


def gather(entries: Iterable[Entry]) -> dict[str, Group]:
    """The groups of these dead jobs, by fingerprint."""
    groups: dict[str, Group] = {}
    for entry in entries:
        name = fingerprint(entry.job.task, entry.error)
        group = groups.get(name)
        if group is None:
            groups[name] = group = Group(name, entry.job.task, alike(entry.error), entry.due, entry.due, entry, set(), [])
        if entry.due >= group.last:
            group.example = entry
        group.first, group.last = min(group.first, entry.due), max(group.last, entry.due)
        group.queues.add(entry.job.queue)
        group.ids.append(entry.job.id)
    return groups


async def _look(broker: Broker, grant: Grant, role: Role, queue: str = "", task: str = "") -> tuple[dict[str, Group], bool]:
    names = grant.seen(queue.split(",") if queue else await broker.aqueues(), role)
    if not names:
        return {}, True
    read = await asyncio.to_thread(lambda: list(_dead(broker, tuple(names), task)))
    return await asyncio.to_thread(gather, read), len(read) < MOST


def _dead(broker: Broker, names: tuple[str, ...], task: str) -> Iterator[Entry]:
    after, left = "", MOST
    while left > 0:
        page = broker.store.browse(Query(queues=names, states=_DEAD, task=task, limit=min(PAGE, left), after=after))
        yield from page
        left -= len(page)
        if len(page) < PAGE:
            return
        after = page[-1].cursor


async def _group(broker: Broker, call: Call, role: Role) -> tuple[Group, bool]:
    groups, all_read = await _look(broker, call.grant, role)
    group = groups.get(call.path_params["fingerprint"])
    if group is None:
        name = shown(call.path_params["fingerprint"])
        raise Refusal(404, f"there is no failure {name}: its jobs were requeued or deleted, or never were; nothing was done")
    return group, all_read


def _each(verb: Any, group: Group) -> int:
    queues = tuple(group.queues)
    parts = (tuple(group.ids[at : at + PAGE]) for at in range(0, len(group.ids), PAGE))
    return sum(verb(Query(queues=queues, states=_DEAD, ids=part, limit=None)) for part in parts)


def _row(group: Group) -> dict[str, Any]:
    row: dict[str, Any] = {"fingerprint": group.fingerprint, "task": group.task, "error": group.error, "count": len(group.ids)}
    row |= {"first": iso(group.first), "last": iso(group.last), "queues": sorted(group.queues)}
    return row | {"example": {"id": group.example.job.id, "error": group.example.error}}
