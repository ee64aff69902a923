"""The engine http: against the model, over random lives of jobs, and under a race of processes: all over real sockets to a real server."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

import servers
from ropeway.clock import Clock
from ropeway.store import Query, Store
from ropeway.stores import open_store
from ropeway.testing.crew import DONE, Crew, fork, producer, worker
from ropeway.testing.history import judge
from ropeway.testing.ledger import read
from ropeway.testing.model import DirectoryEngine, Engine, StoreMachine

from .conftest import Start
from .inside import Inside

EXAMPLES = os.environ.get("ROPEWAY_MODEL_EXAMPLES", "")
LIVES = settings(
    max_examples=int(EXAMPLES or 15),
    stateful_step_count=30,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink) if os.environ.get("ROPEWAY_MODEL_SHRINK") else (Phase.generate,),
)


class RemoteEngine(Engine):
    """A server in this process, on the test's clock, whose store nobody else touches. A claim over HTTP belongs to nobody's process, so
    there is no death to be shown."""

    def __init__(self) -> None:
        self.inside: Inside | None = None
        self.url = ""

    def store(self) -> str:
        """The URL of the server's own store."""
        return "memory:"

    def open(self, clock: Clock) -> Store:
        if self.inside is None:
            self.inside = Inside(self.store(), clock)
            self.url = self.inside.start()
        return open_store(self.url, clock)

    def close(self) -> None:
        if self.inside is not None:
            self.inside.stop()
            self.inside = None


class RemoteFolder(RemoteEngine):
    slack = DirectoryEngine.slack
    suspects_alone = DirectoryEngine.suspects_alone
    lists_ahead = DirectoryEngine.lists_ahead
    batches_together = DirectoryEngine.batches_together
    shared_leases = DirectoryEngine.shared_leases
    lanes_hand_over = DirectoryEngine.lanes_hand_over

    def __init__(self) -> None:
        super().__init__()
        self.place = DirectoryEngine()

    def store(self) -> str:
        return self.place.url

    def leftovers(self) -> list[str]:
        super().close()  # the server's own store object is one of those that must have closed
        return self.place.leftovers()

    def close(self) -> None:
        super().close()
        self.place.close()


class RemoteMemoryMachine(StoreMachine):
    make = RemoteEngine


class RemoteFolderMachine(StoreMachine):
    make = RemoteFolder


TestRemoteMemory = pytest.mark.timeout(900)(RemoteMemoryMachine.TestCase)
TestRemoteMemory.settings = LIVES
TestRemoteFolder = pytest.mark.timeout(900)(RemoteFolderMachine.TestCase)
TestRemoteFolder.settings = LIVES


@pytest.mark.parametrize("kind", ["memory", "dir"])
def test_processes_race_for_one_server(kind: str, starter: Start, tmp_path: Path) -> None:
    """Each job is handed out exactly once, and each ack that was answered holds."""
    server = starter(url=f"memory:{tmp_path.name}" if kind == "memory" else "")
    url = f"http://:{server.token}@{server.host}"
    crew = Crew(url, tmp_path / "ledger", lease=60.0, rough=False)
    crew.folder.mkdir()
    before = servers.children()
    workers = [fork(crew, f"worker-{number}", worker) for number in range(4)]
    producers = [fork(crew, f"producer-{number}", producer(200)) for number in range(3)]
    try:
        assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in producers] == [0] * 3
        store = open_store(url)
        deadline = time.monotonic() + 60
        while any(counts.ready + counts.running for counts in store.counts().values()):
            assert time.monotonic() < deadline, f"not drained: {store.counts()}"
            time.sleep(0.02)
    finally:
        (crew.folder / DONE).touch()
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]
    assert codes == [0] * 4
    left = store.browse(Query(limit=None))
    store.close()
    lines = read(crew.folder)
    verdict = judge(lines, {entry.job.id: entry.state.value for entry in left})
    assert verdict, verdict.violations[:5]
    assert not left
    figures = verdict.figures
    assert (figures["put.ok"], figures["claim"], figures["ack.ok"], figures["redelivered"]) == (600, 600, 600, 0)
    shares = Counter(line.who for line in lines if line.what == "claim")
    assert len(shares) > 1, "one worker did it all: no race was seen"
    assert servers.children() == before, "a process was left behind"
