"""Live numbers: one sampler for all who look, a snapshot first and then, each second, only what has changed. Server-sent events.

The sampler looks once a second for as long as anybody listens; a page that is hidden closes its stream and costs nothing. Each event has a
number. Who comes back with the last one that it saw is told what has changed since, if that is not too long ago, and else all of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

from ..broker import Broker
from ..cli.rows import queue_row
from ..errors import RopewayError
from . import asking
from .doors import Call, Door
from .grants import Grant, Role
from .stopping import Stopping

EACH = 1.0  # seconds between two looks
KEPT = 60  # changes that somebody may have missed
BEHIND = 30  # changes that a slow reader may have waiting before it is cut

Rows = dict[str, dict[str, Any]]


class Change(msgspec.Struct):
    """What one look has found: rows that differ, and names of queues that are gone."""

    number: int
    rows: Rows
    gone: list[str]
    failure: str = ""


class Sampler:
    """Looks while somebody listens."""

    def __init__(self, broker: Broker, stopping: Stopping) -> None:
        self._broker = broker
        self._stopping = stopping
        self._listeners: set[asyncio.Queue[Change]] = set()
        self._task: asyncio.Task[None] | None = None
        self._changes: deque[Change] = deque(maxlen=KEPT)
        self._number = 0
        self.rows: Rows = {}

    async def events(self, grant: Grant, last: int) -> AsyncIterator[bytes]:
        """The stream of one listener, for what its grant may see."""
        line: asyncio.Queue[Change] = asyncio.Queue(BEHIND)
        if not self._listeners or self._task is None or self._task.done():
            await self._look()
            self._task = asyncio.ensure_future(self._run())
        self._listeners.add(line)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            missed = [change for change in self._changes if change.number > last]
            if 0 < last <= self._number and len(missed) == self._number - last:
                for change in missed:
                    yield _event("change", change, grant)
            else:
                yield _event("snapshot", Change(self._number, self.rows, []), grant)
            while True:
                coming = asyncio.ensure_future(line.get())
                await asyncio.wait((coming, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    return
                if line not in self._listeners:
                    return  # it was too slow: its browser comes back, and is told all of it
                yield _event("change", coming.result(), grant)
        finally:
            stopping.cancel()
            self._listeners.discard(line)

    async def _run(self) -> None:
        while self._listeners and not self._stopping.begun:
            await asyncio.sleep(EACH)
            change = await self._look()
            for line in list(self._listeners):
                try:
                    line.put_nowait(change)
                except asyncio.QueueFull:
                    self._listeners.discard(line)

    async def _look(self) -> Change:
        try:
            counts = await self._broker.acounts()
        except RopewayError as error:
            return Change(self._number, {}, [], str(error))
        rows: Rows = {name: queue_row(name, one) for name, one in counts.items() if not name.startswith("_")}
        changed = {name: row for name, row in rows.items() if self.rows.get(name) != row}
        gone = [name for name in self.rows if name not in rows]
        self._number += 1
        self.rows = rows
        change = Change(self._number, changed, gone)
        self._changes.append(change)
        return change


def doors(broker: Broker, stopping: Stopping) -> list[Door]:
    """The doors of this family."""
    sampler = Sampler(broker, stopping)

    async def events(call: Call) -> Response:
        asking.query(call, ())
        seen = call.headers.get("last-event-id", "")
        last = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 16 else 0
        return StreamingResponse(sampler.events(call.grant, last), media_type="text/event-stream")

    return [Door("GET", "/v1/events", Role.OBSERVE, events, says="How the queues stand, live: server-sent events", changes=False)]


def _event(kind: str, change: Change, grant: Grant) -> bytes:
    """One event, with what this listener may see of it."""
    rows = [row for name, row in change.rows.items() if grant.may(Role.OBSERVE, name)]
    gone = [name for name in change.gone if grant.may(Role.OBSERVE, name)]
    data = msgspec.json.encode({"queues": rows, "gone": gone, "failure": change.failure})
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (change.number, kind.encode(), data)
