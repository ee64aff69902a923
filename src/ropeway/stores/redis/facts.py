"""The notes of a Redis store: one hash of facts, one sorted set of their ends."""

from __future__ import annotations

from redis.crc import key_slot

from ...demands import check_note, check_note_key
from .records import micro
from .scripts import Argument
from .way import Way


class RedisNotes:
    """Small facts with a lifetime, by the store's clock."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._keys = way.rooms.notes
        self._slot = key_slot(self._keys[0])

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
        found: list[bytes] = self._way.hub.ask([self._way.on("note", self._keys, self._slot, *args)])[0]
        return found
