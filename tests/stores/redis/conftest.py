"""The server that most tests here share: the one of $ROPEWAY_TEST_REDIS, else one that is started for the run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropeway.clock import SYSTEM, Clock
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.stores import open_store
from ropeway.stores.redis import RedisStore

from .servers import SHARED, Server, namespace, wipe

Serve = Callable[..., Server]
Opener = Callable[..., RedisStore]
_new_id = IdMaker(time.time_ns, os.urandom)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = os.environ.get("ROPEWAY_TEST_REDIS", "")
    if not given:
        server = Server(tmp_path_factory.mktemp("redis"))
        SHARED.append(server.url)
        yield server.url
        server.stop()
    else:
        SHARED.append(given)
        yield given


@pytest.fixture
def url(redis_url: str) -> Iterator[str]:
    """A store on the shared server that is this test's own."""
    name = namespace()
    yield f"{redis_url}?namespace={name}"
    wipe(redis_url, name)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers of the test's own: serve(appendonly="yes", ...)."""
    started: list[Server] = []

    def one(**options: object) -> Server:
        started.append(Server(tmp_path / f"server-{len(started)}", **options))  # type: ignore[arg-type]
        return started[-1]

    yield one
    for server in started:
        server.kill()


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens stores, and closes them in the end."""
    stores: list[RedisStore] = []

    def one(where: str, clock: Clock = SYSTEM) -> RedisStore:
        store = open_store(where, clock)
        assert isinstance(store, RedisStore)
        stores.append(store)
        return store

    yield one
    for store in stores:
        store.close()


def make(queue: str = "q", body: bytes = b"x", **fields: object) -> Job:
    """A job with an id of its own."""
    return Job(_new_id(), queue, body, **fields)  # type: ignore[arg-type]
