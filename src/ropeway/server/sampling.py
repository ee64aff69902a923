"""How the queues stand, live: one sampler for all who look, a snapshot first and then, each second, only what has changed.

The sampler looks once a second for as long as anybody listens; a page that is hidden closes its stream and costs nothing. Each event has a
number. Who comes back with the last one that it saw is told what has changed since, if that is not too long ago, and else all of it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from ..broker import Broker
from ..cli.rows import queue_row
from ..errors import RopewayError
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

    def of(self, queue: str) -> Change | None:
        """What of it is about that queue; None when nothing is."""
        rows = {queue: self.rows[queue]} if queue in self.rows else {}
        gone = [queue] if queue in self.gone else []
        return Change(self.number, rows, gone, self.failure) if rows or gone or self.failure else None

    def told(self, grant: Grant) -> bytes:
        """As JSON, for what this grant may see."""
        rows = [row for name, row in self.rows.items() if grant.may(Role.OBSERVE, name)]
        gone = [name for name in self.gone if grant.may(Role.OBSERVE, name)]
        return msgspec.json.encode({"queues": rows, "gone": gone, "failure": self.failure})


def event(kind: str, mark: str, data: bytes) -> bytes:
    """A server-sent event; `mark` is what its hearer comes back with, none where it is empty."""
    head = f"id: {mark}\nevent: {kind}\n" if mark else f"event: {kind}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


class Sampler:
    """Looks while somebody listens."""

    def __init__(self, broker: Broker, stopping: Stopping) -> None:
        self._broker = broker
        self._stopping = stopping
        self._listeners: set[asyncio.Queue[Change]] = set()
        self._watchers: set[Callable[[Change], None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._changes: deque[Change] = deque(maxlen=KEPT)
        self._number = 0
        self.life = os.urandom(6).hex()  # numbers of another life of this server mean nothing here
        self.rows: Rows = {}

    async def events(self, grant: Grant, last: int, still: Callable[[], bool]) -> AsyncIterator[bytes]:
        """The stream of one listener, for what its grant may see."""
        line: asyncio.Queue[Change] = asyncio.Queue(BEHIND)
        await self._begin()
        self._listeners.add(line)
        stopping = asyncio.ensure_future(self._stopping.wait())
        coming: asyncio.Future[Change] | None = None
        try:
            missed = self.since(last)
            if missed is not None:
                for change in missed:
                    yield self._event("change", change, grant)
            else:
                yield self._event("snapshot", self.whole, grant)
            while self._broker.link.clock.now() < grant.expires and still():
                coming = asyncio.ensure_future(line.get())
                await asyncio.wait((coming, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    return
                if line not in self._listeners:
                    return  # it was too slow: its browser comes back, and is told all of it
                yield self._event("change", coming.result(), grant)
        finally:
            stopping.cancel()
            if coming is not None:
                coming.cancel()  # also when the listener has left
            self._listeners.discard(line)

    @property
    def whole(self) -> Change:
        """All of it, as it stood at the last look."""
        return Change(self._number, self.rows, [])

    def since(self, last: int) -> list[Change] | None:
        """What has changed since the change of that number; None when that is too long ago to be known, or never was."""
        missed = [change for change in self._changes if change.number > last]
        return missed if 0 < last <= self._number and len(missed) == self._number - last else None

    async def watch(self, tell: Callable[[Change], None]) -> None:
        """Call this with each change from now on; there has been a look by then."""
        self._watchers.add(tell)
        await self._begin()

    def unwatch(self, tell: Callable[[Change], None]) -> None:
        self._watchers.discard(tell)

    async def _begin(self) -> None:
        """Look each second from now on. One task for all: one that sleeps still, since somebody left just now, goes on."""
        if self._task is None or self._task.done():
            await self._look()
            if self._task is None or self._task.done():
                self._task = asyncio.ensure_future(self._run())

    def _event(self, kind: str, change: Change, grant: Grant) -> bytes:
        """One event, with what this listener may see of it."""
        return event(kind, f"{self.life}-{change.number}", change.told(grant))

    async def _run(self) -> None:
        while (self._listeners or self._watchers) and not self._stopping.begun:
            await asyncio.sleep(EACH)
            change = await self._look()
            for tell in list(self._watchers):
                tell(change)
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
