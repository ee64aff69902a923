"""A job that is looked for by its id: the jobs of other queues, however many, are not unpacked for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropeway.job import Job, State
from ropeway.link import Link
from ropeway.store import Query
from ropeway.stores.directory import parts


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs that were unpacked."""
    told: list[str] = []
    real = parts.unpack_job

    def unpack(data: bytes | memoryview) -> Job:
        told.append((job := real(data)).id)
        return job

    monkeypatch.setattr(parts, "unpack_job", unpack)
    return told


def test_one_job_among_many_of_another_queue(tmp_path: Path, unpacked: list[str]) -> None:
    link = Link(f"dir:{tmp_path}/spool?durability=os&bell=off")
    try:
        link.store.put([Job(link.new_id(), "bulk", b"%d" % number) for number in range(2000)])
        (one,) = many = [Job(link.new_id(), "small", b"x")]
        link.store.put(many)
        unpacked.clear()
        (found,) = link.store.browse(Query(ids=(one.id,)))
        assert (found.job.id, found.state) == (one.id, State.READY)
        assert len(unpacked) < 10
        unpacked.clear()
        assert link.store.browse(Query(ids=(link.new_id(),))) == []
        assert unpacked == []
    finally:
        link.close()


def test_one_of_a_part_and_some_of_many(tmp_path: Path) -> None:
    link = Link(f"dir:{tmp_path}/spool?durability=os&bell=off")
    try:
        jobs = [Job(link.new_id(), "bulk", b"%d" % number) for number in range(600)]
        link.store.put(jobs)
        for wanted in ([jobs[599]], jobs[250:260], jobs[100:200]):
            found = link.store.browse(Query(ids=tuple(job.id for job in wanted), limit=None))
            assert {entry.job.id: entry.job.body for entry in found} == {job.id: job.body for job in wanted}
    finally:
        link.close()
