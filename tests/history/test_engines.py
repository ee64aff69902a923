"""The history on every engine: several workers are one history, and a worker's end, however it comes, takes nothing of it away."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engines import engines, place
from ropeway.broker import Broker
from ropeway.errors import Discard
from ropeway.history.reading import HistoryRow
from ropeway.link import Link
from ropeway.retry import Retry

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("busy.py")


def sums(rows: list[HistoryRow], queue: str) -> tuple[int, int, int]:
    """Done, failed and dead, in all minutes: the clock may have turned to the next one meanwhile."""
    own = [row for row in rows if row.queue == queue]
    return sum(row.done for row in own), sum(row.failed for row in own), sum(row.dead for row in own)


@pytest.mark.parametrize("engine", engines())
def test_several_workers_are_one_history(engine: str, tmp_path: Path) -> None:
    tries: list[int] = []
    with place(engine, tmp_path) as url, Broker(Link(url), config=False) as broker:

        @broker.task(queue="mails", retry=Retry(3, base=0.001, jitter=False))
        def send(number: int) -> None:
            tries.append(number)
            if number == 1:
                raise Discard("no such user")
            if number == 2 and tries.count(2) == 1:
                raise ValueError("again")

        for start in (0, 10, 20):
            send.map(range(start, start + 10))
            broker.worker("mails", drain=True).run()
        rows = broker.history()
        assert sums(rows, "mails") == (29, 1, 1)
        assert {row.task.rpartition(".")[2] for row in rows} == {"send"}
        assert all(row.run_p95 is not None and row.wait_p50 is not None and row.wait_p50 < 60 for row in rows)
        assert sums(broker.history("24h"), "mails") == (29, 1, 1)
        assert broker.history(queue="other") == []
        assert 1 <= len(broker.notes.notes("history/m/")) <= 2, "each went on in the note of the one before"


def written(broker: Broker) -> tuple[int, int]:
    """How many ends stand in the minutes, and how many in the hours."""
    return sum(sums(broker.history(), "mails")), sum(sums(broker.history("1d"), "mails"))


def started(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(PROGRAM), url], stdout=subprocess.PIPE, text=True)


def until(condition: Callable[[], bool], timeout: float = 40.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


@pytest.mark.parametrize("engine", engines(processes=True))
def test_a_worker_that_is_killed_leaves_what_it_wrote(engine: str, tmp_path: Path) -> None:
    with place(engine, tmp_path) as url, Broker(Link(url), config=False) as broker:
        queue = broker.queue("mails")

        def put(number: int) -> None:
            queue.put_jobs([queue.job(b"[%d]" % n, "application/json", task="send") for n in range(number)])

        first = started(url)
        try:
            put(5)
            until(lambda: written(broker) == (5, 5))  # two notes, and it may be killed between them
        finally:
            first.kill()
            first.communicate(timeout=30)
        second = started(url)
        try:
            put(3)
            until(lambda: written(broker) == (8, 8))
        finally:
            second.terminate()
            second.communicate(timeout=60)
        assert written(broker) == (8, 8)
