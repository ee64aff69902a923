"""Jobs that wait for others: `?depends=a,other:b` names unique keys, here or in another queue; the job runs once all of them have ended.

Such a job lies in its queue, delayed for ever, with a note that says what it waits for. While any waits, the server looks each second
whether the keys are still held, so it does not matter where or when they ended, or whether a server was there: one that starts looks first.
What nobody holds has ended. A job that was delayed as well waits for its moment too.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from ...broker import Broker
from ...durations import LONGEST
from ...errors import BadValue, RopewayError, Unsupported
from ...job import JSON, State
from ...names import check_key, check_name
from ...store import Query
from ..stopping import Stopping

_LIVE = frozenset({State.READY, State.DELAYED, State.RUNNING})
_HEAD = "classic/after/"
LOOK = 1.0  # seconds between two looks while something waits
MOST = 100  # keys that one job may wait for


class Held(Struct):
    """What a note says: a job of that queue waits until nobody holds these keys, and until that moment."""

    queue: str
    keys: list[tuple[str, str]]  # queue and key
    due: float = 0.0


class Waiting:
    """What waits, and the look that frees it."""

    def __init__(self, broker: Broker, stopping: Stopping) -> None:
        self._broker = broker
        self._stopping = stopping
        self._watch: asyncio.Task[None] | None = None

    async def put(self, queue: str, body: bytes, depends: str, options: dict[str, Any]) -> None:
        """Put a job that waits for those keys."""
        keys = [_key(queue, word) for word in depends.split(",") if word]
        if not 1 <= len(keys) <= MOST:
            raise BadValue(f"a job depends on 1 to {MOST} others; nothing was stored")
        target = self._broker.queue(queue)
        job = target.job(body, JSON, **{**options, "delay": LONGEST})
        note = msgspec.json.encode(Held(queue, keys, self._broker.link.clock.now() + options.get("delay", 0.0)))
        await asyncio.to_thread(self._broker.notes.note, _HEAD + job.id, note, LONGEST)  # before the job: it must not wait unnoticed
        await target.aput_jobs([job])
        self.begin()

    def begin(self) -> None:
        """Look from now on; called whenever something may wait."""
        if self._watch is None or self._watch.done():
            self._watch = asyncio.ensure_future(self._watching())

    async def of(self, queue: str) -> list[str]:
        """The ids of those that wait in a queue."""
        self.begin()
        return [job_id for job_id, one in (await self._notes()).items() if one.queue == queue]

    async def release(self, queue: str) -> int:
        """Let all that wait there run now."""
        ids = await self.of(queue)
        return await self._free(queue, ids)

    async def drop(self, queue: str) -> int:
        """Delete all that wait there."""
        ids = await self.of(queue)
        count = await asyncio.to_thread(self._broker.store.delete, Query(queues=(queue,), ids=tuple(ids), limit=None)) if ids else 0
        await self._forget(ids)
        return count

    async def forget(self, queue: str) -> None:
        """The queue was purged: nothing waits there any more."""
        await self._forget(await self.of(queue))

    async def _watching(self) -> None:
        while not self._stopping.begun:
            try:
                notes = await self._notes()
                for job_id, one in notes.items():
                    if one.due <= self._broker.link.clock.now() and not await self._held(one.keys):
                        await self._free(one.queue, [job_id])
                left = bool(notes)
            except Unsupported:
                return  # without notes nothing waits
            except RopewayError:
                left = True  # the store is away: look again
            if not left:
                return
            await asyncio.sleep(LOOK)

    async def _held(self, keys: list[tuple[str, str]]) -> bool:
        for queue, key in keys:
            if await asyncio.to_thread(self._broker.store.browse, Query(queues=(queue,), states=_LIVE, key=key, limit=1)):
                return True
        return False

    async def _free(self, queue: str, ids: list[str]) -> int:
        """Ready now, and then forgotten: killed in between, it is found again, and is ready already."""
        delayed = Query(queues=(queue,), ids=tuple(ids), states=frozenset({State.DELAYED}), limit=None)
        count = await asyncio.to_thread(self._broker.store.requeue, delayed) if ids else 0
        await self._forget(ids)
        return count

    async def _notes(self) -> dict[str, Held]:
        notes = await asyncio.to_thread(self._broker.notes.notes, _HEAD)
        return {key.removeprefix(_HEAD): held for key, note in notes.items() if (held := _read(note)) is not None}

    async def _forget(self, ids: list[str]) -> None:
        for job_id in ids:
            await asyncio.to_thread(self._broker.notes.forget, _HEAD + job_id)


def _read(note: bytes) -> Held | None:
    """None for a note that is none: one that stands there must not keep the others waiting."""
    try:
        return msgspec.json.decode(note, type=Held)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _key(queue: str, word: str) -> tuple[str, str]:
    """`key` in this queue, or `other:key`."""
    other, colon, key = word.partition(":")
    return (check_name(other), check_key(key)) if colon else (queue, check_key(word))
