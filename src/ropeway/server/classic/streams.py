"""Streams: /c/ holds a GET open and writes each new job as a line of JSON. By policy each stream gets each job, or they take turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw, Struct
from starlette.responses import Response, StreamingResponse

from ...aio import facade
from ...broker import Broker
from ...errors import RopewayError
from ...names import check_name
from ...store import Ack, Handback, Lent
from .. import asking
from ..answers import said
from ..doors import SOCKET, Call, Door, Talk
from ..grants import Role
from ..lasting import ALIVE
from ..stopping import Stopping
from .facts import Facts
from .plain import FORM, LEASE, error, form, kind_of, plainly

POLICIES = ("broadcast", "roundrobin")
LINE = 100  # jobs on their way to one stream; a reader that is slower holds the queue up, and nothing piles up here
PATIENCE = 10.0  # seconds that a reader may take for one job
POLL = 5.0


class Policy(Struct):
    """The body of POST /p/."""

    policy: str


class Item:
    """One job on its way to streams: settled when the last of them has written it, or gone."""

    def __init__(self, line: bytes, readers: int) -> None:
        self.line = line
        self.left = readers
        self.written = 0
        self.over = asyncio.Event()

    def wrote(self) -> None:
        """One stream has written it."""
        self.written += 1
        self.passed()

    def passed(self) -> None:
        """One stream is done with it, or gone."""
        self.left -= 1
        if self.left <= 0:
            self.over.set()


class Stream:
    """One reader."""

    def __init__(self) -> None:
        self.line: asyncio.Queue[Item | None] = asyncio.Queue(LINE)


class Feeds:
    """All streams of a server, and for each queue with any the pump that claims for them."""

    def __init__(self, broker: Broker, stopping: Stopping, facts: Facts) -> None:
        self._side = facade(broker.link)
        self._stopping = stopping
        self._facts = facts
        self._streams: dict[str, list[Stream]] = {}
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._turn: dict[str, int] = {}

    async def lines(self, queue: str, still: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """Each new job as a line, for as long as somebody reads and may. A job is gone once it was written."""
        stream, item = Stream(), None
        coming: asyncio.Future[Item | None] | None = None
        self._streams.setdefault(queue, []).append(stream)
        if queue not in self._pumps or self._pumps[queue].done():
            self._pumps[queue] = asyncio.ensure_future(self._pump(queue))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while True:
                coming = coming or asyncio.ensure_future(stream.line.get())
                await asyncio.wait((coming, stopping), timeout=ALIVE, return_when=asyncio.FIRST_COMPLETED)
                if coming.done():
                    item, coming = coming.result(), None
                    if item is None:
                        return
                if self._stopping.begun or not still():
                    return
                if item is None:
                    continue
                yield item.line
                item.wrote()
                item = None
        finally:
            stopping.cancel()
            if coming is not None and not coming.cancel():
                item = coming.result()
            if stream in (streams := self._streams.get(queue, [])):
                streams.remove(stream)
            if not streams:
                self._streams.pop(queue, None)
                self._turn.pop(queue, None)
            if item is not None:
                item.passed()
            while not stream.line.empty():
                if (rest := stream.line.get_nowait()) is not None:
                    rest.passed()

    def shut(self, queue: str) -> None:
        """Close all streams of the queue."""
        for stream in self._streams.get(queue, []):
            while stream.line.full():
                if (item := stream.line.get_nowait()) is not None:
                    item.passed()
            stream.line.put_nowait(None)

    async def _pump(self, queue: str) -> None:
        while self._streams.get(queue) and not self._stopping.begun:
            try:
                lents = await self._side.claim(queue, 10, LEASE, POLL, patient=True, bound=False)
                for lent in lents:
                    await self._carry(queue, lent)
            except RopewayError:
                await asyncio.sleep(1.0)  # switched off, or the store is away
        if self._pumps.get(queue) is asyncio.current_task():
            del self._pumps[queue]

    async def _carry(self, queue: str, lent: Lent) -> None:
        """To all, or to whose turn it is; done when one at least has written it, else it goes back."""
        policy = await self._facts.text("policy", queue)
        streams = list(self._streams.get(queue, []))
        if streams and policy[:1] == ["roundrobin"]:
            turn = self._turn[queue] = self._turn.get(queue, -1) + 1
            streams = [streams[turn % len(streams)]]
        item = Item(_line(lent), len(streams))
        try:
            async with asyncio.timeout(PATIENCE):
                for stream in streams:
                    await stream.line.put(item)
                if streams:
                    await item.over.wait()
        except TimeoutError:
            pass
        if item.written:
            await self._side.settle("ack", [Ack(lent.receipt)])
            await self._facts.count(queue, processed=1)
        else:
            await self._side.settle("nack", [Handback(lent.receipt, restore=True)])


def doors(feeds: Feeds, facts: Facts) -> list[Door]:
    """The doors of this family."""

    async def stream(call: Call) -> Response:
        return StreamingResponse(feeds.lines(check_name(call.queue), call.still), media_type="application/x-ndjson")

    async def feed(talk: Talk) -> None:
        check_name(talk.queue)
        await talk.accept()

        async def echo() -> None:
            while True:
                await talk.send_text(await talk.receive_text())

        async def carry() -> None:
            lines = feeds.lines(talk.queue, talk.still)
            try:
                async for line in lines:
                    await talk.send_text(line.decode().rstrip())
            finally:
                await lines.aclose()

        both = [asyncio.ensure_future(one) for one in (echo(), carry())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            with suppress(RuntimeError):  # it is closed already
                await talk.close()

    async def policy(call: Call) -> Response:
        known = await facts.text("policy", check_name(call.queue))
        return said({"queue": call.queue, "policy": known[0] if known else POLICIES[0]})

    async def set_policy(call: Call) -> Response:
        if kind_of(call) == FORM:
            fields = await form(call)
            value: object = fields.get("policy", fields.get("value"))
        else:
            value = (await asking.json(call, Policy)).policy
        if value not in POLICIES:
            return error("policy is broadcast or roundrobin", 400)
        await facts.write("policy", check_name(call.queue), [value])
        return said({"queue": call.queue, "policy": value})

    return [
        Door("GET", "/c/{q}", Role.CONSUME, plainly(stream), says="Each new job as a line, for as long as it is held open", lasts=True),
        Door(SOCKET, "/ws/{q}", Role.CONSUME, feed, says="The same over WebSocket; what is sent is echoed", lasts=True),
        Door("GET", "/p/{q}", Role.OBSERVE, plainly(policy), says="The policy of a queue's streams", changes=False),
        Door("POST", "/p/{q}", Role.OPERATE, plainly(set_policy), says="Set it: broadcast or roundrobin"),
    ]


def _line(lent: Lent) -> bytes:
    job = lent.job
    body = job.body if job.source is None else job.source.read()
    try:
        msgspec.json.decode(body)
        value: Any = Raw(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = body.decode(errors="replace")
    return msgspec.json.encode({"key": f"{job.queue}:{job.id}", "value": value}) + b"\n"
