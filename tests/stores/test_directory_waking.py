"""Delayed jobs that an operator makes due now, part by part where all of a part is meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ropeway.job import Job, State
from ropeway.link import Link
from ropeway.store import Ack, Query, Store
from ropeway.stores.directory.disk import Disk

QUEUE = "q"


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    link = Link(f"dir:{tmp_path}/spool?durability=os&bell=off")
    yield link
    link.close()


def sleeping(link: Link, count: int) -> list[str]:
    jobs = [Job(link.new_id(), QUEUE, b"%d" % number, delay=1e6) for number in range(count)]
    link.store.put(jobs)
    return [job.id for job in jobs]


def wake(store: Store, ids: list[str]) -> int:
    return store.requeue(Query(queues=(QUEUE,), states=frozenset({State.DELAYED}), ids=tuple(ids), limit=None))


def drained(link: Link) -> list[str]:
    found: list[str] = []
    while lent := link.store.claim((QUEUE,), 100, 30, link.holder()):
        assert {one.attempt for one in lent} == {1}
        found += [one.job.id for one in lent]
        link.store.ack([Ack(one.receipt) for one in lent])
    return found


def test_all_of_many_parts_in_their_order(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    renames = [0]
    rename = Disk.rename

    def counted(self: Disk, *args: object) -> bool:
        renames[0] += 1
        return rename(self, *args)  # type: ignore[arg-type]

    ids = sleeping(link, 1000)
    monkeypatch.setattr(Disk, "rename", counted)
    assert wake(link.store, ids) == 1000
    assert renames[0] < 20, "some for each of the four parts, and none for a job"
    monkeypatch.undo()
    assert drained(link) == ids
    assert wake(link.store, ids) == 0


def test_some_of_a_part(link: Link) -> None:
    ids = sleeping(link, 300)
    assert wake(link.store, ids[:256] + ids[260:280]) == 276
    assert link.store.counts((QUEUE,))[QUEUE].delayed == 24
    assert sorted(drained(link)) == ids[:256] + ids[260:280]
    assert wake(link.store, ids) == 24
    assert drained(link) == ids[256:260] + ids[280:]


def test_what_is_left_of_a_part(link: Link) -> None:
    """Of a part from which one was deleted the rest is all that is open."""
    ids = sleeping(link, 10)
    assert link.store.delete(Query(queues=(QUEUE,), ids=(ids[4],), limit=None)) == 1
    assert wake(link.store, ids) == 9
    assert sorted(drained(link)) == ids[:4] + ids[5:]


def test_a_history_and_an_attempt_stay(link: Link) -> None:
    ids = sleeping(link, 20)
    assert wake(link.store, ids) == 20
    entries = link.store.browse(Query(queues=(QUEUE,), limit=None))
    assert [(entry.job.id, entry.state, entry.attempts, entry.deaths) for entry in entries] == [(i, State.READY, 0, 0) for i in ids]
