"""The board: where waiting processes note the addresses at which they can be rung. Kept in the store, so that all who share it see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Board(Protocol):
    """What an engine keeps of those who wait: rows of (queue, address, until), in a table of its own.

    Each call is its own small transaction, seen by others when it answers. Raises StoreError when the engine fails. An address is
    text of at most 96 characters (`address.LONGEST`) and is not to be understood. Rows whose time is up are passed over, and removed now
    and then.
    """

    def announce(self, address: str, queues: Sequence[str], lifetime: float) -> None:
        """This address waits for jobs of these queues, for `lifetime` seconds from now by the store's clock. Said again, it replaces what
        was said."""
        ...

    def withdraw(self, address: str) -> bool:
        """Take the address off, for all of its queues. True for the one caller who did; False when it did not stand there any more."""
        ...

    def waiting(self, queues: Sequence[str], limit: int) -> list[str]:
        """Up to `limit` addresses that wait for any of these queues, each once. Changes nothing; cheap when nobody waits."""
        ...
