"""The notes of a Redis store: one hash of facts, one sorted set of their ends."""

from __future__ import annotations

from collections.abc import Callable

from redis.crc import key_slot

from ...demands import check_note, check_note_key
from .hub import Hub
from .records import micro
from .rooms import Rooms
from .scripts import Argument, Request, script


class RedisNotes:
    """Small facts with a lifetime, by the store's clock."""

    def __init__(self, hub: Hub, rooms: Rooms, head: Callable[[], tuple[Argument, ...]]) -> None:
        self._hub = hub
        self._keys = rooms.notes
        self._slot = key_slot(rooms.notes[0])
        self._head = head

    def note(self, key: str, value: bytes, lifetime: float) -> None:
        check_note(key, value, lifetime)
        self._ask("n", key, value, micro(lifetime) or 1)

    def notes(self, prefix: str) -> dict[str, bytes]:
        found = self._ask("l", prefix.encode(errors="replace"))
        return dict(sorted((name.decode(), value) for name, value in zip(found[::2], found[1::2], strict=True)))

    def forget(self, key: str) -> bool:
        check_note_key(key)
        return bool(self._ask("f", key))

    def _ask(self, *args: Argument) -> list[bytes]:
        request = Request(script("note"), self._keys, (*self._head(), *args), self._slot)
        found: list[bytes] = self._hub.ask([request])[0]
        return found
