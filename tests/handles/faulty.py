"""A store for tests that can be held, that fails when told to, and that remembers what it was asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from ropeway.aio import facade
from ropeway.clock import SYSTEM, Clock
from ropeway.job import Job
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.store import Store
from ropeway.stores import open_store

Mails = Queue[Any]


class Faulty:
    """Around a real store. `calls` are (verb, how many). `gate`: cleared, the verbs in `held` wait until it is set. `before`: called
    with the verb and its batch, may raise."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: list[tuple[str, int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.held = ("put",)
        self.inside = threading.Event()  # somebody waits at the gate
        self.wait: Callable[[Sequence[str], float], bool] = store.wait
        self.before: Callable[[str, Sequence[Any]], None] = lambda verb, batch: None

    def _pass(self, verb: str, batch: Sequence[Any]) -> None:
        self.calls.append((verb, len(batch)))
        if verb in self.held and not self.gate.is_set():
            self.inside.set()
            assert self.gate.wait(60), "the test never opened the gate"
        self.before(verb, batch)

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        self._pass("put", jobs)
        return self.store.put(jobs)

    def claim(self, queues: Sequence[str], *rest: Any) -> Any:
        self._pass("claim", queues)
        return self.store.claim(queues, *rest)

    def ack(self, acks: Sequence[Any]) -> list[bool]:
        self._pass("ack", acks)
        return self.store.ack(acks)

    def nack(self, handbacks: Sequence[Any]) -> list[bool]:
        self._pass("nack", handbacks)
        return self.store.nack(handbacks)

    def browse(self, query: Any) -> Any:
        self._pass("browse", query.ids or ())
        return self.store.browse(query)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def groups(self, verb: str) -> list[int]:
        """The sizes of the batches that this verb was given."""
        return [size for called, size in self.calls if called == verb]


def faulty(url: str = "memory:", clock: Clock = SYSTEM) -> tuple[Link, Faulty]:
    """A connection, and the store that it stands on."""
    made = Faulty(open_store(url, clock))
    return Link(url, clock, name="test", opener=lambda *_: cast("Store", made)), made


async def until(true: Callable[[], object]) -> None:
    """Give the loop turns until it is so."""
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.001)


async def behind_a_commit(store: Faulty, mails: Mails) -> asyncio.Task[Any]:
    """Hold the writer inside a commit of one job, so that all who come now gather behind it."""
    store.gate.clear()
    first = asyncio.create_task(mails.aput("first"))
    await until(store.inside.is_set)
    return first


def lane(mails: Mails) -> int:
    """How many stand in line for the next put."""
    return len(facade(mails._link).writer._lanes["put"])


async def opened(store: Faulty, *tasks: Awaitable[Any]) -> list[Any]:
    store.gate.set()
    return await asyncio.gather(*tasks, return_exceptions=True)
