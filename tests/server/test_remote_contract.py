"""The engine http: under the contract, over real connections to a real server, on a memory store and on a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ropeway.clock import Clock
from ropeway.server import news
from ropeway.store import Store
from ropeway.stores import open_store
from ropeway.testing.contract import Open, StoreContract

from .inside import Inside

pytestmark = pytest.mark.slow


def _open(store: str) -> Iterator[Open]:
    """Opens stores of a server that is started by the first of them, on its clock."""
    servers: list[tuple[Inside, str]] = []

    def open_one(clock: Clock) -> Store:
        if not servers:
            server = Inside(store, clock)
            servers.append((server, server.start()))
        return open_store(servers[0][1], clock)

    yield open_one
    for server, _ in servers:
        server.stop()


@pytest.fixture(autouse=True)
def _servers_do_not_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in this process, whose threads the contract counts."""
    monkeypatch.setattr(news, "LINGER", 0.05)


class TestRemoteMemory(StoreContract):
    slack = 0.5

    @pytest.fixture
    def open(self) -> Iterator[Open]:
        yield from _open("memory:")


class TestRemoteFolder(StoreContract):
    knows_ids = False

    @pytest.fixture
    def open(self, tmp_path: Path) -> Iterator[Open]:
        yield from _open(f"dir:{tmp_path}/spool?durability=os")
