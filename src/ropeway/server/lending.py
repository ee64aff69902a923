"""Jobs are lent out and settled: claims with a long poll, and the four ways in which a claim goes on or ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from starlette.responses import Response

from ..aio import facade
from ..broker import Broker
from ..codec import encode_body
from ..durations import seconds
from ..errors import BadValue
from ..job import Attempt
from ..store import Ack, Handback
from . import asking
from .answers import said
from .asking import BATCH
from .doors import Call, Door
from .grants import Role
from .lents import rows
from .problems import Refusal, problem
from .sockets import Cycle
from .stopping import Stopping

LONGEST_POLL = 300.0  # seconds that one request may wait
SHORTEST_LEASE = 1.0

Span = float | str
T = TypeVar("T")


class AckRow(Struct, forbid_unknown_fields=True):
    """One ack that says more than its receipt."""

    receipt: str
    result: Any = None
    keep: Span | None = None


class Acks(Struct, forbid_unknown_fields=True):
    """The body of /v1/ack."""

    receipts: list[str] = []
    acks: list[AckRow] = []


class Handbacks(Struct, forbid_unknown_fields=True):
    """The body of /v1/nack and /v1/bury."""

    receipts: list[str]
    delay: Span = 0
    error: str = ""
    restore: bool = False


class Extensions(Struct, forbid_unknown_fields=True):
    """The body of /v1/extend."""

    receipts: list[str]
    lease: Span = 30.0


def doors(broker: Broker, stopping: Stopping) -> list[Door]:
    """The doors of this family."""
    link = broker.link
    side = facade(link)

    async def claim(call: Call) -> Response:
        given = asking.query(call, {"limit", "lease", "wait"})
        limit = asking.number(given.get("limit", "1"), "limit", 1, BATCH)
        lease = asking.span(given["lease"], "lease") if "lease" in given else broker.queue(call.queue).settings.lease
        wait = asking.span(given.get("wait", "0"), "wait")
        if lease < SHORTEST_LEASE or wait > LONGEST_POLL:
            raise BadValue(f"a lease is at least {SHORTEST_LEASE:g} s, a wait at most {LONGEST_POLL:g} s; nothing was claimed")
        lents = await patiently(call, side.claim(call.queue, limit, lease, wait, bound=False), stopping)
        if not lents:
            return Response(status_code=204)
        return said(rows(lents))

    async def ack(call: Call) -> Response:
        given = await asking.json(call, Acks)
        acks = [Ack(receipt) for receipt in given.receipts]
        for row in given.acks:
            result, kind = (None, "") if row.result is None else encode_body(row.result)
            if isinstance(row.result, str):  # as JSON, so that it comes back as it went
                result, kind = msgspec.json.encode(row.result), "application/json"
            acks.append(Ack(row.receipt, result, kind, None if row.keep is None else seconds(row.keep, "keep")))
        return _answers(await side.settle("ack", _bounded(acks)))

    async def hand_back(call: Call) -> Response:
        verb: str = call.scope["path"].rpartition("/")[2]
        given = await asking.json(call, Handbacks)
        delay, now = seconds(given.delay, "delay"), link.clock.now()
        outcome = "discarded" if verb == "bury" else "failed" if given.error else "returned"
        attempt = Attempt(0, now, now, call.grant.name, outcome, given.error[:2000]) if given.error or verb == "bury" else None
        handbacks = [Handback(receipt, delay, attempt, given.restore) for receipt in given.receipts]
        return _answers(await side.settle(verb, _bounded(handbacks)))

    async def extend(call: Call) -> Response:
        given = await asking.json(call, Extensions)
        return _answers(await side.settle("extend", _bounded(given.receipts), seconds(given.lease, "lease")))

    return [
        Door("POST", "/v1/queues/{q}/claims", Role.CONSUME, claim, says="Claim jobs, waiting for the first of them up to `wait`"),
        Door("POST", "/v1/ack", Role.CONSUME, ack, says="Done: the jobs leave, or are kept with their result"),
        Door("POST", "/v1/nack", Role.CONSUME, hand_back, says="Give jobs back, due again after `delay`"),
        Door("POST", "/v1/bury", Role.CONSUME, hand_back, says="Give jobs up: kept as dead, with the reason"),
        Door("POST", "/v1/extend", Role.CONSUME, extend, says="Renew leases"),
    ]


async def patiently(call: Call, asked: Coroutine[Any, Any, T], stopping: Stopping) -> T | None:
    """Wait for what is asked of the store as long as its client and this server do; None when the server stops. A claim that comes too
    late goes back, uncounted: the facade does it when the task that awaits it is cancelled, in the moment of its coming too.

    It is awaited by the request's own task, which whoever ends the waiting cancels: an answer goes straight to who writes it."""
    task = asyncio.current_task()
    assert task is not None
    ended = gone = False

    def end(_: object = None) -> None:
        nonlocal ended
        if not ended:
            ended = True
            task.cancel()

    def leave() -> None:
        nonlocal gone
        gone = True
        end()

    try:
        with stopping.telling(end), leaving(call, leave):
            return await asked
    except asyncio.CancelledError:
        if not ended or task.uncancel():  # somebody else has cancelled it
            raise
        if gone:
            raise Refusal(400, "the client has gone; nothing stays claimed") from None
        return None


@contextmanager
def leaving(call: Call, leave: Callable[[], None]) -> Iterator[None]:
    """Meanwhile `leave` is called when the client closes the connection; at once if it has done so already."""
    cycle = getattr(call.receive, "__self__", None)
    if isinstance(cycle, Cycle) and not cycle.more_body:  # one of ours, and nothing of the request is still to come
        cycle.flow.resume_reading()  # a request behind it has stopped that, and then nobody would see the client leave
        cycle.leaving = leave
        late = asyncio.get_running_loop().call_soon(leave) if cycle.disconnected else None
        try:
            yield
        finally:
            cycle.leaving = None
            if late is not None:
                late.cancel()
        return
    watching = asyncio.ensure_future(_gone(call))
    watching.add_done_callback(end := lambda _: leave())
    try:
        yield
    finally:
        watching.remove_done_callback(end)
        watching.cancel()


async def _gone(call: Call) -> None:
    """Ends when the client closes the connection."""
    while (await call.receive())["type"] != "http.disconnect":
        pass


def _bounded(what: list[Any]) -> list[Any]:
    if not 1 <= len(what) <= BATCH:
        raise BadValue(f"give 1 to {BATCH} receipts, not {len(what)}; nothing was done")
    return what


def _answers(answers: list[bool]) -> Response:
    if not any(answers):
        text = "no lease of these is valid any more: others may hold the jobs, or they have ended; nothing was changed"
        return problem(409, text, "LeaseLost", answers=answers)
    return said({"answers": answers})
