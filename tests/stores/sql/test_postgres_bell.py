"""LISTEN and NOTIFY: who sleeps is woken by whoever puts, once the put is committed, and only as many as there are jobs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Handback, Holder, Query, Store
from ropeway.stores import open_store

from .postgres import Place

pytestmark = [pytest.mark.service("postgresql"), pytest.mark.timeout(120)]

HOLDER = Holder("host:1:bell", bound=False)
new_id = IdMaker(time.time_ns, os.urandom)
Opener = Callable[..., Store]


@pytest.fixture
def opened(schema: Place) -> Iterator[Opener]:
    stores: list[Store] = []

    def one(options: str = "poll=60s") -> Store:
        stores.append(open_store(f"{schema.url}&{options}"))
        return stores[-1]

    yield one
    for store in stores:
        store.close()


moment = threading.Event().wait  # that nothing more happens can only be waited for


def made(count: int = 1, queue: str = "q", delay: float = 0.0) -> list[Job]:
    return [Job(new_id(), queue, b"x", delay=delay) for _ in range(count)]


class Sleeper(threading.Thread):
    """Waits once. `begun` and `ended` are moments; `answer` is what the wait came back with."""

    def __init__(self, store: Store, *queues: str) -> None:
        super().__init__(daemon=True)
        self.store, self.queues = store, queues or ("q",)
        self.ended = 0.0
        self.answer: bool | None = None
        self.start()

    def run(self) -> None:
        self.answer = self.store.wait(self.queues, 40.0)
        self.ended = time.monotonic()


def asleep(schema: Place, count: int) -> None:
    """Wait until that many have announced themselves, and have looked once more after that."""
    end = time.monotonic() + 30
    while schema.ask("select count(*) from ropeway_waiting")[0][0] < count:
        assert time.monotonic() < end, "nobody has gone to sleep"
        time.sleep(0.01)
    moment(0.3)


def test_a_put_wakes_at_once_though_the_poll_is_a_minute(schema: Place, opened: Opener) -> None:
    putter, waiter = opened(), opened()
    putter.put(made(queue="other"))
    sleeper = Sleeper(waiter)
    asleep(schema, 1)
    begun = time.monotonic()
    putter.put(made())
    sleeper.join(20)
    assert sleeper.answer is True
    assert sleeper.ended - begun < 5, "that was the poll"
    assert schema.ask("select count(*) from ropeway_waiting") == [(0,)], "who rang has taken the announcement away"


@pytest.mark.parametrize("how", ["many", "copied", "commit", "nack", "requeue", "brought"])
def test_every_way_in_rings(schema: Place, opened: Opener, how: str) -> None:
    putter, waiter = opened(), opened()
    putter.put(made())
    lent = putter.claim(["q"], 1, 60.0, HOLDER)
    if how == "requeue":
        putter.bury([Handback(lent[0].receipt)])
    elif how != "nack":
        putter.ack([Ack(lent[0].receipt)])
    entry = None
    if how == "brought":
        putter.put(made(queue="from"))
        entry = putter.browse(Query(queues=("from",)))[0]
        entry.job.id, entry.job.queue = new_id(), "q"
    sleeper = Sleeper(waiter)
    asleep(schema, 1)
    begun = time.monotonic()
    if how == "many":
        putter.put(made(3))
    elif how == "copied":
        putter.put(made(300))
    elif how == "commit":
        with putter.commit():
            putter.put(made())
            moment(0.3)
            assert sleeper.answer is None, "rung before the commit"
    elif how == "nack":
        putter.nack([Handback(lent[0].receipt)])
    elif how == "requeue":
        putter.requeue(Query(queues=("q",)))
    elif entry is not None:
        putter.bring([entry])
    sleeper.join(20)
    assert sleeper.answer is True
    assert sleeper.ended - begun < 8


def test_what_is_rolled_back_wakes_nobody(schema: Place, opened: Opener) -> None:
    putter, waiter = opened(), opened()
    putter.put(made(queue="other"))
    sleeper = Sleeper(waiter)
    asleep(schema, 1)
    with pytest.raises(ZeroDivisionError), putter.commit():
        putter.put(made())
        1 / 0  # noqa: B018
    sleeper.join(1.0)
    assert sleeper.answer is None
    assert schema.ask("select count(*) from ropeway_waiting") == [(1,)], "it is still there to be rung"
    putter.put(made())
    sleeper.join(20)
    assert sleeper.answer is True


def test_one_job_wakes_one_and_many_wake_many(schema: Place, opened: Opener) -> None:
    putter = opened()
    putter.put(made(queue="other"))
    sleepers = [Sleeper(opened()) for _ in range(5)]
    asleep(schema, 5)
    putter.put(made())
    end = time.monotonic() + 20
    while not any(one.answer for one in sleepers):
        assert time.monotonic() < end
        time.sleep(0.01)
    moment(0.5)
    assert sum(one.answer is True for one in sleepers) == 1
    putter.put(made(4))
    for one in sleepers:
        one.join(20)
    assert all(one.answer for one in sleepers)


def test_threads_of_one_store_share_one_connection_and_each_is_woken_for_its_own(schema: Place, opened: Opener) -> None:
    putter, waiter = opened(), opened("poll=60s&application_name=shared_ear")
    putter.put(made(queue="other"))
    sleepers = {name: Sleeper(waiter, name) for name in ("a", "b", "c")}
    asleep(schema, 3)
    putter.put(made(queue="b"))
    sleepers["b"].join(20)
    assert sleepers["b"].answer is True
    moment(0.3)
    assert sleepers["a"].answer is None
    assert sleepers["c"].answer is None
    listening = schema.ask(
        "select count(*) from pg_stat_activity where application_name = 'shared_ear' and query like 'select %%announce%%'"
    )
    assert listening == [(1,)]
    waiter.wake()
    for one in sleepers.values():
        one.join(20)
    assert sleepers["a"].answer is False


def test_a_put_that_waits_to_be_committed_holds_up_no_other_ring(schema: Place, opened: Opener) -> None:
    """An application's transaction with a put in it stays open: the sleeper whom it will ring can still be rung by others."""
    slow, quick, waiter = opened(), opened(), opened()
    quick.put(made())
    quick.ack([Ack(one.receipt) for one in quick.claim(["q"], 1, 60.0, HOLDER)])
    sleeper = Sleeper(waiter)
    asleep(schema, 1)
    with slow.commit():
        slow.put(made())
        begun = time.monotonic()
        quick.put(made())
        sleeper.join(20)
        assert sleeper.answer is True
        assert sleeper.ended - begun < 5
        assert len(waiter.claim(["q"], 5, 60.0, HOLDER)) == 1
        again = Sleeper(waiter)
        moment(1.0)
        assert again.answer is None, "it goes to sleep anew, and waits for no lock"
    again.join(20)
    assert again.answer is True


