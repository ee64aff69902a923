"""The past: what ended, minute by minute, and how long it took."""

from __future__ import annotations

import asyncio
from threading import Lock

import msgspec
from starlette.responses import Response

from ..broker import Broker
from ..history.reading import gather, rows, span_of, step_of
from ..history.sums import Cell, Sums
from ..link import Link
from ..names import check_name, shown
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Role
from .problems import Refusal

FRESH = 2.0  # seconds for which what was read is good for others who ask: many pages may be open
MOST = 8  # spans that are remembered


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""
    recent = Recent(broker.link)

    async def history(call: Call) -> Response:
        given = asking.query(call, ("span", "queue", "task"))
        span = span_of(given.get("span", "1h"))
        queue, task = given.get("queue") or None, given.get("task") or None
        if queue is not None and not call.grant.may(Role.OBSERVE, check_name(queue)):
            raise Refusal(403, f"this token has no right to observe {shown(queue)}; nothing was done")
        cells = await asyncio.to_thread(recent.gather, span)
        seen = {cell: sums for cell, sums in cells.items() if call.grant.may(Role.OBSERVE, cell[1])}
        return said({"step": step_of(span), "rows": [msgspec.structs.asdict(row) for row in rows(seen, queue, task)]})

    says = "What ended, by minute, queue and task; by hour for a span over 6h"
    return [Door("GET", "/v1/history", Role.OBSERVE, history, says=says, changes=False)]


class Recent:
    """The history as it was read a moment ago: whoever asks meanwhile is given the same, and two never read at once."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = Lock()
        self._known: dict[float, tuple[float, dict[Cell, Sums]]] = {}

    def gather(self, span: float) -> dict[Cell, Sums]:
        """All cells of the last `span` seconds; not to be changed. Blocks on the store."""
        with self._lock:
            now = self._link.clock.boot()
            known = self._known.pop(span, None)
            if known is None or now - known[0] >= FRESH:
                known = now, gather(self._link, span)
            self._known[span] = known
            while len(self._known) > MOST:
                del self._known[next(iter(self._known))]
            return known[1]
