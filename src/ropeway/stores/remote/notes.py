"""The notes of the server's store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...demands import check_note, check_note_key


class RemoteNotes:
    """Notes over HTTP. `call` is the store's."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def note(self, key: str, value: bytes, lifetime: float) -> None:
        check_note(key, value, lifetime)
        self._call("note", key, value, lifetime)

    def notes(self, prefix: str) -> dict[str, bytes]:
        found: dict[str, bytes] = self._call("notes", prefix)
        return found

    def forget(self, key: str) -> bool:
        done: bool = self._call("forget", check_note_key(key))
        return done
