"""The operator's verbs on all that fit, batch by batch: each job is met once, and what cannot be stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

import ropeway
from ropeway import sweep
from ropeway.errors import BadValue
from ropeway.handle import CANCEL
from ropeway.job import State
from ropeway.store import Query


@pytest.fixture(params=["memory:sweep", "dir:", "sqlite:"])
def broker(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[ropeway.Broker]:
    place = {"dir:": f"dir:{tmp_path}/spool?durability=os", "sqlite:": f"sqlite:{tmp_path}/jobs.db"}
    with ropeway.connect(place.get(request.param, request.param), config=False) as found:
        yield found
        for name in ("a", "b"):
            found.queue(name).purge()


def _all(broker: ropeway.Broker, query: Query, how: sweep.Sweep, limit: int) -> list[sweep.Swept]:
    out, after = [], ""
    while True:
        out.append(how(broker.link, replace(query, limit=limit, after=after)))
        if out[-1].after is None:
            return out
        after = out[-1].after


def test_all_are_called_back_in_batches(broker: ropeway.Broker) -> None:
    queue = broker.queue("a")
    queue.put_many([str(n) for n in range(25)])
    queue.put("later", delay="1h")
    claims = [queue.claim() for _ in range(3)]
    told = _all(broker, Query(queues=("a",)), sweep.cancel, 10)
    assert [one.met for one in told] == [10, 10, 6]
    assert (sum(one.count for one in told), sum(one.running for one in told)) == (26, 3)
    assert (queue.counts().ready, queue.counts().delayed, queue.counts().running) == (0, 0, 3)
    notes = broker.link.store.notes.notes(CANCEL)
    assert all(CANCEL + claim.id in notes for claim in claims if claim is not None)
    for claim in claims:
        assert claim is not None
        claim.ack()


def test_all_are_moved_and_those_whose_key_is_taken_stay(broker: ropeway.Broker) -> None:
    queue, other = broker.queue("a"), broker.queue("b")
    queue.put_many([str(n) for n in range(24)])
    queue.put("mine", key="k", priority=0)
    other.put("theirs", key="k")
    told = _all(broker, Query(queues=("a", "b")), sweep.move("b"), 10)
    assert sum(one.count for one in told) == 24
    assert sum(one.met for one in told) == 25, "what is there already is not met"
    assert (queue.counts().ready, other.counts().ready) == (1, 25)
    with pytest.raises(BadValue, match="done jobs cannot be"):
        sweep.move("b")(broker.link, Query(queues=("a",), states=frozenset({State.DONE})))


def test_the_dead_are_requeued_and_deleted_in_batches(broker: ropeway.Broker) -> None:
    queue = broker.queue("a")
    queue.put_many([str(n) for n in range(12)])
    for _ in range(12):
        claim = queue.claim()
        assert claim is not None
        claim.bury("no")
    dead = Query(queues=("a",), states=frozenset({State.DEAD}))
    assert sweep.requeue(broker.link, replace(dead, limit=5)).count == 5
    seen: list[int] = []
    sums = sweep.whole(broker.link, dead, sweep.delete, lambda so_far: seen.append(so_far.count))
    assert (sums.count, seen) == (7, [7])
    assert (queue.counts().dead, queue.counts().ready) == (0, 5)


def test_nothing_fits(broker: ropeway.Broker) -> None:
    assert sweep.cancel(broker.link, Query(queues=(), limit=10)) == sweep.Swept()
    assert sweep.whole(broker.link, Query(queues=("none",)), sweep.cancel).count == 0
