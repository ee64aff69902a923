"""Producers and consumers in processes of their own race for one store: while nobody is killed, each job is handed out exactly once."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import servers
from ropeway.store import Query
from ropeway.stores import open_store
from ropeway.testing.crew import DONE, Crew, fork, producer, worker
from ropeway.testing.history import judge
from ropeway.testing.ledger import read

ENGINES = {"dir": "dir:{}/spool?durability=os"}
PRODUCERS, WORKERS, EACH = 3, 5, 500


@pytest.mark.parametrize("engine", ENGINES)
def test_each_job_is_handed_out_exactly_once(engine: str, tmp_path: Path) -> None:
    before = servers.children()
    crew = Crew(ENGINES[engine].format(tmp_path), tmp_path / "ledger", lease=60.0, rough=False)
    crew.folder.mkdir()
    workers = [fork(crew, f"worker-{number}", worker) for number in range(WORKERS)]
    producers = [fork(crew, f"producer-{number}", producer(EACH)) for number in range(PRODUCERS)]
    try:
        assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in producers] == [0] * PRODUCERS
        store = open_store(crew.url)
        deadline = time.monotonic() + 30
        while any(counts.ready + counts.running for counts in store.counts().values()):
            assert time.monotonic() < deadline, f"not drained: {store.counts()}"
            time.sleep(0.02)
    finally:
        (crew.folder / DONE).touch()
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]
    assert codes == [0] * WORKERS
    left = store.browse(Query(limit=None))
    store.close()
    lines = read(crew.folder)
    verdict = judge(lines, {entry.job.id: entry.state.value for entry in left})
    assert verdict, verdict.violations[:5]
    assert not left
    figures = verdict.figures
    total = PRODUCERS * EACH
    assert (figures["put.ok"], figures["claim"], figures["ack.ok"], figures["redelivered"]) == (total, total, total, 0)
    shares = Counter({line.who: 0 for line in lines if line.what == "claim"})
    for line in lines:
        if line.what == "claim":
            shares[line.who] += len(line.ids)
    assert len(shares) > 1, "one worker did it all: no race was seen"
    assert servers.children() == before, "a process was left behind"


def at_once(gate: int, latch: int, run: Callable[[Crew, str], None]) -> Callable[[Crew, str], None]:
    """`run`, as soon as the parent has closed its end of the latch."""

    def begin(crew: Crew, who: str) -> None:
        os.close(latch)
        os.read(gate, 1)
        run(crew, who)

    return begin


@pytest.mark.parametrize("engine", ENGINES)
def test_many_begin_at_once_in_a_place_that_is_new(engine: str, tmp_path: Path) -> None:
    """The first moment of a store, met by eight processes: each finds it made, or makes it, and none is turned away."""
    for turn in range(15):
        (tmp_path / f"turn-{turn}").mkdir()
        crew = Crew(ENGINES[engine].format(tmp_path / f"turn-{turn}"), tmp_path / f"ledger-{turn}", rough=False)
        crew.folder.mkdir()
        gate, latch = os.pipe()
        pids = [fork(crew, f"producer-{number}", at_once(gate, latch, producer(2))) for number in range(8)]
        os.close(gate)
        os.close(latch)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        assert codes == [0] * 8, f"turn {turn}: the tracebacks are above"
        store = open_store(crew.url)
        assert sum(counts.ready for counts in store.counts().values()) == 16
        store.close()
