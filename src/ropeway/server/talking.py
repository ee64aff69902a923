"""WebSocket: put, claim, settle, publish and listen as messages of JSON, many at once on one connection.

    -> {"n": 1, "op": "put", "queue": "mails", "body": {"to": "ada"}, "priority": 10}
    <- {"n": 1, "id": "01a1..."}
    -> {"n": 2, "op": "claim", "queue": "mails", "wait": 60}
    <- {"n": 2, "jobs": [{"id": ..., "receipt": ..., "body": ...}]}
    -> {"n": 3, "op": "ack", "receipts": ["..."]}
    <- {"n": 3, "answers": [true]}
    -> {"n": 4, "op": "subscribe", "topics": ["orders.*"]}
    <- {"n": 4, "listening": true}
    <- {"n": 4, "message": {"topic": "orders.created", "body": ...}}      and {"n": 4, "missed": 12} for what did not come
    -> {"n": 5, "op": "publish", "topic": "orders.paid", "body": {"id": 1}}
    <- {"n": 5, "id": "01a1..."}
    -> {"n": 6, "op": "unsubscribe", "of": 4}
    <- {"n": 6, "listening": false}

`n` is the caller's own number and comes back with the answer, which may come in any order. A refusal is {"n", "problem"}. What is claimed
here and not settled when the connection ends goes back at once, uncounted: a worker that is gone is seen in no time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
from msgspec import Struct
from starlette.websockets import WebSocketDisconnect

from ..aio import facade
from ..broker import Broker
from ..codec import encode_body
from ..durations import seconds
from ..errors import BadValue, RopewayError
from ..job import Attempt
from ..names import check_name, shown
from ..store import Ack, Handback
from ..topics import check_patterns
from .asking import BATCH
from .doors import SOCKET, Door, Talk
from .grants import Role
from .lasting import ALIVE, NO_LONGER
from .lending import LONGEST_POLL, SHORTEST_LEASE
from .lents import rows
from .news import Client, News
from .problems import FAULT, Refusal, problem_of
from .stopping import Stopping
from .topics import may_listen, may_publish

log = logging.getLogger("ropeway.server")

OPEN = 100  # messages of one connection that may be worked on at once
EARS = 20  # subscriptions of one connection
OPS = ("put", "claim", "ack", "nack", "bury", "extend", "publish", "subscribe", "unsubscribe")

Span = float | str


class Message(Struct, forbid_unknown_fields=True):
    """What a client may say."""

    op: str
    n: int = 0
    queue: str = ""
    body: Any = None
    headers: dict[str, str] = {}
    priority: int | None = None
    delay: Span = 0
    key: str | None = None
    ttl: Span | None = None
    keep: Span | None = None
    lane: str | None = None
    task: str | None = None
    receipts: list[str] = []
    result: Any = None
    error: str = ""
    limit: int = 1
    lease: Span = 30.0
    wait: Span = 0
    topic: str = ""
    topics: list[str] = []
    of: int = 0


class Numbered(Struct):
    """What is left of a message that is none: whose answer the refusal is."""

    n: int = 0


_decode = msgspec.json.Decoder(Message).decode
_decode_number = msgspec.json.Decoder(Numbered).decode
_encode = msgspec.json.Encoder().encode


def doors(broker: Broker, stopping: Stopping, news: News) -> list[Door]:
    """The doors of this family."""

    async def talk(talk: Talk) -> None:
        await talk.accept()
        await Conversation(broker, stopping, talk, news).run()

    return [Door(SOCKET, "/v1/ws", None, talk, says=f"{', '.join(OPS)} as messages", lasts=True)]


class Conversation:
    """One connection."""

    def __init__(self, broker: Broker, stopping: Stopping, talk: Talk, news: News) -> None:
        self._broker = broker
        self._side = facade(broker.link)
        self._stopping = stopping
        self._talk = talk
        self._news = news
        self._ears: dict[int, asyncio.Task[None]] = {}  # by the number of what began it
        self._held: dict[str, None] = {}  # receipts that were given out here and not settled
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Until either side ends."""
        ending = asyncio.ensure_future(self._stopping.wait())
        reading = asyncio.ensure_future(self._read())
        try:
            while not (ending.done() or reading.done()) and self._talk.still():
                await asyncio.wait((ending, reading), timeout=ALIVE, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                code, why = (1001, "the server stops") if ending.done() else (1008, NO_LONGER)
                await self._talk.close(code, why)
        finally:
            open_now = (ending, reading, *self._tasks, *self._ears.values())
            for task in open_now:
                task.cancel()
            await asyncio.gather(*open_now, return_exceptions=True)
            if self._held:
                await self._side.settle("nack", [Handback(receipt, restore=True) for receipt in self._held])

    async def _read(self) -> None:
        while True:
            said = await self._talk.receive()
            if said["type"] == "websocket.disconnect":
                return
            if not self._talk.still():
                await self._talk.close(1008, NO_LONGER)
                return
            if (text := said.get("text")) is None:
                await self._refuse(0, "this is no text; a message is JSON, sent as text")
                continue
            try:
                message = _decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                await self._refuse(_number(text), f"this is no message: {error}")
                continue
            while len(self._tasks) >= OPEN:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.ensure_future(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _refuse(self, n: int, why: str) -> None:
        await self._say({"n": n, "problem": {"status": 400, "detail": f"{why}; nothing was done"}})

    async def _answer(self, message: Message) -> None:
        try:
            told = await self._do(message)
        except Refusal as refusal:
            told = {"problem": {"status": refusal.status, "detail": str(refusal)}}
        except RopewayError as error:
            told = {"problem": problem_of(error)}
        except Exception:
            log.exception("%s over a WebSocket failed", shown(message.op))
            told = {"problem": FAULT}
        await self._say({"n": message.n, **told})

    async def _do(self, message: Message) -> dict[str, Any]:
        if message.op == "put":
            return await self._put(message)
        if message.op == "claim":
            return await self._claim(message)
        if message.op == "publish":
            return await self._publish(message)
        if message.op == "subscribe":
            return await self._subscribe(message)
        if message.op == "unsubscribe":
            return self._unsubscribe(message)
        if message.op not in OPS:
            raise BadValue(f"{shown(message.op)} is no op; there are: {' '.join(OPS)}")
        self._allow(Role.CONSUME)
        if not 1 <= len(message.receipts) <= BATCH:
            raise BadValue(f"give 1 to {BATCH} receipts, not {len(message.receipts)}; nothing was done")
        return {"answers": await self._settle(message)}

    async def _put(self, message: Message) -> dict[str, Any]:
        queue = self._broker.queue(check_name(message.queue))
        self._allow(Role.PRODUCE, message.queue)
        body, kind = (b"", "application/octet-stream") if message.body is None else encode_body(message.body)
        options: dict[str, Any] = {name: value for name in _OPTIONS if (value := getattr(message, name)) not in (None, {}, 0)}
        handle = await queue.aput_encoded(body, kind, **options)
        return {"id": handle.id}

    async def _publish(self, message: Message) -> dict[str, Any]:
        topic = self._broker.topic(message.topic)
        may_publish(self._talk.grant, message.topic)
        body, kind = (b"", "application/octet-stream") if message.body is None else encode_body(message.body)
        return {"id": (await topic.apublish_encoded(body, kind, headers=message.headers)).id}

    async def _subscribe(self, message: Message) -> dict[str, Any]:
        patterns = check_patterns(message.topics)
        may_listen(self._talk.grant, patterns)
        if message.n in self._ears or len(self._ears) >= EARS:
            raise BadValue(f"give each subscription a number n of its own, and {EARS} of them at most; nothing was done")
        client = await self._news.join(patterns, self._talk.grant)
        ear = self._ears[message.n] = asyncio.ensure_future(self._listen(message.n, client))
        ear.add_done_callback(lambda _: self._news.leave(client))  # also when it was ended before it began
        return {"listening": True}

    async def _listen(self, n: int, client: Client) -> None:
        while True:
            await client.news.wait()
            missed, some = client.take()
            if missed:
                await self._say({"n": n, "missed": missed})
            for item in some:
                await self._say({"n": n, "message": msgspec.Raw(item.row(exact=False))})

    def _unsubscribe(self, message: Message) -> dict[str, Any]:
        ear = self._ears.pop(message.of, None)
        if ear is None:
            raise BadValue(f"there is no subscription {message.of}; nothing was done")
        ear.cancel()
        return {"listening": False}

    async def _claim(self, message: Message) -> dict[str, Any]:
        self._allow(Role.CONSUME, check_name(message.queue))
        lease, wait = seconds(message.lease, "lease"), seconds(message.wait, "wait")
        if not 1 <= message.limit <= BATCH:
            raise BadValue(f"limit is 1 to {BATCH}, not {message.limit}; nothing was claimed")
        if lease < SHORTEST_LEASE or wait > LONGEST_POLL:
            raise BadValue(f"a lease is at least {SHORTEST_LEASE:g} s, a wait at most {LONGEST_POLL:g} s; nothing was claimed")
        lents = await self._side.claim(message.queue, message.limit, lease, wait, bound=False)
        self._held.update(dict.fromkeys(lent.receipt for lent in lents))
        return {"jobs": rows(lents)}

    async def _settle(self, message: Message) -> list[bool]:
        if message.op == "extend":
            return await self._side.settle("extend", message.receipts, seconds(message.lease, "lease"))
        if message.op == "ack":
            result, kind = (None, "") if message.result is None else (_encode(message.result), "application/json")
            keep = None if message.keep is None else seconds(message.keep, "keep")
            what: list[Any] = [Ack(receipt, result, kind, keep) for receipt in message.receipts]
        else:
            now, delay = self._broker.link.clock.now(), seconds(message.delay, "delay")
            outcome = "discarded" if message.op == "bury" else "failed" if message.error else "returned"
            attempt = Attempt(0, now, now, self._talk.grant.name, outcome, message.error[:2000])
            what = [Handback(receipt, delay, attempt) for receipt in message.receipts]
        answers = await self._side.settle(message.op, what)
        for receipt in message.receipts:
            self._held.pop(receipt, None)
        return answers

    def _allow(self, role: Role, queue: str | None = None) -> None:
        if not self._talk.grant.may(role, queue):
            raise Refusal(403, f"this token has no right to {role}{f' on {shown(queue)}' if queue else ''}; nothing was done")

    async def _say(self, value: dict[str, Any]) -> None:
        text = _encode(value)
        if self._talk.whole(text):
            return
        async with self._sending:
            try:
                await self._talk.send_text(text.decode())
            except (RuntimeError, WebSocketDisconnect):
                return  # it has ended: what was claimed goes back


def _number(text: str) -> int:
    try:
        return _decode_number(text).n
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0


_OPTIONS = ("headers", "priority", "delay", "key", "ttl", "keep", "lane", "task")
