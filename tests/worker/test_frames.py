"""Between a worker and its children: frames that are cut anywhere, the cell, and children that die at any moment."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.errors import ConfigError
from ropeway.job import Attempt, Job, State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.store import Handback
from ropeway.worker.pools.cell import new_cell
from ropeway.worker.pools.frames import (
    Ask,
    Back,
    Broken,
    Buffer,
    Ended,
    Ends,
    Leave,
    Ready,
    Return,
    Sent,
    Work,
    framed,
    from_child,
    policy_of,
    to_child,
)
from ropeway.worker.run import Run

from . import workshop
from .conftest import Running, until

SENT = Sent(7, Job("a" * 32, "q", b"body", headers={"a": "b"}, task="t", lane="l"), "receipt", 2, 1, 12.5, 11.0, "")
ENDED = Ended(7, 2, 1.0, 2.0, Handback("r", 3.0, Attempt(1, 1.0, 2.0, "w", "failed", "no", "trace")), b"result", "text/plain", said=4)


def test_frames_are_understood_wherever_they_are_cut() -> None:
    said = [Work([SENT, SENT]), Return(), Leave()]
    data = b"".join(framed(message) for message in said)
    for cut in range(len(data) + 1):
        buffer = Buffer(to_child)
        assert [*buffer.feed(data[:cut]), *buffer.feed(data[cut:])] == said
    buffer = Buffer(to_child)
    assert [message for byte in data for message in buffer.feed(bytes([byte]))] == said


def test_both_directions_keep_every_field() -> None:
    said = [Ready(["a"]), Ends([ENDED, Ended(8, 1, 0.0, 0.0)]), Back([1, 2]), Ask(3, "note", ["key", b"value", 1.5])]
    assert list(Buffer(from_child).feed(b"".join(framed(message) for message in said))) == said


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1", framed(Leave()), b"\x00\x00\x00\x02\x91\x63"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(Broken):
        list(Buffer(from_child).feed(data))


def test_every_field_of_a_run_is_carried_or_is_the_workers_own() -> None:
    """Whoever adds a field to Run says here on which side of the process pool it lives."""
    carried = {"started", "ended", "end", "handback", "result", "result_type", "stale", "doubt", "failure"}
    of_the_claim = {"lent", "taken", "caller"}  # sent, or made anew from what was
    own = {"shift", "log", "deadline", "verdict", "stop", "signal", "retry", "given", "way", "claim", "group"}
    assert set(Run.__struct_fields__) == carried | of_the_claim | own
    assert carried <= set(Ended.__struct_fields__)


def test_the_cell_is_one_for_both_sides() -> None:
    fd, ours = new_cell()
    from ropeway.worker.pools.cell import Cell

    theirs = Cell(fd)
    os.close(fd)
    assert ours.begun() == (0, 0.0)
    theirs.begin(5, 1.25)
    assert ours.begun() == (5, 1.25)
    ours.tell(5, 3)
    assert (theirs.told(5), theirs.told(6)) == (3, 0)
    assert not theirs.stopping
    ours.stop()
    assert theirs.stopping


def test_a_policy_travels_in_numbers() -> None:
    policy = policy_of(Retry(7, base=2, cap=3, factor=1.5, jitter=0.5))
    assert policy is not None
    back = policy.retry()
    assert (back.attempts, back.base, back.cap, back.factor, back.jitter) == (7, 2.0, 3.0, 1.5, 0.5)
    with pytest.raises(ConfigError):
        policy_of(Retry(give_up_on=ValueError))


def test_children_killed_at_any_moment_lose_no_job(memory: Link, tmp_path: Path, start: Callable[..., Running]) -> None:
    """Each job is done in the end, none is dead, and each death costs at most the job that the child was in, and those that had ended
    without a word a moment before."""
    broker = Broker(memory, config=False)
    broker.include(workshop.tasks)
    chance, path, kills, jobs = random.Random(5), str(tmp_path / "journal"), 8, 1500
    try:
        for number in range(jobs):
            workshop.mark.put(path, f"j{number}")
        running = start(memory, broker.tasks, ["default"], pool="process", concurrency=2, retry=Retry(50, base=0.01))
        pool = running.worker._pool
        for _ in range(kills):
            until(lambda: any(kid.outstanding for kid in pool._hub._crew.kids))
            kids = [kid for kid in pool._hub._crew.kids if kid.outstanding]
            if kids:
                os.kill(chance.choice(kids).pid, signal.SIGKILL)
            done = running.worker.counters.done
            until(lambda: running.worker.counters.done > done or running.worker.counters.done == jobs)  # noqa: B023
        until(lambda: running.worker.counters.done == jobs, 100)
        assert Queue[Any](memory, "default").browse(limit=None, state=State.DEAD) == []
        assert running.worker.counters.lost == 0
        runs = Counter(line.split(" ")[3] for line in Path(path).read_text().splitlines())
        assert len(runs) == jobs
        assert sum(runs.values()) - jobs <= kills * 100, "more ran again than was in the hands of those that died"
        assert running.worker.counters.retried <= kills * 100
    finally:
        workshop.tasks.above = None
        running.worker.stop()
        running.end()
        broker.close()
