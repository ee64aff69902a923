"""The second contract: small shared facts with a lifetime. Presence of workers, schedules, switches: no mechanism of their own."""

from __future__ import annotations

from typing import Protocol

NOTE_LIMIT = 64 * 1024


class Notes(Protocol):
    """Facts by key, each forgotten when its lifetime is over. Small (64 KiB), few (thousands), last writer wins.

    Keys are names (names.py) joined by slashes, such as `worker/host-1-77`. The store's clock decides what is over. Nothing
    in here is needed to keep a job safe.
    """

    def note(self, key: str, value: bytes, lifetime: float) -> None:
        """Write the fact, for `lifetime` seconds from now; a later note of the key replaces it whole."""
        ...

    def notes(self, prefix: str) -> dict[str, bytes]:
        """All facts that still live and whose key starts with the prefix, by key, sorted."""
        ...

    def forget(self, key: str) -> bool:
        """Drop the fact; False when there was none. Of several who drop it at the same moment one is told True."""
        ...
