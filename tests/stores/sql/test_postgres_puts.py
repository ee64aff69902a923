"""Putting into PostgreSQL: many at once by COPY, one by a plain insert, and what happens when these do not fit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from ropeway.errors import Stopped
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Holder, Store
from ropeway.stores import open_store

from .postgres import Place

pytestmark = pytest.mark.service("postgresql")

HOLDER = Holder("host:1:puts", bound=False)
MANY = 120  # more than make a COPY worth it
new_id = IdMaker(time.time_ns, os.urandom)


@pytest.fixture
def store(schema: Place) -> Iterator[Store]:
    one = open_store(schema.url)
    yield one
    one.close()


def made(count: int, queue: str = "q", **more: object) -> list[Job]:
    return [Job(new_id(), queue, b"x", **more) for _ in range(count)]  # type: ignore[arg-type]


def test_many_of_which_some_are_here_already(store: Store) -> None:
    jobs = made(MANY)
    assert store.put(jobs[40:60]) == [True] * 20
    assert store.put(jobs) == [True] * MANY
    assert store.put(jobs) == [True] * MANY
    assert store.counts(["q"])["q"].ready == MANY


def test_many_with_keys_of_which_some_are_taken(store: Store) -> None:
    jobs = [Job(new_id(), "q", b"x", key=f"k{number % 100}") for number in range(MANY)]
    assert store.put(jobs) == [True] * 100 + [False] * 20


def test_many_for_a_queue_that_takes_none_store_nothing(store: Store) -> None:
    store.put(made(1, "open") + made(1, "shut"))
    store.pause(["shut"], put=True, reason="stocktaking")
    with pytest.raises(Stopped, match="stocktaking"):
        store.put(made(MANY, "open") + made(1, "shut"))
    assert store.counts(["open"])["open"].ready == 1
    assert store.put(made(MANY, "open")) == [True] * MANY, "and the connection is as good as before"


def test_one_for_a_queue_that_takes_none(store: Store) -> None:
    store.put(made(1))
    store.pause(["q"], put=True, reason="stocktaking")
    with pytest.raises(Stopped, match="stocktaking"):
        store.put(made(1))
    store.pause(["q"], put=False)
    assert store.put(made(1)) == [True]


def test_what_is_copied_comes_out_as_it_went_in(store: Store) -> None:
    jobs = [
        Job(new_id(), f"q{number % 3}", bytes([number]) * number, headers={"n": str(number)}, priority=number % 5, keep=9.0)
        for number in range(MANY)
    ]
    store.put(jobs)
    assert all(job.created > 1e9 and job.due == job.created for job in jobs)
    lent = store.claim(["q0", "q1", "q2"], MANY, 60.0, HOLDER)
    given = {one.job.id: one.job for one in lent}
    assert given == {job.id: job for job in jobs}
    order = [(one.job.queue, one.job.priority, one.job.due, one.job.id) for one in lent]
    assert order == sorted(order)
    assert store.ack([Ack(one.receipt, keep=0.0) for one in lent]) == [True] * MANY


def test_receipts_of_two_claims_in_one_ack_are_told_apart(store: Store) -> None:
    """The stale receipt of a job that is claimed anew, beside the sound receipt of another: by the same holder, in one call."""
    store.put(made(2))
    first = store.claim(["q"], 1, 0.05, HOLDER)
    while not (again := store.claim(["q"], 2, 60.0, HOLDER)):
        time.sleep(0.05)
    while len(again) < 2:
        again += store.claim(["q"], 2, 60.0, HOLDER)
    other = next(one for one in again if one.job.id != first[0].job.id)
    same = next(one for one in again if one.job.id == first[0].job.id)
    assert store.ack([Ack(first[0].receipt), Ack(other.receipt), Ack(other.receipt)]) == [False, True, False]
    assert store.ack([Ack(same.receipt), Ack(first[0].receipt)]) == [True, False]
