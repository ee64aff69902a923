"""Buses of both kinds over the notes of a memory store, and a hand that speaks to them without being one."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropeway.bells.choice import BellChoice
from ropeway.buses.frames import GREETING, NO_GREETING, PUBLISHER, Announcement, proof, read_announcement
from ropeway.buses.places import Folder, Port
from ropeway.buses.stream import StreamBus
from ropeway.clock import SYSTEM
from ropeway.ids import IdMaker
from ropeway.message import Message
from ropeway.notes import Notes
from ropeway.stores import open_store
from ropeway.testing.contract.topics import Notebook

__all__ = ["Notebook"]

_number = itertools.count()
new_id = IdMaker(time.time_ns, os.urandom)


def message(topic: str = "a", body: bytes = b"") -> Message:
    return Message(topic, new_id(), body)


class Two:
    """One bus that listens and one that publishes, over the same notes."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.store = open_store(f"memory:buses-{next(_number)}")
        self.notes: Notes = self.store.notes
        self._folder = folder / "listen"
        self._folder.mkdir(exist_ok=True)
        self.made: list[StreamBus] = []
        self.listener, self.publisher = self.bus(), self.bus()

    def bus(self) -> StreamBus:
        def ears() -> tuple[int, int]:
            return os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY), 0o600

        place = Folder(ears, lambda: True) if self.kind == "unix" else Port(BellChoice(), "")
        self.made.append(StreamBus("test:", self.notes, place, SYSTEM))
        return self.made[-1]

    def say(self, *topics: str) -> None:
        self.publisher.publish([message(topic) for topic in topics])

    def announced(self) -> Announcement:
        (value,) = self.notes.notes("listen/").values()
        found = read_announcement(value)
        assert found is not None
        return found

    def dial(self) -> socket.socket:
        """A connection of a stranger."""
        address = self.announced().address
        if self.kind == "unix":
            out = socket.socket(socket.AF_UNIX)
            folder = os.open(self._folder, os.O_PATH)
            out.connect(f"/proc/self/fd/{folder}/{address[5:37]}")  # the path of a folder may be longer than an address can be
            os.close(folder)
        else:
            host, _, port = address.partition("@")[0].rpartition(":")
            out = socket.create_connection((host, int(port)))
        out.settimeout(10)
        return out

    def proved(self) -> socket.socket:
        """A connection that has proved itself."""
        out, said, own = self.dial(), self.announced(), os.urandom(16)
        greeting = NO_GREETING if self.kind == "unix" else out.recv(GREETING, socket.MSG_WAITALL)
        out.sendall(own + proof(said.secret, PUBLISHER, greeting, own, said.address))
        if self.kind != "unix":
            assert len(out.recv(32, socket.MSG_WAITALL)) == 32
        return out


@pytest.fixture(params=["unix", "tcp"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Two]:
    both = Two(request.param, tmp_path)
    yield both
    for bus in both.made:
        bus.close()


@pytest.fixture
def book() -> Notebook:
    return Notebook()


@pytest.fixture
def dials(two: Two) -> Iterator[Callable[[], socket.socket]]:
    """Connections of strangers, closed in the end."""
    made: list[socket.socket] = []

    def dial() -> socket.socket:
        made.append(two.dial())
        return made[-1]

    yield dial
    for one in made:
        one.close()
