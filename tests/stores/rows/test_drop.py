"""A queue that is dropped while others work with it: nothing that was put is lost, and whoever comes finds the new one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ropeway.store import ANY, Ack, Handback, Limits, Query
from ropeway.stores.directory import DirectoryStore
from ropeway.testing.clock import FakeClock

from .conftest import HOLDER, drain, job, names

Opened = Callable[..., DirectoryStore]


def test_what_is_put_meanwhile_is_never_lost(opened: Opened) -> None:
    """Two put, each a job when its last was taken, one claims, and a fourth drops the queue as often as it can."""
    stores = [opened() for _ in range(4)]
    put: list[str] = []
    got: list[str] = []
    dropped: list[bool] = []
    over, taken = threading.Event(), threading.Condition()

    def putter(store: DirectoryStore) -> None:
        for number in range(100):
            one = job(key=f"k{number}" if number % 5 == 0 else "", lane="x" if number % 7 == 0 else "")
            if store.put([one])[0]:
                put.append(one.id)
                with taken:
                    assert taken.wait_for(lambda one=one: one.id in got, 60), "it was put and never handed out"
                    if number % 10 == 9:  # a moment for the one that drops
                        before = len(dropped)
                        assert taken.wait_for(lambda before=before: len(dropped) > before, 40), "an empty queue was never dropped"

    def taker(store: DirectoryStore) -> None:
        while not over.is_set() or any(counts.ready + counts.running for counts in store.counts().values()):
            lent = store.claim(["q"], 3, 30.0, HOLDER)
            with taken:
                got.extend(one.job.id for one in lent)
                taken.notify_all()
            assert all(store.ack([Ack(one.receipt) for one in lent]))

    def dropper(store: DirectoryStore) -> None:
        while not over.is_set():
            if store.queues() == ["q"] and store.drop(["q"]) == [True]:
                with taken:
                    dropped.append(True)
                    taken.notify_all()

    with ThreadPoolExecutor(4) as pool:
        dropping, taking = pool.submit(dropper, stores[3]), pool.submit(taker, stores[2])
        putting = [pool.submit(putter, store) for store in stores[:2]]
        try:
            for one in putting:
                one.result(100)
        finally:
            over.set()
        taking.result(100)
        dropping.result(100)
    assert sorted(got) == sorted(put)
    assert stores[3].drop(["q"]) == [True]


def test_nothing_is_left_of_it(opened: Opened, spool: Path, clock: FakeClock) -> None:
    store = opened(clock=clock)
    store.limit(["q"], Limits(running=2, lane=2))
    store.pause(["q"], put=False, claim=True, reason="why")
    store.pause(["q"], claim=False)
    store.put([job(key="k", lane="x", keep=5.0), job(b"y" * 100_000), job()])
    assert store.drop(["q"]) == [False]
    (one,) = store.claim(["q"], 1, 30.0, HOLDER)
    store.nack([Handback(one.receipt, edit=job(b"z"))])
    for lent in drain(store):
        assert lent
    clock.advance(6.0)
    assert store.drop(["q"]) == [True]
    assert names(spool) == ["format"]
    assert store.queues() == []
    assert store.counts(["q"])["q"].limits == ANY


def test_a_waiter_of_another_process_hears_of_the_new_one(opened: Opened) -> None:
    """It had the old one open, and sleeps."""
    here, there = opened(), opened()
    here.put([job()])
    drain(there)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(there.wait, ["q"], 30.0)
        assert here.drop(["q"]) == [True]
        one = job()
        here.put([one])
        assert waiting.result(60) is True
    assert [lent.job.id for lent in drain(there)] == [one.id]


def test_a_quarantined_part_is_kept(opened: Opened, spool: Path) -> None:
    store = opened()
    store.put([job()])
    drain(store)
    (spool / "q/bad/something").write_bytes(b"damaged")
    assert store.drop(["q"]) == [False]
    assert (spool / "q/bad/something").exists()


def test_a_foreign_file_keeps_the_queue(opened: Opened, spool: Path) -> None:
    store = opened()
    store.put([job()])
    drain(store)
    (spool / "q/notes.txt").write_text("mine")
    assert store.drop(["q"]) == [False]
    assert (spool / "q/notes.txt").read_text() == "mine"
    one = job()
    store.put([one])
    assert [lent.job.id for lent in drain(store)] == [one.id]
    assert opened().browse(Query()) == []


@pytest.mark.parametrize("folder", ["jobs", "run"])
def test_a_drop_that_was_broken_off_leaves_a_queue_that_works(opened: Opened, spool: Path, folder: str) -> None:
    """As if who dropped it had died: some of its folders are gone, and others have them open."""
    here, there = opened(), opened()
    here.put([job()])
    drain(there)
    for path in sorted((spool / "q" / folder).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (spool / "q" / folder).rmdir()
    ids = []
    for store in (here, there, here):
        one = job()
        assert store.put([one]) == [True]
        ids.append(one.id)
    got = [lent.job.id for store in (there, here, there, here) for lent in drain(store)]
    assert sorted(got) == sorted(ids)
