"""The memory engine under the contract, and what only it promises: privacy, sharing by name, and what it costs."""

from __future__ import annotations

import itertools
import os
import signal
import time
from random import Random

import pytest

from ropeway.errors import ConfigError, StoreError
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Durability, Feature, Handback, Query, Store
from ropeway.stores import open_store
from ropeway.stores.memory import MemoryStore
from ropeway.stores.memory.agenda import Agenda
from ropeway.testing.clock import FakeClock
from ropeway.testing.contract import Open, StoreContract
from ropeway.testing.contract.harness import HOLDER, MakeJob, done, put_one, standing, take, take_one

_number = itertools.count()


class TestMemory(StoreContract):
    slack = 0.0
    counts_missed = processes = False  # who listens is told by who publishes

    @pytest.fixture
    def open(self) -> Open:
        url = f"memory:contract-{next(_number)}"
        return lambda clock: open_store(url, clock)

    @pytest.fixture
    def beside(self) -> Open:
        return lambda clock: open_store(f"memory:contract-{next(_number)}", clock)

    def test_it_forgets_and_says_so(self, store: Store) -> None:
        assert store.durability() is Durability.NONE
        assert Feature.STREAM not in store.features
        assert any("dir:" in finding.text for finding in store.check())

    def test_an_ack_after_the_lease_is_refused_in_the_instant(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        lent = take_one(store, lease=10.0)
        clock.advance(10)
        assert store.ack([Ack(lent.receipt)]) == [False]
        assert take_one(store).attempt == 2

    def test_a_lost_attempt_is_in_the_history(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        take_one(store, lease=10.0)
        clock.advance(10)
        attempt = store.browse(Query())[0].history[0]
        assert (attempt.number, attempt.outcome, attempt.worker) == (1, "lost", HOLDER.name)

    def test_a_restored_job_keeps_its_place(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        first = put_one(store, job())
        clock.advance(1)
        put_one(store, job())
        store.nack([Handback(take_one(store).receipt, restore=True)])
        assert take_one(store).job.id == first.id

    def test_a_closed_store_says_so(self, store: Store, job: MakeJob) -> None:
        store.close()
        with pytest.raises(StoreError, match="closed") as caught:
            store.put([job()])
        assert caught.value.definite

    def test_a_failed_commit_undoes_claims_deletes_and_requeues_too(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        store.put([job(), job(key="k"), job(delay=50.0), job(keep=9.0)])
        done(store, take_one(store))
        before = store.browse(Query())
        with pytest.raises(ZeroDivisionError), store.commit():
            store.put([job(), job("new")])
            take(store, 5)
            assert store.delete(Query()) == 2
            store.requeue(Query(states=frozenset({before[0].state, before[1].state})))
            raise ZeroDivisionError
        assert store.browse(Query()) == before
        assert standing(store) == {"ready": 2, "delayed": 1}
        assert store.put([job(key="k")]) == [False]
        assert [lent.attempt for lent in take(store, 5)] == [1, 1]


def test_a_nameless_store_is_private(clock: FakeClock, job: MakeJob) -> None:
    one, other = open_store("memory:", clock), open_store("memory:", clock)
    put_one(one, job())
    assert other.queues() == []


def test_a_name_is_shared_and_a_namespace_is_apart(clock: FakeClock, job: MakeJob) -> None:
    name = f"memory:shared-{next(_number)}"
    one, other, apart = (open_store(url, clock) for url in (name, name, f"{name}?namespace=n"))
    put_one(one, job())
    one.close()
    assert other.queues() == ["q"]
    assert apart.queues() == []
    assert open_store(name, clock).queues() == ["q"], "it lives as long as the process, not as a store object"


def test_durability_that_it_cannot_give_is_refused() -> None:
    with pytest.raises(ConfigError, match="require=P"):
        open_store("memory:?require=P")


@pytest.mark.parametrize("named", [True, False])
def test_a_fork_is_refused_in_words(named: bool) -> None:
    url = f"memory:fork-{next(_number)}" if named else "memory:"
    store = open_store(url)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            refused = 0
            for one in [store, open_store(url)] if named else [store]:
                try:
                    one.queues()
                except StoreError as error:
                    refused += str(os.getppid()) in str(error) and error.definite
            code = 0 if refused == (2 if named else 1) else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.queues() == []


def test_dead_jobs_leave_after_dead_keep(clock: FakeClock, job: MakeJob) -> None:
    store = open_store("memory:?dead_keep=60", clock)
    put_one(store, job())
    store.bury([Handback(take_one(store).receipt)])
    clock.advance(59)
    assert standing(store) == {"dead": 1}
    clock.advance(2)
    assert standing(store) == {}


def test_wake_from_a_signal_handler() -> None:
    """In the middle of anything, the lock of the store included."""
    store = open_store("memory:")
    assert isinstance(store, MemoryStore)
    before = signal.signal(signal.SIGALRM, lambda *_: store.wake())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        begun = time.monotonic()
        assert store.wait(["q"], 20.0) is False
        assert time.monotonic() - begun < 10
        with store._space:
            signal.raise_signal(signal.SIGALRM)
        assert store.wait(["q"], 20.0) is False
    finally:
        signal.signal(signal.SIGALRM, before)


# -- what it costs


@pytest.mark.parametrize("what", ["delayed", "done", "dead", "running"])
def test_a_claim_does_not_go_through_what_it_cannot_have(clock: FakeClock, job: MakeJob, what: str) -> None:
    """Counted in steps, not in seconds: a claim of one looks at as many rows with 20,000 others in front as with none."""
    store = open_store("memory:", clock)
    assert isinstance(store, MemoryStore)
    many = [job(delay=1e6) if what == "delayed" else job(keep=1e6) for _ in range(20_000)]
    store.put(many)
    if what != "delayed":
        lent = take(store, 20_000, lease=1e6)
        if what == "done":
            store.ack([Ack(one.receipt) for one in lent])
        elif what == "dead":
            store.bury([Handback(one.receipt) for one in lent])
    assert standing(store) == {what: 20_000}
    put_one(store, job())
    looked: list[str] = []

    class Watching(dict[str, object]):
        def __getitem__(self, key: str) -> object:
            looked.append(key)
            return super().__getitem__(key)

        def values(self) -> object:  # type: ignore[override]
            raise AssertionError("went through all rows")

    store._space.rows = Watching(store._space.rows)  # type: ignore[assignment]
    done(store, take_one(store))
    assert store.wait(["q"], 0) is False
    assert len(looked) < 10


def test_memory_does_not_grow_with_what_has_been(clock: FakeClock, job: MakeJob) -> None:
    store = open_store("memory:", clock)
    assert isinstance(store, MemoryStore)
    for _ in range(3000):
        put_one(store, job())
        lent = take_one(store, lease=1e6)
        store.extend([lent.receipt], 1e6)
        done(store, lent)
    space = store._space
    assert not space.rows
    assert not space.lent
    assert not space.keys
    assert max(len(agenda._heap) for agenda in space.agendas.values()) < 200


# -- the agenda


def test_an_agenda_is_a_sorted_list_that_forgets() -> None:
    dice = Random(7)
    agenda, model = Agenda(), dict[str, float]()
    for number in range(5000):
        if model and dice.random() < 0.5:
            gone = dice.choice(list(model))
            agenda.drop(gone)
            del model[gone]
        else:
            name = f"{dice.randrange(300)}"
            if name in model:
                agenda.drop(name)
            model[name] = dice.choice((1.0, 2.0, dice.random()))
            agenda.add(name, model[name])
        assert len(agenda) == len(model)
        assert agenda.first() == (min((moment, name) for name, moment in model.items()) if model else None), number
    assert len(agenda._heap) <= 64 + 2 * len(model) + 1
    past = []
    for name in agenda.past(0.5):
        agenda.drop(name)
        past.append(name)
    assert past == sorted((name for name, moment in model.items() if moment <= 0.5), key=lambda name: model[name])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def job(clock: FakeClock) -> MakeJob:
    new_id = IdMaker(lambda: int(clock.now() * 1e9), os.urandom)

    def make(queue: str = "q", body: bytes = b"", **fields: object) -> Job:
        return Job(new_id(), queue, body, **fields)  # type: ignore[arg-type]

    return make
