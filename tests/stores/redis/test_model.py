"""The Redis engine against the model, over random lives of jobs; see tests/stores/test_model.py for how to play more of them."""

from __future__ import annotations

import os

import pytest
import redis
from hypothesis import settings

from ropeway.clock import Clock
from ropeway.store import Store
from ropeway.stores import open_store
from ropeway.testing.model import Engine, StoreMachine

from ..test_model import LIVES
from .servers import SHARED, namespace, wipe


class RedisEngine(Engine):
    """A namespace on the shared server."""

    def __init__(self) -> None:
        self.url, self.name = SHARED[0], namespace()

    def open(self, clock: Clock) -> Store:
        return open_store(f"{self.url}?namespace={self.name}", clock)

    def leftovers(self) -> list[str]:
        """All but the names of the queues, and the notes, which are no jobs."""
        with redis.Redis.from_url(self.url) as client:
            keys = [key.decode() for key in client.scan_iter(f"ropeway/{self.name}:*", count=10_000)]
        return sorted(key for key in keys if ":{+" not in key)

    def close(self) -> None:
        wipe(self.url, self.name)


class RedisMachine(StoreMachine):
    make = RedisEngine


TestRedisModel = pytest.mark.usefixtures("redis_url")(pytest.mark.timeout(600)(RedisMachine.TestCase))
TestRedisModel.settings = settings(LIVES, max_examples=LIVES.max_examples if os.environ.get("ROPEWAY_MODEL_EXAMPLES") else 60)
