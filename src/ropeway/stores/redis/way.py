"""The way from a verb to its script: what every call is told first, and what is packed only once."""

from __future__ import annotations

from collections.abc import Sequence

from ...clock import SYSTEM, Clock
from .commit import Held
from .hub import Hub
from .records import micro
from .rooms import Room, Rooms
from .scripts import Argument, Front, Request, front, script

GROUPS = frozenset({"claim", "look", "pass"})  # scripts that are asked of many queues
MANY = 200  # combinations of queues that are remembered


class Way:
    """What the sides of a store share: the connections, the names of the keys, the clock."""

    def __init__(self, hub: Hub, rooms: Rooms, clock: Clock) -> None:
        self.hub = hub
        self.rooms = rooms
        self.clock = clock
        self._same = clock is SYSTEM  # the head of all calls: then fronts are kept
        self._many: dict[tuple[str, ...], Front] = {}

    def head(self) -> tuple[Argument, ...]:
        """What every script is told first: the time, unless the server's own is meant, and how bells are called."""
        if self._same:
            return b"", b"", self.rooms.channel
        return micro(self.clock.now()), micro(self.clock.boot()), self.rooms.channel

    def request(self, name: str, room: Room, *args: Argument) -> Request:
        """A script that is asked of one queue, with all of its keys."""
        return Request(self.front(name, room), args, room.slot)

    def of_many(self, name: str, rooms: Sequence[Room], *args: Argument) -> Request:
        """A script that is asked of these queues at once, on one server."""
        if len(rooms) == 1:
            return Request(self.front(name, rooms[0]), args, rooms[0].slot)
        asked = (name, *(room.queue for room in rooms))
        found = self._many.get(asked)
        if found is None:
            found = front(script(name), tuple(key for room in rooms for key in room.group), self.head())
            if self._same:
                if len(self._many) > MANY:
                    self._many.clear()
                self._many[asked] = found
        return Request(found, args, rooms[0].slot)

    def on(self, name: str, keys: tuple[bytes, ...], slot: int, *args: Argument) -> Request:
        """A script on these keys."""
        return Request(front(script(name), keys, self.head()), args, slot)

    def front(self, name: str, room: Room) -> Front:
        """The front of a script that is asked of one queue: remembered, unless time is given along."""
        found = room.fronts.get(name)
        if found is None:
            keys = room.put_keys if name == "put" else room.group if name in GROUPS else room.keys
            found = front(script(name), keys, self.head())
            if self._same:
                room.fronts[name] = found
        return found

    def held(self) -> Held | None:
        """The commit that this thread is in."""
        return self.hub.local.held
