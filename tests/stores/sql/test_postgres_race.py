"""Processes that race on PostgreSQL: for the first moment of a store, and for its jobs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ropeway.store import Query
from ropeway.stores import open_store
from ropeway.testing.crew import DONE, Crew, fork, producer, worker
from ropeway.testing.history import judge
from ropeway.testing.ledger import read

from .postgres import Place

pytestmark = [pytest.mark.service("postgresql"), pytest.mark.timeout(180)]


def at_once(gate: int, latch: int, run: Callable[[Crew, str], None]) -> Callable[[Crew, str], None]:
    """`run`, as soon as the parent has closed its end of the latch."""

    def begin(crew: Crew, who: str) -> None:
        os.close(latch)
        os.read(gate, 1)
        run(crew, who)

    return begin


def codes(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def test_many_begin_at_once_where_there_are_no_tables(schema: Place, tmp_path: Path) -> None:
    """Each finds the schema, the tables and the functions made, or makes them, and none is turned away."""
    for turn in range(3):
        schema.ask(f'drop schema if exists "{schema.schema}" cascade')
        crew = Crew(schema.url, tmp_path / f"{turn}", rough=False)
        crew.folder.mkdir()
        gate, latch = os.pipe()
        pids = [fork(crew, f"producer-{number}", at_once(gate, latch, producer(2))) for number in range(8)]
        os.close(gate)
        os.close(latch)
        assert codes(pids) == [0] * 8, "the tracebacks are above"
        store = open_store(schema.url)
        assert sum(counts.ready for counts in store.counts().values()) == 16
        store.close()


def test_each_job_is_handed_out_exactly_once(schema: Place, tmp_path: Path) -> None:
    crew = Crew(schema.url, tmp_path / "ledger", lease=60.0, rough=False)
    crew.folder.mkdir()
    workers = [fork(crew, f"worker-{number}", worker) for number in range(4)]
    producers = [fork(crew, f"producer-{number}", producer(200)) for number in range(3)]
    try:
        assert codes(producers) == [0] * 3
    finally:
        (crew.folder / DONE).touch()
        ended = codes(workers)
    assert ended == [0] * 4
    store = open_store(schema.url)
    left = store.browse(Query(limit=None))
    store.close()
    verdict = judge(read(crew.folder), {entry.job.id: entry.state.value for entry in left})
    assert verdict, verdict.violations[:5]
    assert not left
    assert (verdict.figures["put.ok"], verdict.figures["ack.ok"], verdict.figures["redelivered"]) == (600, 600, 0)
