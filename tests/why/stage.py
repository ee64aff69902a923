"""A stage on which a situation is planted: a store, a clock, workers whose jobs the test plays, and processes to die or to be halted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ropeway import living
from ropeway.clock import Clock
from ropeway.job import Attempt, Job
from ropeway.link import Link
from ropeway.store import Handback, Holder, Lent
from ropeway.testing.clock import FakeClock
from ropeway.why import Why, why, why_queue
from ropeway.worker.fleet import notice
from ropeway.worker.fleet.notice import Notice
from worker.fleet.conftest import Manned

HOUR = 3600.0


class Stage:
    """One store. Queues are `q` unless another is named."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.clock = clock
        self.link = Link(url, clock, name="test") if clock is not None else Link(url, name="test")
        self.store = self.link.store
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def now(self) -> float:
        return self.link.clock.now()

    def pass_by(self, seconds: float) -> None:
        """Time passes; only where the clock is the test's."""
        assert isinstance(self.clock, FakeClock)
        self.clock.advance(seconds)

    def put(self, queue: str = "q", **fields: Any) -> str:
        job = Job(self.link.new_id(), queue, fields.pop("body", b"x"), **fields)
        assert self.store.put([job]) == [True]
        return job.id

    def claim(self, queue: str = "q", lease: float = HOUR, holder: str = "", *, bound: bool = False) -> Lent:
        """The next one out, held by a program that is no worker."""
        (lent,) = self.store.claim([queue], 1, lease, Holder(holder or self.link.holder().name, bound=bound))
        return lent

    def fail(self, lent: Lent, error: str, delay: float = HOUR, outcome: str = "failed") -> None:
        """Give it back after a try that went wrong."""
        assert self.store.nack([Handback(lent.receipt, delay, self.attempt(lent, error, outcome))]) == [True]

    def bury(self, lent: Lent, error: str, outcome: str = "failed") -> None:
        assert self.store.bury([Handback(lent.receipt, 0.0, self.attempt(lent, error, outcome))]) == [True]

    def attempt(self, lent: Lent, error: str, outcome: str) -> Attempt:
        return Attempt(lent.attempt, self.now - 2, self.now, "host-7:70:w", outcome, error)

    def worker(self, *patterns: str, slots: int = 2, tasks: list[str] | None = None, **options: Any) -> Manned:
        """A worker of this process, with its note."""
        return Manned(self.link, *(patterns or ("q",)), slots=slots, tasks=lambda: tasks, **options)

    def busy(self, worker: Manned) -> None:
        """It takes what there is, and says so."""
        worker.go(2, 0.0)
        worker.post._presence.touch()
        worker.post.beat()

    def note(self, worker: Manned, **fields: Any) -> Notice:
        """Rewrite what a worker tells of itself: as one of another host would tell it, or at another time."""
        seen = replace(worker.member.seen, **fields)
        self.store.notes.note(notice.PREFIX + seen.id, notice.pack(seen), HOUR)
        return seen

    def process(self) -> subprocess.Popen[bytes]:
        """A process of this host; it ends with the stage."""
        self.processes.append(subprocess.Popen(["sleep", "600"]))
        return self.processes[-1]

    def dead(self) -> tuple[int, str]:
        """The pid and the identity of a process that is gone."""
        process = self.process()
        who = identity(process.pid)
        process.kill()
        process.wait()
        return process.pid, who

    def halted(self) -> tuple[int, str]:
        """Those of one that a signal has stopped."""
        process = self.process()
        who = identity(process.pid)
        process.send_signal(signal.SIGSTOP)
        until(lambda: living.is_halted(who))
        return process.pid, who

    def why(self, job_id: str, queue: str | None = None) -> Why:
        return why(self.link, job_id, queue)

    def why_queue(self, queue: str = "q") -> Why:
        return why_queue(self.link, queue)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.link.close()


def identity(pid: int) -> str:
    """What tells this process from all others, as it would say itself."""
    return f"{living.boot()}.{living.namespace()}.{pid}.{living.start_time(pid):x}"


def until(condition: Callable[[], Any], timeout: float = 40.0) -> Any:
    """Wait until it is true; what it answered."""
    end = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {timeout} s: {condition}"
        time.sleep(0.01)
    return answer


def host() -> str:
    return os.uname().nodename
