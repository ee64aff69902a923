"""Workers that register: /w/. Their id travels in the header X-presque-workerid."""

from __future__ import annotations

from starlette.responses import Response

from ...names import check_name
from .. import asking
from ..answers import said
from ..doors import Call, Door
from ..grants import Role
from .facts import Facts, Tally
from .plain import error, plainly, worker_of


def doors(facts: Facts) -> list[Door]:
    """The doors of this family."""

    async def register(call: Call) -> Response:
        """Its counters begin at nothing."""
        name = worker_of(call)
        if not name:
            return error("the header X-presque-workerid is missing", 400)
        tally = await facts.tally("worker", check_name(name, "worker"))
        tally.processed = tally.failed = 0
        tally.started, tally.queues = facts.now(), [call.queue]
        facts.touch("worker", name)
        return Response(status_code=201)

    async def leave(call: Call) -> Response:
        name = worker_of(call)
        if not name:
            return error("the header X-presque-workerid is missing", 400)
        await facts.forget("worker", check_name(name, "worker"))
        return Response(status_code=204)

    async def show(call: Call) -> Response:
        given = asking.query(call, {"queue_name", "worker_id"})
        names = await facts.names("worker")
        if name := given.get("worker_id"):
            if name not in names:
                return error("no such worker", 404)
            return said(_row(name, await facts.look("worker", name)))
        if queue := given.get("queue_name"):
            own = [name for name in names if queue in (await facts.look("worker", name)).queues]
            tally = await facts.look("counts", check_name(queue))
            return said({"queue_name": queue, "workers_list": own, "processed": tally.processed, "failed": tally.failed})
        return said(names)

    return [
        Door("POST", "/w/{q}", Role.CONSUME, plainly(register), says="A worker begins"),
        Door("DELETE", "/w/{q}", Role.CONSUME, plainly(leave), says="A worker ends"),
        Door("GET", "/w/", Role.OBSERVE, plainly(show), says="The workers, and what they have done", changes=False),
    ]


def _row(name: str, tally: Tally) -> dict[str, object]:
    return {
        "worker_id": name,
        "processed": tally.processed,
        "failed": tally.failed,
        "started_at": int(tally.started),
        "queues": tally.queues,
    }
