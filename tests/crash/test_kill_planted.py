"""The run that kills is checked from end to end: an engine with a planted fault is found out, with the fault's own name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ropeway.job import Job
from ropeway.store import Ack, Handback, Lent, Store
from ropeway.stores import open_store
from ropeway.testing import crew
from ropeway.testing.kill import Plan, run


class Faulty:
    """A store that passes everything through but what it was told to do wrongly."""

    def __init__(self, store: Store, **wrong: Callable[..., Any]) -> None:
        self._store = store
        for verb, way in wrong.items():
            setattr(self, verb, lambda *given, way=way: way(store, *given))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def put_forgets(store: Store, jobs: Sequence[Job]) -> list[bool]:
    return [*store.put(jobs[1:]), True] if len(jobs) > 3 else store.put(jobs)


def nack_loses(store: Store, handbacks: Sequence[Handback]) -> list[bool]:
    return store.ack([Ack(one.receipt) for one in handbacks])


def ack_lies(store: Store, acks: Sequence[Ack]) -> list[bool]:
    store.nack([Handback(one.receipt) for one in acks[:1]])
    return [True, *store.ack(acks[1:])]


def bodies_change(store: Store, *given: Any) -> list[Lent]:
    lent = store.claim(*given)
    for one in lent:
        one.job.body += b"!"
    return lent


def lends_twice(store: Store, *given: Any) -> list[Lent]:
    """Hands out again what it has lent before, with a receipt of its own."""
    lent = store.claim(*given)
    return [Lent(one.job, f"{one.receipt}{mark}", one.attempt, one.deaths, one.until) for one in lent for mark in ("", "+")]


def delivers_after_ack(store: Store, *given: Any) -> list[Lent]:
    """Acks behind the worker's back, and puts the same job again."""
    lent = store.claim(*given)
    for one in lent[:1]:
        store.ack([Ack(one.receipt)])
        store.put([Job(one.job.id, one.job.queue, one.job.body)])
    return lent


FAULTS = {
    "lost": {"put": put_forgets},
    "lost ": {"nack": nack_loses},
    "again after ack": {"ack": ack_lies},
    "corrupt": {"claim": bodies_change},
    "held twice": {"claim": lends_twice},
    "attempt twice": {"claim": delivers_after_ack},
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_planted_fault_is_found(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "open_store", lambda url: Faulty(open_store(url), **FAULTS[kind]))
    (tmp_path / "ledger").mkdir()
    jobs = 600 if "nack" in FAULTS[kind] else 80  # one group in sixteen is given back
    plan = Plan(f"dir:{tmp_path}/spool?durability=os", processes=4, jobs=jobs, kills=0, stops=0, lease=0.5, patience=1.0)
    report = run(plan, tmp_path / "ledger")
    assert not report
    assert report.verdict.count(kind.strip()) > 0, report.verdict.violations[:5]


def test_without_a_fault_the_same_run_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "open_store", lambda url: Faulty(open_store(url)))
    (tmp_path / "ledger").mkdir()
    plan = Plan(f"dir:{tmp_path}/spool?durability=os", processes=4, jobs=150, kills=0, stops=0, lease=0.5)
    report = run(plan, tmp_path / "ledger")
    assert report, report
    assert report.verdict.figures["put.ok"] == 150
