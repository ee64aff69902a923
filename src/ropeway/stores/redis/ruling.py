"""What an operator says of whole queues: switches, limits, and that one is to go."""

from __future__ import annotations

from collections.abc import Sequence

from ...demands import check_limits, check_reason
from ...names import check_name
from ...store import Limits
from .intake import NAMED, Intake
from .records import micro
from .scripts import Request
from .way import Way

STEPS = 10_000  # of parked jobs, in one call: some ten milliseconds of the server


class Ruling:
    """The side of a store that rules over queues."""

    def __init__(self, way: Way, intake: Intake, dead_keep: float) -> None:
        self._way = way
        self._hub = way.hub
        self._rooms = way.rooms
        self._intake = intake
        self._dead_keep = micro(dead_keep)

    def pause(self, queues: Sequence[str], put: bool | None, claim: bool | None, reason: str) -> None:
        for name in queues:
            check_name(name)
        check_reason(reason)
        text = reason.encode(errors="replace")
        wishes = [b"" if wish is None else b"+" + text if wish else b"-" for wish in (put, claim)]
        switches = [self._way.request("switch", self._rooms.room(name), *wishes) for name in queues]
        self._hub.ask([*self._intake.anew(queues), *switches])

    def limit(self, queues: Sequence[str], limits: Limits) -> None:
        for name in queues:
            check_name(name)
        check_limits(limits)
        numbers = str(limits.running), str(limits.lane)
        self._hub.ask(self._intake.anew(queues))
        for name in queues:
            done: bytes = b""
            while True:
                (done,) = self._hub.ask([self._way.request("limit", self._rooms.room(name), *numbers, done, STEPS)])
                if not done:
                    break

    def drop(self, queues: Sequence[str]) -> list[bool]:
        for name in queues:
            check_name(name)
        if not queues:
            return []
        patience = int(2 * NAMED * 1000)
        (names,) = self._hub.ask([Request(None, ("SMEMBERS", self._rooms.queues), self._rooms.slot)])
        here = {name.decode() for name in names}
        asked = [name for name in dict.fromkeys(queues) if name in here]
        requests = [self._way.request("drop", self._rooms.room(name), self._dead_keep, patience) for name in asked]
        gone = [name for name, reply in zip(asked, self._hub.ask(requests) if requests else (), strict=True) if reply]
        if gone:
            self._intake.dropped(gone)
            self._hub.ask([Request(None, ("SREM", self._rooms.queues, *gone), self._rooms.slot)])
            self._named_again(gone)
        stays = set(asked) - set(gone)
        return [name not in stays for name in queues]

    def _named_again(self, gone: Sequence[str]) -> None:
        """Somebody may have put into one of them between its end and that of its name, and has named it: too early."""
        rooms = [self._rooms.room(name) for name in gone]
        words = self._hub.ask([Request(None, ("HEXISTS", room.keys[0], "x"), room.slot) for room in rooms])
        back = [room.queue for room, there in zip(rooms, words, strict=True) if not there]
        if back:
            self._hub.ask(self._intake.anew(back))
