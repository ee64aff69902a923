"""Where it is measured: a folder of a disk, or a database of a server. Each row of a measure gets a room of its own there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from . import disks, servers


class Place(Protocol):
    """`name` is plain, journal or server; `what` is said of it in the tables."""

    name: str
    what: str

    def room(self, durability: str) -> str:
        """A new one, empty: a folder, or the address of a database. Where the server decides how safe a put is, it is told here."""
        ...

    def settled(self, room: str) -> None:
        """Before a slice: what the server would do by itself within a minute is done now, for everybody alike."""
        ...

    def leave(self, rooms: list[str]) -> None:
        """They are not needed any more."""
        ...


@contextmanager
def places(engine: str, disk: str | None, above: str, server: str | None, large: bool) -> Iterator[list[Place]]:
    """All that the engine is measured on, made now and taken down afterwards. Raises servers.NoServer when there is none."""
    with ExitStack() as stack:
        used: list[Place] = []
        if engine not in ("directory", "sqlite"):
            used.append(stack.enter_context(servers.SERVERS[engine](server, above)))
        else:
            if disk != "journal":
                used.append(stack.enter_context(disks.plain(above)))
            if disk != "plain" and (made := stack.enter_context(disks.journal(above, large))) is not None:
                used.append(made)
        yield used
