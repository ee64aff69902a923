"""Stand-ins for tests of the ferry: a pool whose runs a test ends by hand, and a store that fails when told to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ropeway.clock import Clock
from ropeway.errors import StoreError
from ropeway.link import Link
from ropeway.store import Store
from ropeway.stores import open_store
from ropeway.worker.ferry import Ferry
from ropeway.worker.inbox import Inbox
from ropeway.worker.journal import Counters, Journal
from ropeway.worker.judge import Judge
from ropeway.worker.lookout import Lookout
from ropeway.worker.run import Run, Shift


class ManualPool:
    """Slots without threads: `begin` starts what is next in the hand, `finish` ends a run well."""

    crowd = room = stuck = 0

    def __init__(self, slots: int, shift: Shift, inbox: Inbox) -> None:
        self.slots = slots
        self.hand: deque[Run] = deque()
        self.started: list[Run] = []
        self.stopped: list[Run] = []
        self.judge = Judge(shift, None)
        self._shift = shift
        self._inbox = inbox

    def take(self, runs: Sequence[Run]) -> None:
        self.hand.extend(runs)
        while self.hand and len(self.started) < self.slots:
            self.begin()

    def begin(self) -> Run:
        run = self.hand.popleft()
        run.started = self._shift.boot()
        self.started.append(run)
        return run

    def finish(self, run: Run | None = None, end: Callable[[Run], object] | None = None, seconds: float = 0.0) -> Run:
        """End a run (the oldest), after that many seconds; the next in the hand takes its slot."""
        run = run or self.started[0]
        self.started.remove(run)
        (end or self.judge.done)(run)
        run.ended = run.started + seconds if seconds else self._shift.boot()
        self._inbox.report(run)
        if self.hand:
            self.begin()
        return run

    def stop(self, run: Run) -> bool:
        self.stopped.append(run)
        return run.stop is not None

    def waiting(self) -> int:
        return len(self.hand)

    def hungry(self) -> bool:
        return len(self.started) < self.slots

    def recall(self) -> list[Run]:
        back = list(self.hand)
        self.hand.clear()
        return back

    def running(self) -> list[Run]:
        return list(self.started)

    def resize(self, slots: int) -> None:
        self.slots = slots
        self.take(())

    def disown(self, run: Run) -> bool:
        if run in self.started:
            self.started.remove(run)
            return True
        return False

    def open(self) -> None: ...
    def close(self) -> None: ...


class Bench:
    """A ferry on a store and a clock, with a pool that the test plays."""

    def __init__(self, link: Link, *patterns: str, slots: int = 4, lease: float = 30.0, **options: Any) -> None:
        self.link = link
        self.shift = Shift(link, lease)
        self.inbox = Inbox(link.clock)
        self.pool = ManualPool(slots, self.shift, self.inbox)
        self.counters = Counters()
        self.journal = Journal(self.shift, self.counters)
        self.lookout = Lookout(link, patterns or ("q",))
        self.ferry = Ferry(self.shift, self.lookout, self.pool, self.inbox, self.journal, **options)

    def laps(self, count: int = 1, limit: float = 0.0) -> None:
        for _ in range(count):
            self.ferry.lap(limit)

    def until(self, condition: Callable[[], Any], laps: int = 200) -> None:
        """Laps, with the clock jumping, until it is so."""
        for _ in range(laps):
            if condition():
                return
            self.ferry.lap(1.0)
        raise AssertionError(f"not within {laps} laps")


class Faulty:
    """A store whose next calls fail: `fail(verb, ...)` before the verb does anything, `fail(verb, after=True)` once it has."""

    def __init__(self, store: Store) -> None:
        self.inner = store
        self.calls: list[str] = []
        self._failures: dict[str, deque[tuple[Exception, bool]]] = {}

    def fail(self, verb: str, error: Exception | None = None, *, after: bool = False, times: int = 1) -> None:
        for _ in range(times):
            self._failures.setdefault(verb, deque()).append((error or StoreError("the disk is gone"), after))

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self.inner, name)
        if not callable(inner) or name == "wake":
            return inner

        def called(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            failures = self._failures.get(name)
            error, after = failures.popleft() if failures else (None, False)
            if error and not after:
                raise error
            answer = inner(*args, **kwargs)
            if error:
                raise error
            return answer

        return called

    @contextmanager
    def commit(self) -> Iterator[None]:
        self.calls.append("commit")
        failures = self._failures.get("commit")
        error, _ = failures.popleft() if failures else (None, False)
        with self.inner.commit():
            yield
        if error:
            raise error


def faulty_link(url: str, clock: Clock) -> tuple[Link, Faulty]:
    """A link on a store that can be told to fail."""
    made: list[Faulty] = []

    def opener(url: str, clock: Clock) -> Store:
        made.append(Faulty(open_store(url, clock)))
        return made[0]  # type: ignore[return-value]

    link = Link(url, clock, opener=opener)
    assert link.store
    return link, made[0]
