"""The operator's verbs: switches, purge, and what is done to jobs by id or by filter."""

from __future__ import annotations

import asyncio

from msgspec import Struct
from msgspec.structs import asdict, replace
from starlette.responses import Response

from .. import sweep as sweeping
from ..broker import Broker
from ..errors import BadValue
from ..ids import check_id
from ..job import WAITING, State
from ..names import check_name, shown
from ..store import Query
from ..sweep import Sweep
from . import asking
from .answers import said
from .asking import BATCH
from .doors import Call, Door
from .grants import Role
from .problems import Refusal


class Switch(Struct, forbid_unknown_fields=True):
    """The body of pause: which switches, and why."""

    put: bool = False
    claim: bool = False
    reason: str = ""


class Which(Struct, forbid_unknown_fields=True):
    """Jobs by id, or by filter. `to`: for move. `limit`, `after`: of those that fit, so many and no more, behind that cursor."""

    ids: list[str] = []
    queue: str = ""
    state: str = ""
    task: str = ""
    key: str = ""
    lane: str = ""
    error: str = ""
    q: str = ""
    to: str = ""
    limit: int | None = None
    after: str = ""


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""
    store = broker.link

    async def pause(call: Call) -> Response:
        given = await asking.json(call, Switch)
        call.which(put=given.put, claim=given.claim, reason=given.reason[:200])
        both = not (given.put or given.claim)  # said nothing: as `ropeway pause`, claims
        claim = given.claim or both
        await asyncio.to_thread(
            store.store.pause, [call.queue], put=True if given.put else None, claim=True if claim else None, reason=given.reason
        )
        return Response(status_code=204)

    async def resume(call: Call) -> Response:
        given = asking.query(call, {"put", "claim"})
        some = {name: False if asking.flag(given.get(name, "true"), name) else None for name in ("put", "claim")}
        await asyncio.to_thread(lambda: store.store.pause([call.queue], put=some["put"], claim=some["claim"]))
        return Response(status_code=204)

    async def purge(call: Call) -> Response:
        return said({"count": await asyncio.to_thread(broker.queue(call.queue).purge)})

    async def swept(query: Query, sweep: Sweep) -> Response:
        """One batch of those that fit."""
        one = await asyncio.to_thread(sweep, store, query)
        return said(asdict(one))

    async def requeue(call: Call) -> Response:
        query = await _which(broker, call)
        if query.limit is not None:
            return await swept(replace(query, states=query.states or frozenset({State.DEAD})), sweeping.requeue)
        if query.ids and query.states is None:  # who names a job means it, whichever of these it is
            query = replace(query, states=frozenset({State.DEAD, State.DONE, State.DELAYED}))
        return said({"count": await asyncio.to_thread(store.store.requeue, query)})

    async def delete(call: Call) -> Response:
        query = await _which(broker, call)
        if query.limit is not None:
            return await swept(query, sweeping.delete)
        return said({"count": await asyncio.to_thread(store.store.delete, query)})

    async def move(call: Call) -> Response:
        given = await asking.json(call, Which)
        _tell(call, given)
        if not given.to:
            raise BadValue("say where to: a queue, as to; nothing was moved")
        target = check_name(given.to)
        if not call.grant.may(Role.OPERATE, target):
            raise Refusal(403, f"this token has no right to operate {shown(target)}; nothing was moved")
        if not given.ids:
            query = await _meant(broker, call, given)
            return await swept(replace(query, states=query.states or WAITING, limit=query.limit or BATCH), sweeping.move(target))
        moved: list[str] = []
        for queue, ids in (await _by_queue(broker, call, given)).items():
            handles = await asyncio.to_thread(broker.queue(queue).move, ids, target)
            moved += [handle.id for handle in handles]
        return said({"count": len(moved), "ids": moved})

    async def cancel(call: Call) -> Response:
        given = await asking.json(call, Which)
        _tell(call, given)
        if not given.ids:
            query = await _meant(broker, call, given)
            return await swept(replace(query, limit=query.limit or BATCH), sweeping.cancel)
        answers = {}
        for queue, ids in (await _by_queue(broker, call, given)).items():
            for job_id in ids:
                answers[job_id] = await broker.handle(queue, job_id).acancel()
        return said({"answers": answers, "count": sum(answers.values())})

    return [
        Door("POST", "/v1/queues/{q}/pause", Role.OPERATE, pause, says="Switch a queue off: for claims, for puts, or both"),
        Door("POST", "/v1/queues/{q}/resume", Role.OPERATE, resume, says="Switch it on again"),
        Door("POST", "/v1/queues/{q}/purge", Role.OPERATE, purge, says="Remove every job that is not running"),
        Door("POST", "/v1/jobs/requeue", Role.OPERATE, requeue, says="Make jobs ready now"),
        Door("POST", "/v1/jobs/delete", Role.OPERATE, delete, says="Remove jobs that are not running"),
        Door("POST", "/v1/jobs/move", Role.OPERATE, move, says="Carry jobs to another queue"),
        Door("POST", "/v1/jobs/cancel", Role.OPERATE, cancel, says="Call jobs back, waiting or running"),
    ]


async def _which(broker: Broker, call: Call) -> Query:
    """The query of a body; only queues that this token may operate, and never all jobs by an empty filter."""
    given = await asking.json(call, Which)
    _tell(call, given)
    return await _meant(broker, call, given)


async def _meant(broker: Broker, call: Call, given: Which) -> Query:
    if not any((given.ids, given.queue, given.state, given.task, given.key, given.lane, given.error, given.q)):
        raise BadValue("say which jobs: ids, queue, state, task, key, lane, error or q; nothing was done")
    if given.limit is not None and not 1 <= given.limit <= BATCH:
        raise BadValue(f"limit is a whole number from 1 to {BATCH}, not {given.limit}; nothing was done")
    names = [check_name(name) for name in given.queue.split(",")] if given.queue else await broker.aqueues()
    seen = call.grant.seen(names, Role.OPERATE)
    if given.queue and len(seen) < len(names):
        raise Refusal(403, f"this token has no right to operate {shown(given.queue)}; nothing was done")
    return Query(
        queues=tuple(seen),
        states=frozenset(State(word) for word in given.state.split(",") if _state(word)) if given.state else None,
        ids=_ids(given) or None,
        key=given.key,
        lane=given.lane,
        task=given.task,
        error=given.error,
        text=given.q,
        limit=given.limit,
        after=given.after,
    )


async def _by_queue(broker: Broker, call: Call, given: Which) -> dict[str, list[str]]:
    """The ids, by the queues that they are in; those that this token may not operate are unknown to it."""
    found = await asyncio.to_thread(broker.store.browse, Query(ids=_ids(given), limit=None))
    queues: dict[str, list[str]] = {}
    for entry in found:
        if call.grant.may(Role.OPERATE, entry.job.queue):
            queues.setdefault(entry.job.queue, []).append(entry.job.id)
    return queues


def _tell(call: Call, given: Which) -> None:
    """For the audit record: which jobs were meant."""
    named = {name: str(value)[:200] for name, value in asdict(given).items() if value and name != "ids"}
    call.which(ids=given.ids[:10], others=max(0, len(given.ids) - 10), **named)


def _ids(given: Which) -> tuple[str, ...]:
    if len(given.ids) > BATCH:
        raise BadValue(f"at most {BATCH} ids, not {len(given.ids)}; nothing was done")
    return tuple(map(check_id, given.ids))


def _state(word: str) -> bool:
    if word not in set(State):
        raise BadValue(f"{shown(word)} is no state; nothing was done. There are: {' '.join(State)}")
    return True
