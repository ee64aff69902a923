"""SQLite against the model, over random lives of jobs."""

from __future__ import annotations

import shutil
import tempfile

from hypothesis import settings

from ropeway.clock import Clock
from ropeway.store import Store
from ropeway.stores import open_store
from ropeway.testing.model import Engine, StoreMachine

from ..test_model import EXAMPLES, LIVES


class SqliteEngine(Engine):
    """A file in a temporary folder. A death cannot be shown here: claims end with their lease."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="ropeway-model-", dir="/dev/shm")

    def open(self, clock: Clock) -> Store:
        return open_store(f"sqlite:{self.path}/jobs.db?durability=os", clock)

    def close(self) -> None:
        shutil.rmtree(self.path)


class SqliteMachine(StoreMachine):
    make = SqliteEngine


TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = settings(LIVES, max_examples=int(EXAMPLES or 40))
