"""Why a job is not running, or a queue is slow, over HTTP: what `ropeway why` says."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from ..broker import Broker
from ..cli.explaining import why_row
from ..ids import check_id
from ..names import check_name
from ..why import why, why_queue
from ..why.facts import View
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Role
from .problems import Refusal


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""

    async def job(call: Call) -> Response:
        given = asking.query(call, {"queue"})
        job_id, queue = check_id(call.path_params["id"]), given.get("queue")
        if queue is not None and not call.grant.may(Role.OBSERVE, check_name(queue)):
            raise Refusal(403, f"this token has no right to observe {queue}; nothing was done")
        return said(why_row(await asyncio.to_thread(why, broker.link, job_id, queue, _view(call))))

    async def queue(call: Call) -> Response:
        asking.query(call, ())
        return said(why_row(await asyncio.to_thread(why_queue, broker.link, call.queue, _view(call))))

    def _view(call: Call) -> View:
        """A job that this token may not see is as little there as one that does not exist; where the store is, is the server's business."""
        return View(lambda name: call.grant.may(Role.OBSERVE, name), url=False)

    return [
        Door("GET", "/v1/jobs/{id}/why", Role.OBSERVE, job, says="Why it is not running, and what will unblock it", changes=False),
        Door("GET", "/v1/queues/{q}/why", Role.OBSERVE, queue, says="What holds the queue up", changes=False),
    ]
