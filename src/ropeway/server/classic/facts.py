"""What the old routes count and remember beside the jobs: ends by queue and by worker, policies, virtual queues. Kept as notes."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from ...broker import Broker
from ...demands import check_note_key
from ...durations import LONGEST
from ...errors import BadName, RopewayError

FLUSH = 1.0  # seconds after which counters are written down; what a server has counted since is lost when it ends, and nothing else
DAY = 86400.0
LIFETIMES = {"worker": DAY, "read": 7 * DAY}  # of what would else stay for ever: workers that left without a word, jobs that others took
HEARD = 1000  # workers whose last word is remembered
_HEAD = "classic/"


class Tally(Struct):
    """Ends, as one queue or one worker has seen them."""

    processed: int = 0
    failed: int = 0
    started: float = 0.0  # of a worker: when it registered
    queues: list[str] = []


class Facts:
    """Read from the notes when first asked for, written back a moment after they have changed."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._known: dict[str, Any] = {}
        self._changed: set[str] = set()
        self._flushing: asyncio.Task[None] | None = None
        self._heard: dict[str, float] = {}

    def now(self) -> float:
        """The moment, as the store's side has it."""
        return self._broker.link.clock.now()

    async def tally(self, kind: str, name: str) -> Tally:
        """The counters of a queue ("counts") or a worker ("worker"), to be changed in place and then `touch`ed."""
        found = await self.look(kind, name)
        tally: Tally = self._known.setdefault(f"{_HEAD}{kind}/{name}", found)
        return tally

    async def look(self, kind: str, name: str) -> Tally:
        """The counters as they stand; only looked at, so that asking for many names fills nothing."""
        key = f"{_HEAD}{kind}/{name}"
        known: Tally | None = self._known.get(key)
        if known is not None:
            return known
        note = (await asyncio.to_thread(self._broker.notes.notes, key)).get(key)
        return _read(note, Tally) or Tally()

    async def alive(self, worker: str) -> None:
        """It has asked for a job: its note is written anew now and then, so that it stays on the list while it gets none."""
        now = self.now()
        if not worker or now - self._heard.get(worker, 0.0) < DAY / 4:
            return
        if len(self._heard) >= HEARD:
            self._heard.clear()
        self._heard[worker] = now
        if await self._registered(worker):
            await self.tally("worker", worker)
            self.touch("worker", worker)

    async def count(self, queue: str, worker: str = "", *, processed: int = 0, failed: int = 0) -> None:
        """So many jobs of the queue have ended, as that worker says. One that has not registered is not counted: anyone may write any
        name into a header."""
        for kind, name in (("counts", queue), ("worker", worker)):
            if not name or (kind == "worker" and not await self._registered(name)):
                continue
            tally = await self.tally(kind, name)
            tally.processed += processed
            tally.failed += failed
            if kind == "worker" and queue not in tally.queues:
                tally.queues = [*tally.queues, queue][-100:]
            self.touch(kind, name)

    def touch(self, kind: str, name: str) -> None:
        """It has changed."""
        self._changed.add(f"{_HEAD}{kind}/{name}")
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.ensure_future(self._flush())

    async def _flush(self) -> None:
        while self._changed:  # also by what comes while these are written
            await asyncio.sleep(FLUSH)
            changed, self._changed = self._changed, set()
            for key in changed:
                if key in self._known:
                    await self._write(key)

    async def _write(self, key: str) -> None:
        lifetime = LIFETIMES.get(key.removeprefix(_HEAD).partition("/")[0])
        try:
            await asyncio.to_thread(self._broker.notes.note, key, msgspec.json.encode(self._known[key]), lifetime or LONGEST)
        except RopewayError:
            self._changed.add(key)  # counters are not worth a failure
        if lifetime and key not in self._changed:
            self._known.pop(key, None)  # the note is what ends

    async def _registered(self, worker: str) -> bool:
        """Here, or before this server began."""
        key = f"{_HEAD}worker/{worker}"
        if key in self._known:
            return True
        try:
            check_note_key(key)
        except BadName:
            return False
        return key in await asyncio.to_thread(self._broker.notes.notes, key)

    async def forget(self, kind: str, name: str) -> bool:
        """Drop it; whether it was there."""
        key = f"{_HEAD}{kind}/{name}"
        here = self._known.pop(key, None) is not None
        self._heard.pop(name, None)
        self._changed.discard(key)
        return await asyncio.to_thread(self._broker.notes.forget, key) or here

    async def names(self, kind: str) -> list[str]:
        """All that are known of a kind."""
        head = f"{_HEAD}{kind}/"
        noted = await asyncio.to_thread(self._broker.notes.notes, head)
        return sorted({key.removeprefix(head) for key in (*noted, *self._known) if key.startswith(head)})

    async def text(self, kind: str, name: str) -> list[str]:
        """A list of names that is kept: the members of a virtual queue, the policy of a queue."""
        key = f"{_HEAD}{kind}/{name}"
        note = (await asyncio.to_thread(self._broker.notes.notes, key)).get(key)
        return _read(note, list[str]) or []

    async def write(self, kind: str, name: str, value: list[str]) -> None:
        """Keep such a list."""
        await asyncio.to_thread(self._broker.notes.note, f"{_HEAD}{kind}/{name}", msgspec.json.encode(value), LONGEST)


def _read(note: bytes | None, kind: Any) -> Any:
    try:
        return None if note is None else msgspec.json.decode(note, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