def test_a_listening_connection_that_is_cut_is_made_anew(schema: Place, opened: Opener) -> None:
    putter, waiter = opened(), opened("poll=60s&application_name=cut_ear")
    putter.put(made(queue="other"))
    sleeper = Sleeper(waiter)
    asleep(schema, 1)
    with psycopg.connect(schema.server, autocommit=True) as connection:
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cut_ear'")
    moment(1.0)
    assert sleeper.answer is None
    begun = time.monotonic()
    putter.put(made())
    sleeper.join(30)
    assert sleeper.answer is True
    assert sleeper.ended - begun < 10


def test_without_a_bell_the_poll_finds_it_and_nothing_is_announced(schema: Place, opened: Opener) -> None:
    putter, waiter = opened("bell=off"), opened("bell=off&poll=500ms")
    putter.put(made(queue="other"))
    sleeper = Sleeper(waiter)
    moment(0.5)
    assert schema.ask("select count(*) from ropeway_waiting") == [(0,)]
    putter.put(made())
    sleeper.join(20)
    assert sleeper.answer is True


def test_a_busy_worker_is_not_rung(schema: Place, opened: Opener) -> None:
    """Its announcement stands between two waits, and is taken off by the claim that brings something."""
    store = opened()
    store.put(made(queue="other"))
    assert store.wait(["q"], 0.2) is False
    assert schema.ask("select count(*) from ropeway_waiting") == [(1,)]
    quiet = opened("bell=off")
    quiet.put(made())
    assert store.claim(["q"], 1, 60.0, HOLDER)
    end = time.monotonic() + 60
    while schema.ask("select count(*) from ropeway_waiting") != [(0,)]:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_every_ring_dropped_the_poll_finds_it(schema: Place, opened: Opener) -> None:
    putter, waiter = opened(), opened("poll=1s")
    putter.put(made(queue="other"))
    sleeper = Sleeper(waiter)
    asleep(schema, 1)
    schema.ask("delete from ropeway_waiting")
    begun = time.monotonic()
    putter.put(made())
    sleeper.join(20)
    assert sleeper.answer is True
    assert sleeper.ended - begun < 6


def test_a_child_of_a_fork_listens_by_itself(schema: Place, opened: Opener) -> None:
    """It has inherited a connection that listens, and a place to sleep in: both stay its parent's."""
    putter, store = opened(), opened()
    putter.put(made(queue="other"))
    assert store.wait(["q"], 0.2) is False
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if store.wait(["child"], 30.0) else 3)
        finally:
            os._exit(4)
    end = time.monotonic() + 20
    while not schema.ask("select 1 from ropeway_waiting where queue = 'child'"):
        assert time.monotonic() < end
        time.sleep(0.02)
    putter.put(made(queue="child"))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    later = threading.Timer(0.5, lambda: putter.put(made()))
    later.start()
    begun = time.monotonic()
    assert store.wait(["q"], 30.0) is True
    assert time.monotonic() - begun < 10
    later.join()
