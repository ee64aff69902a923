"""What becomes of a run that has ended."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway.errors import Discard, RetryLater
from ropeway.job import Job
from ropeway.link import Link
from ropeway.options import Settings
from ropeway.retry import Retry
from ropeway.store import Lent
from ropeway.testing.clock import FakeClock
from ropeway.worker.judge import Judge
from ropeway.worker.run import End, Run, Shift, Verdict


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shift(clock: FakeClock) -> Shift:
    return Shift(Link("memory:", clock), 30.0)


def run_of(shift: Shift, attempt: int = 1, **job: Any) -> Run:
    lent = Lent(Job(shift.link.new_id(), "q", **job), "receipt", attempt, 0, shift.boot() + 30)
    return Run(lent, shift, shift.boot(), started=shift.boot())


def boom(text: str = "smtp busy") -> BaseException:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_done_keeps_a_result_only_if_the_job_is_kept(shift: Shift) -> None:
    judge = Judge(shift, None)
    run = run_of(shift)
    judge.done(run, object())
    assert (run.end, run.result) == (End.DONE, None)
    run = run_of(shift, keep=60.0)
    judge.done(run, {"a": 1})
    assert (run.end, run.result, run.result_type) == (End.DONE, b'{"a":1}', "application/json")


@pytest.mark.parametrize("value", [object(), b"x" * (1024 * 1024 + 1)])
def test_a_result_that_cannot_be_kept_buries_with_the_reason(shift: Shift, value: object) -> None:
    """Not retried: the work was done, and would be done again."""
    run = run_of(shift, keep=60.0)
    Judge(shift, None).done(run, value)
    assert run.end is End.BURIED
    assert run.handback is not None
    assert run.handback.attempt is not None
    assert "its result cannot be kept" in run.handback.attempt.error
    assert run.result is None


def test_an_error_is_retried_with_back_off_and_in_the_end_buried(shift: Shift, clock: FakeClock) -> None:
    judge = Judge(shift, Retry(3, base=10, jitter=0))
    delays = []
    for attempt in (1, 2):
        run = run_of(shift, attempt)
        clock.advance(2)
        judge.raised(run, boom())
        assert run.end is End.RETRIED
        assert run.handback is not None
        delays.append(run.handback.delay)
        said = run.handback.attempt
        assert said is not None
        assert (said.number, said.outcome, said.error, said.worker) == (attempt, "failed", "ValueError: smtp busy", shift.name)
        assert said.ended - said.started == pytest.approx(2)
        assert "in boom\n    raise ValueError(text)" in said.traceback
    assert delays == [10, 20]
    run = run_of(shift, 3)
    judge.raised(run, boom())
    assert run.end is End.BURIED
    assert run.handback is not None
    assert run.handback.attempt is not None
    assert run.handback.attempt.number == 3


def test_the_tasks_policy_comes_before_the_workers_and_that_before_the_queues(shift: Shift) -> None:
    shift.link.settings_of = lambda queue: Settings(retry=Retry(1)) if queue == "q" else None
    run = run_of(shift)
    Judge(shift, None).raised(run, boom())
    assert run.end is End.BURIED
    run = run_of(shift)
    Judge(shift, Retry(2)).raised(run, boom())
    assert run.end is End.RETRIED
    run = run_of(shift)
    run.retry = Retry(1)
    Judge(shift, Retry(2)).raised(run, boom())
    assert run.end is End.BURIED


def test_types_that_are_given_up_on(shift: Shift) -> None:
    run = run_of(shift)
    Judge(shift, Retry(5, give_up_on=ValueError)).raised(run, boom())
    assert run.end is End.BURIED
    run = run_of(shift)
    Judge(shift, Retry(5, on=OSError)).raised(run, boom())
    assert run.end is End.BURIED


def test_retry_later_does_not_count_and_discard_ends(shift: Shift) -> None:
    judge = Judge(shift, Retry(1))
    run = run_of(shift)
    judge.raised(run, RetryLater("2m"))
    assert (run.end, run.handback and (run.handback.delay, run.handback.restore)) == (End.SNOOZED, (120.0, True))
    run = run_of(shift)
    judge.raised(run, Discard("no such user"))
    assert run.end is End.BURIED
    assert run.handback is not None
    assert run.handback.attempt is not None
    assert (run.handback.attempt.outcome, run.handback.attempt.error) == ("discarded", "no such user")
    run = run_of(shift)
    judge.raised(run, RetryLater("soon"))
    assert run.end is End.BURIED


def test_whatever_is_raised_is_the_jobs(shift: Shift) -> None:
    class Hostile(BaseException):
        def __str__(self) -> str:
            raise RuntimeError

    for error in (SystemExit(0), KeyboardInterrupt(), Hostile(), RecursionError("deep")):
        run = run_of(shift)
        Judge(shift, Retry(5, on=BaseException)).raised(run, error)
        assert run.end is End.RETRIED


def test_again_grows_and_never_ends(shift: Shift) -> None:
    judge = Judge(shift, Retry(2, base=1, cap=100, jitter=0))
    delays = []
    for attempt in (1, 2, 3, 50):
        run = run_of(shift, attempt)
        judge.again(run, "exit 75")
        assert run.end is End.RETRIED
        assert run.handback is not None
        delays.append(run.handback.delay)
    assert delays == [1, 2, 4, 100]


VERDICTS = [
    (Verdict.LOST, End.LOST),
    (Verdict.TIMEOUT, End.RETRIED),
    (Verdict.RETURNED, End.RETURNED),
    (Verdict.CANCELLED, End.CANCELLED),
]


@pytest.mark.parametrize(("verdict", "end"), VERDICTS)
@pytest.mark.parametrize("how", ["done", "raised", "failed", "refused", "again"])
def test_a_verdict_that_came_first_overrules(shift: Shift, verdict: Verdict, end: End, how: str) -> None:
    judge = Judge(shift, Retry(5))
    run = run_of(shift)
    run.verdict, run.deadline = verdict, run.started + 30
    given = {"done": (1,), "raised": (boom(),), "failed": ("x",), "refused": ("x",), "again": ("x",)}[how]
    getattr(judge, how)(run, *given)
    if verdict is Verdict.RETURNED and how == "done":
        end = End.DONE  # it made it before it was given back
    assert run.end is end
    if verdict is Verdict.TIMEOUT:
        assert run.handback is not None
        assert run.handback.attempt is not None
        assert (run.handback.attempt.outcome, run.handback.attempt.error) == ("timeout", "timed out after 30s")


def test_our_own_frames_are_not_in_the_traceback(shift: Shift) -> None:
    from ropeway.durations import seconds

    def job() -> None:
        seconds("nonsense")

    try:
        job()
    except ValueError as error:
        run = run_of(shift)
        Judge(shift, None).raised(run, error)
    assert run.handback is not None
    assert run.handback.attempt is not None
    assert "in job" in run.handback.attempt.traceback.replace("test_our_own_frames_are_not_in_the_traceback.<locals>.", "")
