"""Many processes on one server: none shares a job while nobody is killed, and none loses one while everybody is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ropeway.store import Query
from ropeway.stores import open_store
from ropeway.testing.crew import DONE, Crew, fork, producer, worker
from ropeway.testing.history import judge
from ropeway.testing.kill import Plan, run, shown
from ropeway.testing.ledger import read

JOBS = int(os.environ.get("ROPEWAY_KILL_JOBS", "1000"))
PROCESSES = int(os.environ.get("ROPEWAY_KILL_PROCESSES", "10"))
PRODUCERS, WORKERS, EACH = 3, 5, 400


def ends(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def test_each_job_is_handed_out_exactly_once(url: str, tmp_path: Path) -> None:
    crew = Crew(url, tmp_path / "ledger", lease=60.0, rough=False)
    crew.folder.mkdir()
    open_store(url).close()
    workers = [fork(crew, f"worker-{number}", worker) for number in range(WORKERS)]
    producers = [fork(crew, f"producer-{number}", producer(EACH)) for number in range(PRODUCERS)]
    store = open_store(crew.url)
    try:
        assert ends(producers) == [0] * PRODUCERS
        deadline = time.monotonic() + 60
        while any(counts.ready + counts.running for counts in store.counts().values()):
            assert time.monotonic() < deadline, f"not drained: {store.counts()}"
            time.sleep(0.02)
    finally:
        (crew.folder / DONE).touch()
        codes = ends(workers)
    assert codes == [0] * WORKERS
    assert store.browse(Query(limit=None)) == []
    store.close()
    lines = read(crew.folder)
    verdict = judge(lines, {})
    assert verdict, verdict.violations[:5]
    total = PRODUCERS * EACH
    figures = verdict.figures
    assert (figures["put.ok"], figures["claim"], figures["ack.ok"], figures["redelivered"]) == (total, total, total, 0)
    assert len({line.who for line in lines if line.what == "claim"}) > 1, "one worker did it all: no race was seen"


@pytest.mark.timeout(120 + JOBS // 20)
def test_killed_at_random_nothing_is_lost_and_nothing_held_twice(url: str, tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    plan = Plan(url, PROCESSES, JOBS, kills=JOBS // 25, stops=2, seed=os.getpid(), lease=1.0)
    report = run(plan, tmp_path / "ledger")
    assert report, f"{plan}\n{shown(report)}"
    figures = report.verdict.figures
    assert figures["put.ok"] >= JOBS
    assert figures["kill"] == JOBS // 25
    assert figures["redelivered"] > 0, "nobody was killed while holding a job: the test saw nothing"
