"""Looking at jobs that move meanwhile: what is somewhere is never answered as gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ropeway.job import State
from ropeway.store import Ack, Handback, Query
from ropeway.stores.directory import DirectoryStore, parts
from ropeway.stores.directory.receipts import Receipts

from .conftest import HOLDER, job

Opened = Callable[..., DirectoryStore]


def test_a_part_that_is_renamed_by_each_ack_is_still_found(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ack renames the file that holds the others: between its listing and its reading, again and again."""
    store = opened()
    jobs = [job(b"%d" % n, keep=60.0) for n in range(8)]
    store.put(jobs)
    lent = store.claim(["q"], 8, 60.0, HOLDER)
    waiting = lent[:5]
    read = parts.read

    def late(*given: Any) -> Any:
        if waiting:
            assert store.ack([Ack(waiting.pop().receipt)]) == [True]
        return read(*given)

    monkeypatch.setattr(parts, "read", late)
    entries = store.browse(Query(ids=tuple(one.id for one in jobs)))
    assert [entry.job.id for entry in sorted(entries, key=lambda entry: entry.job.id)] == [one.id for one in jobs]
    assert {entry.state for entry in entries} <= {State.RUNNING, State.DONE}


def test_a_job_that_is_nowhere_is_looked_for_and_not_found(opened: Opened) -> None:
    store = opened()
    store.put([job(b"here")])
    assert store.browse(Query(ids=(job(b"never put").id,))) == []


@pytest.mark.parametrize("verb", ["ack", "bury", "nack"])
def test_a_job_on_its_way_out_of_its_part_is_somewhere(opened: Opened, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """The part has let go of it, and whoever carries it on has to wait, or dies: it is what it will be."""
    store, other = opened(), opened()
    jobs = [job(b"%d" % n, keep=60.0) for n in range(3)]
    store.put(jobs)
    lent = store.claim(["q"], 3, 60.0, HOLDER)
    publish, seen = Receipts._publish, []

    def late(*given: Any) -> bool:
        seen.append([entry.state for entry in other.browse(Query(ids=(jobs[1].id,)))])
        return publish(*given)

    monkeypatch.setattr(Receipts, "_publish", late)
    one = lent[1].receipt
    assert getattr(store, verb)([Ack(one) if verb == "ack" else Handback(one, 60.0 if verb == "nack" else 0.0)]) == [True]
    assert seen[0] == [{"ack": State.DONE, "bury": State.DEAD, "nack": State.DELAYED}[verb]]
