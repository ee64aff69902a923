"""A watched folder for tests: files are made in it for real, time is moved by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.store import Query
from ropeway.testing.clock import FakeClock
from ropeway.watch import Watcher
from ropeway.watch.handing import Told
from ropeway.watch.record import Record

QUEUE = "files"


class Yard:
    """A folder, a queue, and one watcher at a time."""

    def __init__(self, place: Path, url: str) -> None:
        self.place = place
        self.folder = place / "in"
        self.folder.mkdir()
        self.clock = FakeClock()
        self.link = Link(url, self.clock, name="test")
        self.told: list[Told] = []
        self.watcher: Watcher | None = None

    def watch(self, **options: Any) -> Watcher:
        """A watcher as a new process would have it: the one before is gone."""
        self.leave()
        record = Record(str(self.place / "state" / "record.db"))
        queue: Queue[Any] = Queue(self.link, QUEUE)
        self.watcher = Watcher(self.link, queue, str(self.folder), record, told=self.told.append, **options)
        self.watcher.step()
        return self.watcher

    def leave(self) -> None:
        if self.watcher is not None:
            self.watcher.close()
            self.watcher = None

    def write(self, name: str, content: bytes = b"x") -> Path:
        """A file written in place, and closed."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def bring(self, name: str, content: bytes = b"x") -> Path:
        """A file that comes in by a rename."""
        outside, path = self.place / "outside", self.folder / name
        outside.write_bytes(content)
        os.rename(outside, path)
        return path

    def step(self, seconds: float = 0.0) -> None:
        """Let so much time pass, and have the watcher do what is to be done."""
        assert self.watcher is not None
        if seconds:
            self.clock.advance(seconds)
        self.watcher.step()

    def bodies(self, *states: State) -> list[str]:
        """What the jobs say that are ready, or in these states, by path inside the folder."""
        found = self.link.store.browse(Query(queues=(QUEUE,), states=frozenset(states or (State.READY,)), limit=None))
        return sorted(os.fsdecode(entry.job.body).removeprefix(f"{os.path.realpath(self.folder)}/") for entry in found)

    def asleep(self) -> int:
        """How many jobs were put and not released."""
        return self.link.store.counts((QUEUE,))[QUEUE].delayed
