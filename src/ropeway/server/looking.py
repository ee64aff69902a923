"""Looking: queues, jobs and workers. Nothing is changed by any of these."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.responses import Response

from ..broker import Broker
from ..cli.rows import job_row, queue_row
from ..cli.scheduling import schedule_row
from ..ids import check_id
from ..job import State
from ..names import shown
from ..store import Entry, Query
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Role
from .problems import Refusal

PAGE = 200  # rows in one answer at most


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""

    async def queues(call: Call) -> Response:
        asking.query(call, ())
        counts = await broker.acounts()
        own = [name for name in call.grant.seen(list(counts)) if not name.startswith("_")]
        return said({"queues": [queue_row(name, counts[name]) for name in own]})

    async def queue(call: Call) -> Response:
        asking.query(call, ())
        counts = await broker.acounts([call.queue])
        return said(queue_row(call.queue, counts[call.queue]))

    async def jobs(call: Call) -> Response:
        given = asking.query(call, {"queue", "state", "q", "task", "key", "lane", "error", "limit", "after"})
        names = given["queue"].split(",") if given.get("queue") else await broker.aqueues()
        seen = call.grant.seen(names)
        if given.get("queue") and len(seen) < len(names):
            raise Refusal(403, f"this token has no right to observe {shown(given['queue'])}; nothing was done")
        query = Query(
            queues=tuple(seen),
            states=_states(given.get("state", "")),
            key=given.get("key", ""),
            lane=given.get("lane", ""),
            task=given.get("task", ""),
            error=given.get("error", ""),
            text=given.get("q", ""),
            limit=asking.number(given.get("limit", "100"), "limit", 1, PAGE),
            after=given.get("after", ""),
        )
        entries = await asyncio.to_thread(broker.store.browse, query) if seen else []
        rows = [job_row(entry) for entry in entries]
        return said({"jobs": rows, "after": entries[-1].cursor if len(entries) == query.limit else None})

    async def job(call: Call) -> Response:
        asking.query(call, ())
        entry = await _entry(broker, call)
        row: dict[str, Any] = job_row(entry) | {"history": [_attempt(one) for one in entry.history]}
        if entry.result is not None:
            row |= {f"result{name[4:]}": value for name, value in asking.raw_or_text(entry.result, entry.result_type).items()}
        return said(row)

    async def body(call: Call) -> Response:
        """As a file to save: no browser shows, and so runs, what a producer has sent."""
        asking.query(call, ())
        entry = await _entry(broker, call)
        data = entry.job.body if entry.job.source is None else await asyncio.to_thread(entry.job.source.read)
        headers = {"Content-Disposition": f'attachment; filename="{entry.job.id}"', "Ropeway-Content-Type": entry.job.content_type}
        return Response(data, headers=headers, media_type="application/octet-stream")

    async def workers(call: Call) -> Response:
        asking.query(call, ())
        notes = await asyncio.to_thread(broker.notes.notes, "worker/")
        return said({"workers": [row for note in notes.values() if (row := _note(note)) is not None]})

    async def schedules(call: Call) -> Response:
        asking.query(call, ())
        found = await asyncio.to_thread(broker.schedules.browse)
        now = broker.link.clock.now()
        return said({"schedules": [schedule_row(one, now) for one in found if call.grant.may(Role.OBSERVE, one.queue)]})

    return [
        Door("GET", "/v1/schedules", Role.OBSERVE, schedules, says="The schedules, with their next ticks", changes=False),
        Door("GET", "/v1/queues", Role.OBSERVE, queues, says="How all queues stand", changes=False),
        Door("GET", "/v1/queues/{q}", Role.OBSERVE, queue, says="How one queue stands", changes=False),
        Door("GET", "/v1/jobs", Role.OBSERVE, jobs, says="The jobs that fit, a page at a time", changes=False),
        Door("GET", "/v1/jobs/{id}", Role.OBSERVE, job, says="A job, with its attempts and its result", changes=False),
        Door("GET", "/v1/jobs/{id}/body", Role.OBSERVE, body, says="Its body, byte for byte", changes=False),
        Door("GET", "/v1/workers", Role.OBSERVE, workers, says="The workers that are there", changes=False),
    ]


async def _entry(broker: Broker, call: Call) -> Entry:
    """The job that the path names; one that this token may not see is as little there as one that does not exist."""
    job_id = check_id(call.path_params["id"])
    found = await asyncio.to_thread(broker.store.browse, Query(ids=(job_id,)))
    if not found or not call.grant.may(Role.OBSERVE, found[0].job.queue):
        raise Refusal(404, f"there is no job {job_id}: it is done, deleted, expired, or never was")
    return found[0]


def _states(text: str) -> frozenset[State] | None:
    if not text:
        return None
    try:
        return frozenset(State(word) for word in text.split(","))
    except ValueError:
        raise Refusal(400, f"{shown(text)} is no state; there are: {' '.join(State)}") from None


def _attempt(attempt: Any) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.structs.asdict(attempt)
    return row


def _note(note: bytes) -> Any:
    try:
        return msgspec.json.decode(note)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
