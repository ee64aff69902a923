"""The bottleneck of a queue: what `why --queue` names, planted in jobs, workers and history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ropeway.history.tally import Tally
from ropeway.store import Ack, Limits
from ropeway.testing.clock import FakeClock

from .stage import HOUR, Stage


@pytest.fixture(params=["memory", "dir"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    url = "memory:" if request.param == "memory" else f"dir:{tmp_path}/spool?durability=os&bell=off"
    made = Stage(url, FakeClock())
    yield made
    made.end()


def codes(stage: Stage) -> list[str]:
    return [one.code for one in stage.why_queue().causes]


def text(stage: Stage, code: str) -> str:
    (found,) = [one.text for one in stage.why_queue().causes if one.code == code]
    return found


def test_none_and_empty(stage: Stage) -> None:
    assert codes(stage) == ["no-queue"]
    stage.put()
    stage.store.ack([Ack(stage.claim().receipt)])
    assert codes(stage) == ["empty"]


def test_paused_and_without_workers(stage: Stage) -> None:
    stage.put()
    stage.store.pause(["q"], claim=True, reason="deploy")
    assert codes(stage) == ["claim-stopped", "no-worker"]
    assert "deploy" in text(stage, "claim-stopped")


def test_all_for_later(stage: Stage) -> None:
    stage.put(delay=HOUR)
    stage.put(delay=2 * HOUR)
    assert codes(stage) == ["all-delayed"]
    assert "in 1h" in text(stage, "all-delayed")


def test_at_its_limit(stage: Stage) -> None:
    stage.store.limit(["q"], Limits(running=1))
    first = stage.put()
    stage.put()
    stage.busy(stage.worker(slots=4))
    assert codes(stage) == ["limit"]
    assert first in text(stage, "limit")


def test_one_lane_hogs_it(stage: Stage) -> None:
    for _ in range(11):
        stage.put(lane="big customer")
    for n in range(9):
        stage.put(lane=f"small {n}")
    stage.worker()
    assert codes(stage) == ["one-lane"]
    assert "11 of the first 20 ready jobs are of the lane 'big customer'" in text(stage, "one-lane")


def test_one_task_has_the_slots(stage: Stage) -> None:
    for _ in range(4):
        stage.put(task="render")
    worker = stage.worker(slots=2)
    worker.go(2, 0.0)
    stage.pass_by(90)
    stage.busy(worker)
    assert codes(stage) == ["slow-task", "workers-full"]
    assert "the task render has 2 of 2 slots" in text(stage, "slow-task")
    assert "1m30s" in text(stage, "slow-task")


def test_a_storm_of_retries(stage: Stage) -> None:
    for _ in range(12):
        stage.put()
    for n in range(12):
        stage.fail(stage.claim(), "SMTPError: 451" if n < 10 else "OSError")
    stage.worker()
    assert codes(stage) == ["retry-storm"]
    assert "12 of 12 waiting jobs have failed before; 10 of them with: SMTPError: 451" in text(stage, "retry-storm")


def test_nothing_holds_it_up(stage: Stage) -> None:
    worker = stage.worker(slots=4)
    stage.put()
    stage.busy(worker)
    assert codes(stage) == ["keeping-up"]


def works(stage: Stage, done: int, run: float) -> None:
    """So many jobs of the queue were done in a minute that is over now, as the history has it."""
    tally = Tally(stage.link, "worker-1", lambda: 0.0)
    with tally.lock:
        tally.turn()
        cell = tally.cell("q", "")
        cell.done = done
        cell.runs += [run] * done
    assert tally.write()


@pytest.mark.parametrize(("done", "code"), [(30, "falling-behind"), (600, "catching-up")])
def test_what_comes_in_and_what_goes_out(stage: Stage, done: int, code: str) -> None:
    works(stage, done, 0.5)
    for _ in range(41):
        stage.put()
        stage.pass_by(1)
    stage.worker()
    stage.pass_by(19)
    assert codes(stage) == [code]
    assert "about 1 jobs a second come in" in text(stage, code)
    assert "(median)" in text(stage, code)
    assert "41 are ready" in text(stage, code)


def test_what_goes_first_is_told_with_the_time_that_it_takes(stage: Stage) -> None:
    works(stage, 60, 0.5)
    stage.pass_by(60)
    for _ in range(10):
        stage.put()
    job = stage.put()
    stage.worker()
    (found,) = [one for one in stage.why(job).causes if one.code == "behind"]
    assert "done a second that is about 1" in found.unblock, found
