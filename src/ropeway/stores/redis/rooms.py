"""The names of the keys: one queue, one hash tag, so that in a cluster all of a queue lies on one node."""

from __future__ import annotations

import re

from redis.crc import key_slot

from ...names import NAME_LIMIT, check_name, ended
from .scripts import Front

_RECEIPT = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,127})/([0-9a-f]{32})/([0-9a-f]{16})\Z", re.ASCII).match
MANY = 10_000
_ENDED = ended("")


class Room:
    """The keys of one queue, in the order that the scripts expect."""

    __slots__ = ("ends", "fronts", "group", "keys", "put_keys", "queue", "shares_ends", "slot")

    def __init__(self, stem: str, queue: str) -> None:
        self.queue = queue
        self.keys = tuple(f"{stem}:{{{queue}}}:{letter}".encode() for letter in "sbjwmrkhdelpf")
        self.group = self.keys[:12]  # of a script that is asked of many queues at once
        self.put_keys = self.keys[:5]  # all that a put without a unique key touches
        self.ends = self.keys[12]
        self.shares_ends = ended(queue) == ended("x" * NAME_LIMIT)  # its name is too long for a bell of ends of its own
        self.slot: int = key_slot(self.keys[0])
        self.fronts: dict[str, Front] = {}  # by script, for as long as the head is the same


class Rooms:
    """The rooms of one namespace. The names of all queues, and the notes, have keys of their own, with tags that no queue can have."""

    def __init__(self, namespace: str) -> None:
        self.stem = f"ropeway/{namespace}" if namespace else "ropeway"
        self.queues = f"{self.stem}:{{+queues}}".encode()
        self.slot: int = key_slot(self.queues)
        self.notes = f"{self.stem}:{{+notes}}:v".encode(), f"{self.stem}:{{+notes}}:t".encode()
        self.shared_ends = f"{self.stem}:{{+ends}}:f".encode()  # of all queues whose names are too long for a name of their ends
        self.ends_slot: int = key_slot(self.shared_ends)
        self.channel = f"{self.stem}:bell:".encode()
        self._known: dict[str, Room] = {}

    def room(self, queue: str) -> Room:
        """Raises BadName."""
        room = self._known.get(queue)
        if room is None:
            check_name(queue)
            if len(self._known) > MANY:
                self._known.clear()
            room = self._known[queue] = Room(self.stem, queue)
        return room

    def ends(self, name: str) -> tuple[bytes, int]:
        """The key of those who wait for that name of names.ended, and its slot. Raises BadName."""
        queue = name[len(_ENDED) :]
        if not queue:
            return self.shared_ends, self.ends_slot
        room = self.room(queue)
        return room.ends, room.slot

    def of_bell(self, key: str) -> str:
        """The queue whose bell this key is."""
        return key[len(self.stem) + 2 : -3]


def receipt(queue: str, job_id: str, token: str) -> str:
    """The proof of a claim: text that works from any process."""
    return f"{queue}/{job_id}/{token}"


def read_receipt(text: object) -> tuple[str, bytes, bytes] | None:
    """Queue, id and token; None for what is no receipt."""
    found = _RECEIPT(text) if isinstance(text, str) else None
    return (found[1], bytes.fromhex(found[2]), bytes.fromhex(found[3])) if found else None
