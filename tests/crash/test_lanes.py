"""Processes are killed at random while all jobs are in lanes: each lane stays in order, one at a time, and none is stuck for ever."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ropeway.job import Job
from ropeway.store import Limits, Store
from ropeway.stores import open_store
from ropeway.testing import crew
from ropeway.testing.kill import Plan, run, shown
from ropeway.testing.ledger import Line
from ropeway.testing.order import crowded, lanes_of, overtaken

JOBS = int(os.environ.get("ROPEWAY_KILL_JOBS", "2000")) // 4


def test_killed_at_random_each_lane_stays_in_order(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    plan = Plan(f"dir:{tmp_path}/spool?durability=os", 8, JOBS, kills=JOBS // 10, stops=2, seed=os.getpid(), lease=1.0, lanes=4)
    report = run(plan, tmp_path / "ledger")
    assert report, f"{plan}\n{shown(report)}"
    assert report.verdict.figures["put.ok"] >= JOBS
    assert report.verdict.figures["kill"] == JOBS // 10
    assert report.verdict.figures["redelivered"] > 0, "nobody was killed while holding a job: the test saw nothing"


def test_killed_at_random_no_more_run_than_may(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    jobs = JOBS // 2
    plan = Plan(f"dir:{tmp_path}/spool?durability=os", 8, jobs, kills=jobs // 10, stops=2, seed=os.getpid(), lease=1.0, running=2)
    report = run(plan, tmp_path / "ledger")
    assert report, f"{plan}\n{shown(report)}"
    assert report.verdict.figures["redelivered"] > 0, "nobody was killed while holding a job: the test saw nothing"


# -- the judge finds what it is for


class Widened:
    """A store whose lanes let two run at once, though nobody asked for it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        for queue in {job.queue for job in jobs}:
            self._store.limit([queue], Limits(lane=2))
        return self._store.put(jobs)


def test_a_lane_of_two_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "open_store", lambda url: Widened(open_store(url)))
    (tmp_path / "ledger").mkdir()
    report = run(Plan(f"dir:{tmp_path}/spool?durability=os", 4, 100, kills=0, stops=0, lanes=2, patience=5.0), tmp_path / "ledger")
    assert any("lane" in fault for fault in report.faults), shown(report)


def story(*lines: tuple[str, str]) -> list[str]:
    """What the judge says of a ledger in which a and b were put into one lane, and then these things happened."""
    ledger = [Line(1.0, "p", "put.call", ids=["a", "b"], lanes=["x", "x"])]
    for number, (what, job) in enumerate(lines):
        at = 2.0 + number
        if what == "claim":
            ledger.append(Line(at, "w", "claim", ids=[job], receipts=[job], attempts=[1], untils=[99.0], called=at - 0.5))
        else:
            ledger.append(Line(at, "w", f"{what}.call", receipts=[job]))
    assert lanes_of(ledger) == {"x": ["a", "b"]}
    return overtaken(ledger)


def test_what_is_in_order_is_not_reported() -> None:
    assert story(("claim", "a"), ("ack", "a"), ("claim", "b"), ("ack", "b")) == []
    assert story(("claim", "a"), ("nack", "a"), ("claim", "a"), ("ack", "a"), ("claim", "b")) == []
    assert story(("claim", "b"), ("ack", "b")) == [], "the first was never stored, as far as anybody knows"


def test_two_at_once_are_reported() -> None:
    assert len(story(("claim", "a"), ("claim", "b"), ("ack", "a"))) == 1


def test_a_retry_that_was_overtaken_is_reported() -> None:
    assert len(story(("claim", "a"), ("nack", "a"), ("claim", "b"), ("claim", "a"), ("ack", "a"))) == 2


def test_a_crowd_is_reported() -> None:
    claims = [Line(1.0 + n, f"w{n}", "claim", ids=[r], receipts=[r], attempts=[1], untils=[9.0]) for n, r in enumerate("abc")]
    assert crowded(claims, 3) == []
    assert len(crowded(claims, 2)) == 1
    assert crowded([*claims, Line(1.5, "w0", "nack.call", receipts=["a"])], 2) == []
    assert crowded([*claims, Line(1.5, "nemesis", "kill", victim="w0")], 2) == []
