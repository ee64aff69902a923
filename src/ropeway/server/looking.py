"""Looking: queues, jobs and workers. Nothing is changed by any of these."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from ..broker import Broker
from ..cli.rows import queue_row
from ..cli.scheduling import schedule_row
from ..ids import check_id
from ..job import State
from ..names import shown
from ..store import Entry, Feature, Query
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Role
from .problems import Refusal
from .steering import words
from .veil import Veil

PAGE = 200  # rows in one answer at most
COUNTED = 10_000  # jobs that are read at most to count those that fit
FILTERS = frozenset({"queue", "q", "task", "key", "lane", "error"})


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""
    veil = Veil.of(broker)

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
        given = asking.query(call, {*FILTERS, "state", "limit", "after"})
        limit = asking.number(given.get("limit", "100"), "limit", 1, PAGE)
        query = replace(
            await _meant(broker, call, given), states=_states(given.get("state", "")), limit=limit, after=given.get("after", "")
        )
        entries = await asyncio.to_thread(broker.store.browse, query) if query.queues else []
        rows = [veil.row(call.grant, entry) for entry in await _seen(veil, call, query.text, entries)]
        return said({"jobs": rows, "after": entries[-1].cursor if len(entries) == query.limit else None})

    async def totals(call: Call) -> Response:
        """How many jobs fit, state by state: counted where the store counts, read where it cannot, up to `COUNTED` of them."""
        given = asking.query(call, FILTERS)
        query = await _meant(broker, call, given)
        if not (given.keys() - {"queue"}):
            counts = [one for name, one in (await broker.acounts(query.queues)).items() if given.get("queue") or not name.startswith("_")]
            told = {str(state): sum(getattr(one, state) for one in counts) for state in State}
            return said({"totals": told, "exact": all(one.exact for one in counts)})
        read = await asyncio.to_thread(broker.store.browse, replace(query, limit=COUNTED)) if query.queues else []
        found = await _seen(veil, call, query.text, read)
        told = {str(state): sum(entry.state is state for entry in found) for state in State}
        return said({"totals": told, "exact": len(read) < COUNTED})

    async def job(call: Call) -> Response:
        asking.query(call, ())
        entry = await entry_of(broker, call)
        row: dict[str, Any] = veil.row(call.grant, entry) | {"history": [_attempt(one) for one in entry.history]}
        if entry.result is not None:
            entry = veil.entry(call.grant, entry)
            row |= {f"result{name[4:]}": value for name, value in asking.raw_or_text(entry.result or b"", entry.result_type).items()}
        if entry.state is State.RUNNING and Feature.NOTES in broker.store.features:
            row["progress"] = await broker.handle(entry.job.queue, entry.job.id).aprogress()
        return said(row)

    async def body(call: Call) -> Response:
        """As a file to save: no browser shows, and so runs, what a producer has sent."""
        asking.query(call, ())
        entry = await entry_of(broker, call)
        data = entry.job.body if entry.job.source is None else await asyncio.to_thread(entry.job.source.read)
        if veil.lies(call.grant, entry.job.queue) and (shown_of := veil.content(data, entry.job.content_type)) != data:
            if not shown_of:
                raise Refusal(403, "what is in this body cannot be told, so it is shown to those who may do everything on its queue")
            data = shown_of
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
        seen = [one for one in found if call.grant.may(Role.OBSERVE, one.queue)]
        return said({"schedules": [schedule_row(one, now) | {"words": words(one.expression)} for one in seen]})

    return [
        Door("GET", "/v1/schedules", Role.OBSERVE, schedules, says="The schedules, with their next ticks", changes=False),
        Door("GET", "/v1/queues", Role.OBSERVE, queues, says="How all queues stand", changes=False),
        Door("GET", "/v1/queues/{q}", Role.OBSERVE, queue, says="How one queue stands", changes=False),
        Door("GET", "/v1/jobs", Role.OBSERVE, jobs, says="The jobs that fit, a page at a time", changes=False),
        Door("GET", "/v1/totals", Role.OBSERVE, totals, says="How many jobs fit, by state", changes=False),
        Door("GET", "/v1/jobs/{id}", Role.OBSERVE, job, says="A job, with its attempts and its result", changes=False),
        Door("GET", "/v1/jobs/{id}/body", Role.OBSERVE, body, says="Its body, byte for byte", changes=False),
        Door("GET", "/v1/workers", Role.OBSERVE, workers, says="The workers that are there", changes=False),
    ]


async def _meant(broker: Broker, call: Call, given: dict[str, str]) -> Query:
    """The query of these filters, in the queues that this token may see."""
    names = given["queue"].split(",") if given.get("queue") else await broker.aqueues()
    seen = call.grant.seen(names)
    if given.get("queue") and len(seen) < len(names):
        raise Refusal(403, f"this token has no right to observe {shown(given['queue'])}; nothing was done")
    key, lane, task = given.get("key", ""), given.get("lane", ""), given.get("task", "")
    return Query(queues=tuple(seen), key=key, lane=lane, task=task, error=given.get("error", ""), text=given.get("q", ""))


async def _seen(veil: Veil, call: Call, text: str, entries: list[Entry]) -> list[Entry]:
    """Those whose visible part has the text: else a search would tell what is hidden."""
    if not text or not any(veil.lies(call.grant, name) for name in {entry.job.queue for entry in entries}):
        return entries
    some = lambda: [one for one in entries if not veil.lies(call.grant, one.job.queue) or veil.found(one, text)]  # noqa: E731
    return await asyncio.to_thread(some)


async def entry_of(broker: Broker, call: Call) -> Entry:
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
