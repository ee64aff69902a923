"""What every part of the contract suite stands on: a store under test, a clock that jumps, jobs to put."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import pytest

from ...clock import Clock
from ...errors import Unsupported
from ...ids import IdMaker
from ...job import Job
from ...store import Ack, Feature, Holder, Lent, Query, Store
from ..clock import FakeClock

HOLDER = Holder("host-1:77:contract")
OTHER = Holder("host-2:78:other")
ALL = Query(limit=None)

Open = Callable[[Clock], Store]
Test = TypeVar("Test", bound=Callable[..., None])


class MakeJob(Protocol):
    """Makes a job with an id of its own; ids grow with the fake clock's time."""

    def __call__(self, queue: str = "q", body: bytes = b"", **fields: Any) -> Job: ...


class Caller(NamedTuple):
    """An application with a connection of its own to the database of the store: what it passes as `tx`, and how it goes about it."""

    tx: object
    begin: Callable[[], object]
    commit: Callable[[], object]
    rollback: Callable[[], object]


class Harness:
    """Subclass StoreContract, give the fixture `open`, and say what differs by the attributes below.

    `open` is a factory: each call makes a new store object, with the clock given, on the one fresh place of this test. The suite
    closes what it opened. Nothing in it sleeps; time is the fake clock's, so a store must take its time from the clock it is given.
    """

    slack = 1.5
    """Seconds after the end of a lease by which its job must be to be had again."""
    deaf = 0.0
    """Seconds for which a ring may go unheard after one that brought nothing: a bell that strangers can ring bounds what they can do."""
    shared = True
    """Whether two store objects on one place see the same jobs."""
    knows_ids = True
    """Whether any put of an id that is here is recognised. False: only that of the same Job object, and every put of jobs with `once`."""

    @pytest.fixture
    def open(self) -> Open:
        raise NotImplementedError("give your engine: a fixture `open` that returns a factory, open(clock) -> Store")

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def opener(self, open: Open) -> Iterator[Open]:  # noqa: A002
        """`open`, with everything closed in the end."""
        opened: list[Store] = []

        def one(clock: Clock) -> Store:
            opened.append(open(clock))
            return opened[-1]

        yield one
        for store in opened:
            store.close()

    @pytest.fixture
    def store(self, opener: Open, clock: FakeClock) -> Store:
        return opener(clock)

    @pytest.fixture
    def second(self, store: Store, opener: Open, clock: FakeClock) -> Store:
        """Another store object on the same place, opened after the first."""
        if not self.shared:
            pytest.skip("each store object of this engine has a place of its own")
        return opener(clock)

    @pytest.fixture
    def caller(self, store: Store) -> Caller:
        """Needed by an engine that can be joined."""
        if Feature.JOIN in store.features:
            raise NotImplementedError("give a fixture `caller`: a connection of an application to the database of the store")
        return Caller(object(), str, str, str)

    @pytest.fixture
    def job(self, clock: FakeClock) -> MakeJob:
        new_id = IdMaker(lambda: int(clock.now() * 1e9), os.urandom)

        def make(queue: str = "q", body: bytes = b"", **fields: Any) -> Job:
            return Job(fields.pop("id", "") or new_id(), queue, body, **fields)

        return make


def needs(*features: Feature) -> Callable[[Test], Test]:
    """A test that is about these features. On a store that lacks one the very same test must end in Unsupported: a difference that is
    declared and seen, instead of a test that is left out."""

    def around(test: Test) -> Test:
        @functools.wraps(test)
        def run(self: Harness, **given: Any) -> None:
            store: Store = given.get("store") or given["here"]
            if store.features.issuperset(features):
                test(self, **given)
            else:
                with pytest.raises(Unsupported):
                    test(self, **given)

        return run  # type: ignore[return-value]

    return around


def take(store: Store, limit: int = 1, *queues: str, lease: float = 30.0, holder: Holder = HOLDER) -> list[Lent]:
    """Claim up to `limit`, in as many calls as the store wants for it."""
    lent: list[Lent] = []
    while len(lent) < limit and (more := store.claim(queues or ("q",), limit - len(lent), lease, holder)):
        lent += more
    return lent


def take_one(store: Store, *queues: str, lease: float = 30.0, holder: Holder = HOLDER) -> Lent:
    """Claim one that must be there."""
    lent = store.claim(queues or ("q",), 1, lease, holder)
    assert len(lent) == 1, f"one job should be there to claim, not {len(lent)}"
    return lent[0]


def put_some(store: Store, job: MakeJob, count: int) -> list[Job]:
    """Put that many as one batch."""
    jobs = [job() for _ in range(count)]
    assert store.put(jobs) == [True] * count
    return jobs


def put_one(store: Store, job: Job) -> Job:
    """Put it, and be sure of it."""
    assert store.put([job]) == [True]
    return job


def done(store: Store, lent: Lent, **more: Any) -> None:
    """Ack one that must still be ours."""
    assert store.ack([Ack(lent.receipt, **more)]) == [True]


def body_of(job: Job) -> bytes:
    """The body, wherever the engine keeps it."""
    whole: bytes = job.source.read() if job.source is not None else job.body
    return whole


def standing(store: Store, queue: str = "q") -> dict[str, int]:
    """How many stand where; places with none are left out."""
    counts = store.counts([queue])[queue]
    numbers = {"ready": counts.ready, "delayed": counts.delayed, "running": counts.running, "dead": counts.dead, "done": counts.done}
    return {name: number for name, number in numbers.items() if number}


def short(value: object) -> str:
    """A hostile value as a part of a test's name."""
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:30]}...{len(text)}"
