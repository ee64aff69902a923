"""The seam: transparent under the whole contract, and every call is told with its count, its time or its failure."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest

from ropeway.clock import Clock
from ropeway.errors import BadName, Stopped
from ropeway.events import Event
from ropeway.job import Job
from ropeway.store import Ack, Handback, Query, Store
from ropeway.stores import open_store
from ropeway.stores.watched import Watched
from ropeway.testing.clock import FakeClock
from ropeway.testing.contract import Open, StoreContract
from ropeway.testing.contract.harness import HOLDER, MakeJob, put_one, take

_number = itertools.count()


def _deaf(event: Event) -> None:
    raise RuntimeError("a listener that fails harms nobody")


class TestWatched(StoreContract):
    slack = 0.0
    counts_missed = processes = False

    @pytest.fixture
    def heard(self) -> list[Event]:
        return []

    @pytest.fixture
    def open(self, heard: list[Event]) -> Open:
        url = f"memory:watched-{next(_number)}"

        def one(clock: Clock) -> Store:
            return Watched(open_store(url, clock), (_deaf, heard.append), clock)

        return one

    # -- what is told

    def test_put(self, store: Store, heard: list[Event], job: MakeJob) -> None:
        a, b, c, taken = job("a"), job("b"), job("a", key="k"), job("a", key="k")
        store.put([a])
        store.put([b, c])
        store.put([taken])
        store.put([])
        assert [(e.name, e.queue, e.count, e.ids, e.detail, e.error) for e in heard] == [
            ("put", "a", 1, (a.id,), "", ""),
            ("put", "b", 1, (b.id,), "", ""),
            ("put", "a", 1, (c.id,), "", ""),
            ("put", "a", 0, (), "1 refused", ""),
            ("put", "", 0, (), "", ""),
        ]

    def test_claim_and_pick(self, store: Store, heard: list[Event], job: MakeJob) -> None:
        jobs = [job("a"), job("a"), job("b"), job("b")]
        store.put(jobs)
        heard.clear()
        store.claim(["a", "b"], 3, 30.0, HOLDER)
        store.pick("b", [jobs[3].id, jobs[0].id], 30.0, HOLDER)
        store.claim(["a"], 3, 30.0, HOLDER)
        store.claim(["a", "b"], 3, 30.0, HOLDER)
        assert [(e.name, e.queue, e.count, e.ids) for e in heard] == [
            ("claim", "a", 2, (jobs[0].id, jobs[1].id)),
            ("claim", "b", 1, (jobs[2].id,)),
            ("pick", "b", 1, (jobs[3].id,)),
            ("claim", "a", 0, ()),
            ("claim", "", 0, ()),
        ]

    def test_settling(self, store: Store, heard: list[Event], job: MakeJob) -> None:
        store.put([job() for _ in range(4)])
        a, b, c, d = take(store, 4)
        heard.clear()
        store.extend([a.receipt, "void"], 30.0)
        store.ack([Ack(a.receipt), Ack(a.receipt), Ack("void"), Ack(d.receipt)])
        store.nack([Handback(b.receipt)])
        store.bury([Handback(c.receipt)])
        assert [(e.name, e.count, e.detail) for e in heard] == [
            ("extend", 1, "1 lost"),
            ("ack", 2, "2 lost"),
            ("nack", 1, ""),
            ("bury", 1, ""),
        ]

    def test_the_operators_verbs(self, store: Store, heard: list[Event], job: MakeJob) -> None:
        store.put([job(), job()])
        store.bury([Handback(take(store, 1)[0].receipt)])
        heard.clear()
        store.browse(Query())
        store.requeue(Query(queues=("q",)))
        store.delete(Query(queues=("q", "r")))
        store.pause(["q"], claim=True, reason="deploy")
        store.pause(["q"], claim=False)
        assert [(e.name, e.queue, e.count, e.detail) for e in heard] == [
            ("browse", "", 2, ""),
            ("requeue", "q", 1, ""),
            ("delete", "", 2, ""),
            ("pause", "q", 1, "deploy"),
            ("resume", "q", 1, ""),
        ]

    def test_how_long_it_took(self, store: Store, clock: FakeClock, heard: list[Event], job: MakeJob) -> None:
        store.wait(["q"], 60.0)
        put_one(store, job(delay=10.0))
        store.wait(["q"], 60.0)
        assert [(e.name, e.count, e.seconds) for e in heard] == [
            ("wait", 0, pytest.approx(60)),
            ("put", 1, 0.0),
            ("wait", 1, pytest.approx(10)),
        ]

    def test_how_it_failed(self, store: Store, heard: list[Event], job: MakeJob) -> None:
        with pytest.raises(BadName):
            store.claim(["../\x1b[31m"], 1, 30.0, HOLDER)
        store.pause(["q"], put=True, reason="deploy")
        with pytest.raises(Stopped):
            store.put([job()])
        failed = [e for e in heard if e.error]
        assert [(e.name, e.queue, e.count) for e in failed] == [("claim", "../\x1b[31m", 0), ("put", "q", 0)]
        assert failed[0].error.startswith("BadName: ")
        assert "deploy" in failed[1].error
        assert all(e.error.isprintable() for e in failed)

    # -- what passes through

    def test_the_rest_passes_through(self, store: Store) -> None:
        assert isinstance(store, Watched)
        inner = store._store
        assert (store.url, store.features, store.max_body, store.notes) == (inner.url, inner.features, inner.max_body, inner.notes)
        inner.extra = lambda: 42  # type: ignore[attr-defined]
        assert store.extra() == 42, "what an engine has beyond the contract"

    def test_what_is_nowhere_is_no_attribute(self, store: Store) -> None:
        with pytest.raises(AttributeError):
            store.no_such_thing  # type: ignore[attr-defined]  # noqa: B018


def test_it_costs_little() -> None:
    """Under 1.5 microseconds a call where one that does nothing takes 0.1; here only that it is of that order."""

    class Null:
        def put(self, jobs: list[Job]) -> list[bool]:
            return [True]

        def ack(self, acks: list[Ack]) -> list[bool]:
            return [True]

    bare = Null()
    watched = Watched(bare, (lambda event: None,))  # type: ignore[arg-type]
    jobs, acks = [Job("0" * 32, "q")], [Ack("r")]

    def cost(call: Callable[[], object]) -> float:
        best = float("inf")
        for _ in range(20):
            begun = time.perf_counter()
            for _ in range(500):
                call()
            best = min(best, time.perf_counter() - begun)
        return best / 500

    assert cost(lambda: watched.put(jobs)) < 50 * cost(lambda: bare.put(jobs))
    assert cost(lambda: watched.ack(acks)) < 50 * cost(lambda: bare.ack(acks))
