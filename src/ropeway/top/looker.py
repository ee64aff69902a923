"""The thread that looks at the store: once in a while, never twice at once, and not at all while the display is paused."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..errors import RopewayError
from ..history.reading import HistoryRow, history
from ..job import State
from ..link import Link
from ..names import matching
from ..store import Counts, Entry, Feature, Query
from ..why import Why, why
from ..worker.fleet import notice
from ..worker.fleet.notice import Notice
from ..worker.fleet.switch import paused

PAST = 600.0  # seconds of history that are looked at
PAST_EACH = 10.0  # seconds between two looks at it: it changes once a minute
JOBS = 200  # of a queue, of one state


class Want(Struct, frozen=True):
    """What is on the screen, so what has to be looked at: the jobs of a queue in one state, or one job."""

    queue: str = ""
    state: State | None = None
    job: str = ""


class Snapshot(Struct):
    """What one look saw. `error`: why the last one saw nothing; the rest is then of the look before. `at` is of the boot clock."""

    at: float = 0.0
    now: float = 0.0
    queues: dict[str, Counts] = {}
    workers: list[Notice] = []
    paused: str | None = None
    past: list[HistoryRow] = []
    want: Want = Want()
    jobs: list[Entry] = []
    why: Why | None = None
    error: str = ""
    said: str = ""  # what became of the last thing that was asked for


class Looker:
    """Runs in a thread of its own; `ring` is called from it whenever there is something new to draw."""

    def __init__(self, link: Link, patterns: Sequence[str], interval: float, ring: Callable[[], None], *, own: bool = False) -> None:
        self.snapshot = Snapshot()
        self._link = link
        self._patterns = patterns
        self._own = own
        self._interval = interval
        self._ring = ring
        self._want = Want()
        self._halted = self._stopped = self._soon = False
        self._errands: deque[Callable[[], str]] = deque()
        self._changed = threading.Condition()
        self._since = 0.0  # when the look that goes on began; 0: none does
        self._past_at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True, name="looker")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> bool:
        """Look no more; False when a look still goes on, since the store does not answer."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if not self._thread.ident:
            return True  # it was never begun
        self._thread.join(0.2)
        return not self._thread.is_alive()

    def waits(self, now: float) -> float:
        """For how long the look that goes on has been waiting for its answer."""
        since = self._since
        return now - since if since else 0.0

    def want(self, want: Want) -> None:
        """Look at this from now on, and at once."""
        with self._changed:
            if want != self._want:
                self._want, self._soon = want, True
                self._changed.notify()

    def halt(self, *, halted: bool) -> None:
        """Stop asking the store, or go on."""
        with self._changed:
            self._halted, self._soon = halted, self._soon or not halted
            self._changed.notify()

    def errand(self, do: Callable[[], str]) -> None:
        """Have something done to the store, even while halted; what it answers is shown."""
        with self._changed:
            self._errands.append(do)
            self._changed.notify()

    def look(self) -> Snapshot:
        """One look, in the caller's thread."""
        self._look()
        return self.snapshot

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._stopped or self._errands or self._soon):
                    if not self._changed.wait(None if self._halted else self._interval) and not self._halted:
                        break
                if self._stopped:
                    return
                self._soon = False
                errand = self._errands.popleft() if self._errands else None
            self._since = self._link.clock.boot()
            if errand is not None:
                self._do(errand)
            self._look()
            self._since = 0.0
            self._ring()

    def _do(self, errand: Callable[[], str]) -> None:
        try:
            said = errand()
        except RopewayError as error:
            said = str(error)
        self.snapshot = replace(self.snapshot, said=said)

    def _look(self) -> None:
        before, clock = self.snapshot, self._link.clock
        try:
            seen = self._see(before)
        except RopewayError as error:
            self.snapshot = replace(before, error=str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a fault of ours is told, and must not leave an empty screen that says all is well
            self.snapshot = replace(before, error=f"{type(error).__name__}: {error}")
        else:
            seen.at, seen.said = clock.boot(), before.said
            self.snapshot = seen

    def _see(self, before: Snapshot) -> Snapshot:
        store, clock, want = self._link.store, self._link.clock, self._want
        counts = store.counts()
        names = [name for name in counts if self._own or not name.startswith("_")]
        if self._patterns:
            names = [name for name in matching(self._patterns, counts) if name in counts]
        seen = Snapshot(now=clock.now(), queues={name: counts[name] for name in names}, past=before.past, want=want)
        if Feature.NOTES in store.features:
            found = [notice.unpack(key, value) for key, value in store.notes.notes(notice.PREFIX).items()]
            seen.workers = [one for one in found if one is not None]
            seen.paused = paused(store)
            if not self._past_at or clock.boot() - self._past_at >= PAST_EACH:
                seen.past, self._past_at = history(self._link, PAST), clock.boot()
        if want.job:
            seen.why = why(self._link, want.job, want.queue or None)
        elif want.queue and want.state is not None:
            seen.jobs = store.browse(Query(queues=(want.queue,), states=frozenset({want.state}), limit=JOBS))
        return seen
