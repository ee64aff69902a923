"""Running what is due, here and now: a test puts jobs by way of the program, and then has them run as by a worker, in its own thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from ..durations import Duration, seconds
from ..errors import BadValue, RemoteError, Stopped
from ..job import Job, State
from ..store import Query
from ..worker.audience import Audience
from ..worker.here import Here
from ..worker.planter import Planter
from ..worker.run import End, Run
from .clock import FakeClock

if TYPE_CHECKING:
    from ..broker import Broker

_WAITING = frozenset({State.READY, State.DELAYED})
_MOST = 10_000  # runs in one moment: a job that puts itself again would go on for ever
_SCHEDULES = "_schedules"


class Ran(Struct):
    """One run. `outcome`: done, retried, snoozed (it asked to run later), dead, lost, cancelled. `delay`: seconds until its next try."""

    job: Job
    outcome: str
    error: str = ""
    delay: float = 0.0
    exception: BaseException | None = None


class Drained(Struct):
    """What `drain` did, in order."""

    runs: list[Ran] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Ran]:
        return iter(self.runs)

    @property
    def done(self) -> list[Ran]:
        """Those that ended well."""
        return [ran for ran in self.runs if ran.outcome == "done"]

    @property
    def retried(self) -> list[Ran]:
        """Those that failed, and wait for another try."""
        return [ran for ran in self.runs if ran.outcome == "retried"]

    @property
    def dead(self) -> list[Ran]:
        """Those that failed for the last time."""
        return [ran for ran in self.runs if ran.outcome == "dead"]

    def check(self) -> Drained:
        """Raise the first error there was, of a try that failed as well; itself, if there was none."""
        for ran in self.runs:
            if ran.outcome in ("retried", "dead"):
                raise ran.exception or RemoteError(f"job {ran.job.id} failed: {ran.error}")
        return self


def drain(broker: Broker, *queues: str, until: Duration | None = None) -> Drained:
    """Run every due job of these queues, or of all that hold jobs of tasks, in this thread, until nothing is due. What they put runs too.
    As a worker that starts, it first makes the durable groups of the code: so drain once before the first message is published.

    `until`: let that much time pass on the broker's FakeClock, and run what comes due on the way, each at its moment: delayed jobs,
    retries, ticks of schedules. The order is that of a worker with one slot. Raises BadValue for `until` on a real clock, and when one
    moment has more than 10,000 runs. What jobs raise is told in the answer, not raised.
    """
    drained, here, clock = Drained(), Here(broker.link, broker.tasks), broker.link.clock
    audience = Audience(broker.link, broker.tasks, here.journal.warn)
    audience.make()
    planter = Planter(broker.link, lambda: False, here.journal.warn, asked=lambda: broker.tasks.schedules)
    end = None if until is None else clock.now() + seconds(until, "until")
    if end is not None and not isinstance(clock, FakeClock):
        raise BadValue("drain(until=...) moves the clock, and this broker has the real one; connect with clock=FakeClock()")
    try:
        while True:
            if broker.tasks.schedules or until is not None:
                planter.look()
            _run_due(broker, here, queues, audience.queues, drained)
            moment = None if end is None else _next(broker, queues, audience.queues)
            if end is None or not isinstance(clock, FakeClock):
                return drained
            if moment is None or moment > end:
                clock.advance(max(0.0, end - clock.now()))
                return drained
            clock.advance(max(0.0, moment - clock.now()) + 1e-6)  # a store counts in microseconds, and none is due before its moment
    finally:
        here.close()


def _run_due(broker: Broker, here: Here, queues: Sequence[str], groups: Sequence[str], drained: Drained) -> None:
    count = 0
    while names := queues or _with_tasks(broker, groups):
        ran = 0
        for name in names:
            try:
                lents = here.claim((name,))
            except Stopped:
                continue
            for lent in lents:
                run, error = here.run(lent)
                drained.runs.append(_ran(run, error))
                ran += 1
            if ran:
                break  # it may have put something that goes before what comes next
        count += ran
        if not ran:
            return
        if count >= _MOST:
            raise BadValue(f"{count} runs, and there is always one more that is due now; drain stopped there")


def _with_tasks(broker: Broker, groups: Sequence[str]) -> list[str]:
    """The queues that hold something due that names a task, the one whose turn it is first."""
    found = broker.store.browse(Query(states=frozenset({State.READY}), limit=None))
    return list(dict.fromkeys(entry.job.queue for entry in found if entry.job.task and _is_the_programs(entry.job.queue, groups)))


def _is_the_programs(queue: str, groups: Sequence[str]) -> bool:
    """Whether a worker of the program would run what is in there: its own queues, and those of its durable groups."""
    return not queue.startswith("_") or queue in groups


def _next(broker: Broker, queues: Sequence[str], groups: Sequence[str]) -> float | None:
    """The next moment at which something comes due; None when nothing does."""
    waiting = Query(queues=(*queues, _SCHEDULES) if queues else None, states=frozenset({State.DELAYED}), limit=None)
    found = broker.store.browse(waiting)
    return min((entry.due for entry in found if entry.job.queue == _SCHEDULES or _is_the_programs(entry.job.queue, groups)), default=None)


_OUTCOMES = {End.DONE: "done", End.RETRIED: "retried", End.SNOOZED: "snoozed", End.BURIED: "dead", End.CANCELLED: "cancelled"}


def _ran(run: Run, error: BaseException | None) -> Ran:
    attempt, delay = (run.handback.attempt, run.handback.delay) if run.handback else (None, 0.0)
    return Ran(run.lent.job, _OUTCOMES.get(run.end, "lost"), attempt.error if attempt else "", delay, error)
