"""Where slots leave what has ended, or is to be told meanwhile, and the one place where the ferry sleeps with nothing to ask of the store.

Against lost wake-ups two second looks are the whole proof: a slot appends first and rings after, the ferry raises its flag first and looks
after. Either the slot sees the flag, or the ferry sees the outcome.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ..clock import Clock
from ..job import Job
from .replies import tell_early
from .run import Run

_LONGEST = 3600.0
PARTS, BYTES = 1000, 8 << 20  # of what runs tell while they go on, until they are asked to wait


class Bell:
    """A bare lock as a bell: ringing twice is ringing once, and ringing is safe inside a signal handler, as an Event's is not."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, timeout: float) -> bool:
        return self._lock.acquire(timeout=min(max(timeout, 0.0), _LONGEST))

    def rung(self) -> bool:
        """Whether it was rung since the last wait; it stays so."""
        return not self._lock.locked()

    def ring(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # rung already


class Inbox:
    """Outcomes, and how to wake the ferry. Everything but `sleep` and `sleep_in` may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self.outcomes: deque[Run] = deque()
        self.parts: deque[Job] = deque()  # what runs tell their callers while they go on
        self.urgent = False  # somebody waits for one of these: no gathering
        self._posted = self._passed = 0  # bytes of parts: each counted by one side alone
        self.asleep = False  # any outcome wakes it
        self.pausing = False  # only an empty hand does: it gathers outcomes for a moment
        self._clock = clock
        self._bell = Bell()
        self._wake: Callable[[], None] | None = None  # set while it sleeps in the store

    def report(self, run: Run) -> None:
        """A run has ended."""
        waited_for = run.caller is not None and not tell_early(run)
        self.outcomes.append(run)
        if waited_for:
            self.urgent = True
            if self.pausing:
                self.ring()
        if self.asleep:
            self.ring()

    def post(self, part: Job) -> bool:
        """Something that a run tells its caller. False: there is more of that than the store takes, see `full`."""
        self._posted += len(part.body)
        self.parts.append(part)
        self.urgent = True
        if self.asleep or self.pausing:
            self.ring()
        return not self.full()

    def full(self) -> bool:
        """Whether whoever posts should wait."""
        return len(self.parts) >= PARTS or self._posted - self._passed >= BYTES

    def take_parts(self) -> list[Job]:
        """What was posted, for the ferry."""
        parts = []
        while self.parts:
            part = self.parts.popleft()
            self._passed += len(part.body)
            parts.append(part)
        return parts

    def hungry(self) -> None:
        """The hand is empty: whoever pauses should go and settle and claim."""
        if self.pausing or self.asleep:
            self.ring()

    def ring(self) -> None:
        """Wake the ferry, or keep it from its next sleep."""
        self.asleep = self.pausing = False
        self._bell.ring()
        if (wake := self._wake) is not None:
            wake()

    @property
    def in_store(self) -> bool:
        """Whether the ferry sleeps in the store now."""
        return self._wake is not None

    def pause(self, seconds: float, is_hungry: Callable[[], bool]) -> None:
        """Sleep that long unless the hand runs empty."""
        self.pausing = True
        if not is_hungry() and not self.urgent:
            self._clock.sleep(self._bell, seconds)
        self.pausing = False

    def sleep(self, seconds: float) -> None:
        """Sleep until rung, at most that long."""
        self.asleep = True
        if not self.outcomes and not self.parts:
            self._clock.sleep(self._bell, seconds)
        self.asleep = False

    def nap(self, seconds: float) -> bool:
        """Sleep whatever happens, unless rung on purpose, for an order: True then, and nothing else tells of it."""
        return self._clock.sleep(self._bell, seconds)

    def stirred(self) -> bool:
        """Whether there is something for the ferry here: for the store to ask before each sleep. Others may wait in the same store object,
        and take the call that was meant for the ferry for their own."""
        return bool(self.outcomes or self.parts) or self._bell.rung()

    def sleep_in(self, wait: Callable[[], bool], wake: Callable[[], None]) -> bool:
        """Sleep in the store's own `wait`, woken by its own `wake`; what `wait` answered, False when there was no need to sleep.

        The bell is emptied on the way out: whoever rang it is looked for anew by the ferry's next lap.
        """
        self._wake = wake
        self.asleep = True
        try:
            return not self.outcomes and not self.parts and not self._bell.wait(0) and wait() and not self.stirred()
        finally:
            self.asleep = False
            self._wake = None
            self._bell.wait(0)
