"""Server-sent events of queues: how all of them stand, and all that is known of one."""

from __future__ import annotations

from starlette.responses import Response, StreamingResponse

from ..broker import Broker
from ..names import check_name
from . import asking
from .doors import Call, Door
from .grants import Role
from .problems import Refusal
from .sampling import Sampler
from .seen import Seen, SeenStream
from .stopping import Stopping


def doors(broker: Broker, stopping: Stopping) -> list[Door]:
    """The doors of this family."""
    sampler = Sampler(broker, stopping)
    seen = Seen(broker, sampler, stopping)

    async def events(call: Call) -> Response:
        asking.query(call, ())
        life, _, number = call.headers.get("last-event-id", "").partition("-")
        last = int(number) if life == sampler.life and number.isascii() and number.isdigit() and len(number) < 16 else 0
        return StreamingResponse(sampler.events(call.grant, last, call.still), media_type="text/event-stream")

    async def of_queue(call: Call) -> Response:
        asking.query(call, ())
        if seen.crowded:
            raise Refusal(503, "too many listen to queues already; come back later")
        return SeenStream(seen, check_name(call.queue), call.grant, call.headers.get("last-event-id", ""), call.still)

    says = "How one queue stands and what happens to its jobs, live: server-sent events"
    return [
        Door("GET", "/v1/events", Role.OBSERVE, events, says="How the queues stand, live: server-sent events", changes=False, lasts=True),
        Door("GET", "/v1/queues/{q}/events", Role.OBSERVE, of_queue, says=says, changes=False, lasts=True),
    ]
