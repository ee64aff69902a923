"""Jobs that an operator removes or takes: those of a part together, whatever else the part holds, and the others stay where they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropeway.ids import IdMaker
from ropeway.job import Job, State
from ropeway.link import Link
from ropeway.store import Ack, Entry, Handback, Query
from ropeway.stores.directory.disk import Disk

QUEUE = "q"


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    link = Link(f"dir:{tmp_path}/spool?durability=os&bell=off")
    yield link
    link.close()


def put(link: Link, count: int, delay: float = 0.0) -> list[str]:
    jobs = [Job(link.new_id(), QUEUE, b"%d" % number, delay=delay) for number in range(count)]
    link.store.put(jobs)
    return [job.id for job in jobs]


def delete(link: Link, ids: list[str]) -> int:
    return link.store.delete(Query(queues=(QUEUE,), ids=tuple(ids), limit=None))


def left(link: Link) -> list[tuple[str, State, int]]:
    return [(entry.job.id, entry.state, entry.attempts) for entry in link.store.browse(Query(queues=(QUEUE,), limit=None))]


def touches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many names of the folder were listed, renamed and removed from now on."""
    count = [0]
    for verb in ("names", "rename", "unlink", "link"):
        plain = getattr(Disk, verb)

        def counted(self: Disk, *args: object, plain: object = plain) -> object:
            count[0] += 1
            return plain(self, *args)  # type: ignore[operator]

        monkeypatch.setattr(Disk, verb, counted)
    return count


@pytest.mark.parametrize("delay", [0.0, 1e6])
def test_all_of_many_parts_cost_a_few_touches_a_part(link: Link, monkeypatch: pytest.MonkeyPatch, delay: float) -> None:
    ids = [job for _ in range(20) for job in put(link, 50, delay)]
    count = touches(monkeypatch)
    assert delete(link, ids) == 1000
    assert count[0] < 20 * 8 + 100
    assert left(link) == []
    assert delete(link, ids) == 0


@pytest.mark.parametrize("delay", [0.0, 1e6])
def test_some_of_each_part_and_the_others_stay_as_they_were(link: Link, monkeypatch: pytest.MonkeyPatch, delay: float) -> None:
    ids = [job for _ in range(20) for job in put(link, 50, delay)]
    before = left(link)
    over = {job for number, job in enumerate(ids) if number % 3}
    count = touches(monkeypatch)
    assert delete(link, [*over]) == len(over)
    assert count[0] < 20 * 12 + 100
    assert left(link) == [row for row in before if row[0] not in over]
    monkeypatch.undo()
    lent = link.store.claim((QUEUE,), 1000, 30, link.holder())
    assert ([one.job.id for one in lent], {one.attempt for one in lent}) == (
        ([], set()) if delay else ([job for job in ids if job not in over], {1})
    )
    assert all(link.store.ack([Ack(one.receipt) for one in lent]))


@pytest.mark.parametrize("delay", [0.0, 1e6])
@pytest.mark.parametrize("every", [1, 2, 10])
def test_a_pick_takes_those_of_a_part_together(link: Link, monkeypatch: pytest.MonkeyPatch, delay: float, every: int) -> None:
    ids = [job for _ in range(20) for job in put(link, 50, delay)]
    before = left(link)
    wanted = ids[::every]
    count = touches(monkeypatch)
    lents = link.store.pick(QUEUE, [*reversed(wanted), link.new_id(), "no id"], 30.0, link.holder())
    # names are listed for each part that is there; what is between two that were taken goes back by three touches
    assert count[0] < (20 * 8 if every == 1 else len(wanted) * 4) + 400
    monkeypatch.undo()
    assert [lent and lent.job.id for lent in lents] == [*reversed(wanted), None, None]
    held = {lent.job.id for lent in lents if lent}
    assert [row for row in left(link) if row[0] not in held] == [row for row in before if row[0] not in held]
    assert all(link.store.nack([Handback(lent.receipt, restore=True, priority=7) for lent in lents if lent]))
    assert {entry.attempts for entry in link.store.browse(Query(queues=(QUEUE,), limit=None))} == {0}


def test_a_pick_of_what_was_brought_from_another_store(link: Link) -> None:
    """Its id tells a moment long ago, and the part that it is in may have another."""
    old = [Entry(Job(IdMaker(lambda n=number: n * 10**15, os.urandom)(), QUEUE, b"x"), State.READY, 0.0) for number in range(1, 9)]
    assert all(link.store.bring(old))
    ids = [entry.job.id for entry in old]
    assert [lent and lent.job.id for lent in link.store.pick(QUEUE, ids[2:6], 30.0, link.holder())] == ids[2:6]
    assert [entry.job.id for entry in link.store.browse(Query(queues=(QUEUE,), states=frozenset({State.READY}), limit=None))] == ids[
        :2
    ] + ids[6:]


def test_a_part_of_which_some_are_claimed(link: Link) -> None:
    ids = put(link, 50)
    lent = link.store.claim((QUEUE,), 20, 30, link.holder())
    assert delete(link, ids) == 30, "what runs is left alone"
    assert all(link.store.ack([Ack(one.receipt) for one in lent]))
    assert left(link) == []


def test_a_claim_that_came_meanwhile_hears_of_what_went_back(link: Link) -> None:
    """Between the take of a part and its return nobody sees what is in it: who looked then is told."""
    ids, rung = put(link, 3), list[int]()
    station = link.store._hub.station(QUEUE)  # type: ignore[attr-defined]
    station.ring = lambda jobs: rung.append(jobs)
    assert delete(link, ids[:1] + ids[2:]) == 2
    assert sum(rung) == 1
