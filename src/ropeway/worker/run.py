"""One run of one job inside a worker, from the claim until the store has answered; and what all runs of a worker share.

    held -> started -> ended -> settled
      |        |
      |        `-- a verdict (lost, timeout, returned, cancelled) may overtake it: written first, then the run is told to stop
      `-- handed back unstarted

Whoever ends the run looks at the verdict first, so a function that returns a moment after its timeout has still timed out.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from msgspec import Struct

from ..calls.wire import Caller, Failure
from ..job import Job
from ..link import Link
from ..retry import Retry
from ..store import Handback, Lent

NEVER = float("inf")


class Verdict(IntEnum):
    """Why a run is ended from outside."""

    NONE = 0
    LOST = 1  # another may hold the job: nothing of this run is settled
    TIMEOUT = 2
    RETURNED = 3  # the worker stops: given back, uncounted
    CANCELLED = 4  # its producer called it back
    KILLED = 5  # an operator ended it: a try that failed


class End(IntEnum):
    """How a run ended, and so what the store is told."""

    OPEN = 0
    DONE = 1  # ack
    RETRIED = 2  # nack, counted
    SNOOZED = 3  # nack, uncounted: the task asked for it
    BURIED = 4  # bury
    RETURNED = 5  # nack, uncounted: not run, or not to its end, by no fault of its own
    LOST = 6  # nothing
    CANCELLED = 7  # ack, and nothing is kept


UNCOUNTED = frozenset({End.RETURNED, End.OPEN})  # these were not runs


class Shift:
    """What all runs of one worker share."""

    __slots__ = ("boot", "full", "lease", "link", "name", "post", "stopping")

    def __init__(self, link: Link, lease: float) -> None:
        self.link = link
        self.lease = lease
        self.boot = link.clock.boot
        self.name = link.holder().name
        self.stopping = False  # the worker was told to stop: what runs may want to hurry
        self.post: Callable[[Job], bool] = lambda _: True  # send what a run says while it goes on; False: and now wait while it is `full`
        self.full: Callable[[], bool] = lambda: False


class Run(Struct, gc=False, eq=False):
    """The record of one claim. Times are seconds of the boot clock.

    Written by one at a time: the ferry until it is handed out, its slot until it is reported, then the ferry again. Only `verdict`
    and the lease (`lent.until`) are also written from beside, each by a single assignment.
    """

    lent: Lent
    shift: Shift
    taken: float  # when it was claimed
    started: float = 0.0  # 0 = not yet
    ended: float = 0.0
    deadline: float = NEVER  # when its timeout is over
    verdict: Verdict = Verdict.NONE
    end: End = End.OPEN
    handback: Handback | None = None  # for nack and bury
    result: bytes | None = None
    result_type: str = ""
    stop: Callable[[], None] | None = None  # how to end it from beside; None: it cannot be
    signal: Callable[[int], None] | None = None  # how to send a signal to the command that it is
    stale: bool = False  # not started, because its lease or its ttl ran out in the hand
    doubt: bool = False  # a settlement of it went unanswered: "False" may then mean that the first one was done
    retry: Retry | None = None  # the policy of its task, if that has one
    given: Any = None  # the decoded arguments
    way: Any = None  # how its result is written, if not as by default
    claim: Any = None  # what current_claim() answers, made when first asked for
    caller: Caller | None = None  # who waits for the answer
    failure: Failure | None = None  # what to tell the caller
    log: Any = None  # what it has logged so far (notebook.py), made with its first line
    group: Any = None  # the runs that it shares one call with, if its task takes several

    @property
    def lost(self) -> bool:
        """Whether another may hold the job by now."""
        return self.verdict is Verdict.LOST

    def hand_back(self, delay: float = 0.0) -> None:
        """It ends uncounted."""
        self.end = End.RETURNED
        self.handback = Handback(self.lent.receipt, delay, restore=True)
