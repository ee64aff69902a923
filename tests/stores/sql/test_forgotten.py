"""What should have been forgotten, and still lies in its table, stands in nobody's way."""

from __future__ import annotations

from pathlib import Path

from ropeway.ids import IdMaker
from ropeway.job import Job, State
from ropeway.store import Ack, Entry, Handback, Holder, Query, Store
from ropeway.stores import open_store
from ropeway.testing.clock import FakeClock

HOLDER = Holder("host:1:test")


def settled(tmp_path: Path, clock: FakeClock, job: Job, *, dead: bool) -> Store:
    """A store in which the job has ended, and whose time is over."""
    store = open_store(f"sqlite:{tmp_path}/jobs.db?dead_keep=60", clock)
    store.put([job])
    (lent,) = store.claim(["q"], 1, 30.0, HOLDER)
    assert (store.bury([Handback(lent.receipt)]) if dead else store.ack([Ack(lent.receipt, keep=60.0)])) == [True]
    clock.advance(61)
    return store


def test_a_job_that_is_put_again_is_there(tmp_path: Path) -> None:
    for dead in (True, False):
        clock = FakeClock()
        job = Job(IdMaker(lambda: 10**18, bytes)(), "q", b"again")
        store = settled(tmp_path / str(dead), clock, job, dead=dead)
        assert store.put([job]) == [True]
        assert [lent.job.body for lent in store.claim(["q"], 1, 30.0, HOLDER)] == [b"again"]
        store.close()


def test_so_is_one_that_is_brought(tmp_path: Path) -> None:
    clock = FakeClock()
    job = Job(IdMaker(lambda: 10**18, bytes)(), "q", b"again")
    store = settled(tmp_path, clock, job, dead=False)
    assert store.bring([Entry(job, State.READY, clock.now())]) == [True]
    assert [entry.state for entry in store.browse(Query())] == [State.READY]
    store.close()
