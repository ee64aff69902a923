"""What the screen shows and what keys do to it: no terminal, no store. Keys go in, and what has to be done comes out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from ..job import State
from ..store import Counts
from .looker import Snapshot, Want

KEPT = 60  # looks of which the backlog is remembered, for the little curves
STATES = (State.RUNNING, State.READY, State.DELAYED, State.DEAD, State.DONE)
SHORT = 60.0  # seconds, at least, over which a rate is told


class Row(Struct):
    """A queue as it is listed. `rate`: done a second; None when nobody counts."""

    name: str
    counts: Counts
    rate: float | None
    backlog: list[int]


# name of the order: (the title of its column, what is compared, whether the largest comes first)
SORTS: dict[str, tuple[Callable[[Row], Any], bool]] = {
    "name": (lambda row: row.name, False),
    "ready": (lambda row: row.counts.ready, True),
    "running": (lambda row: row.counts.running, True),
    "delayed": (lambda row: row.counts.delayed, True),
    "dead": (lambda row: row.counts.dead, True),
    "oldest": (lambda row: -row.counts.oldest if row.counts.oldest is not None else float("-inf"), True),
    "done/s": (lambda row: row.rate or 0.0, True),
}
NAMES = list(SORTS)


class Model(Struct):
    """The state of the screen. `page` is queues, jobs, why or help; `asked` is the queue whose switch a person is to say yes to."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    page: str = "queues"
    sort: str = "name"
    selected: str = ""  # the queue
    queue: str = ""  # whose jobs are shown
    state: State = State.RUNNING
    job: str = ""
    scroll: int = 0
    asked: str = ""
    frozen: bool = False
    ended: bool = False
    redraw: bool = False
    switch: tuple[str, bool] | None = None  # to be done: (queue, whether it is to be paused)
    before: str = "queues"  # where help goes back to
    backlogs: dict[str, deque[int]] = {}

    def see(self, snapshot: Snapshot) -> None:
        """A look has seen this."""
        if snapshot.at != self.snapshot.at:
            for name, counts in snapshot.queues.items():
                self.backlogs.setdefault(name, deque(maxlen=KEPT)).append(counts.ready + counts.delayed)
            self.backlogs = {name: backlog for name, backlog in self.backlogs.items() if name in snapshot.queues}
        self.snapshot = snapshot

    @property
    def want(self) -> Want:
        """What has to be looked at for this page."""
        page = self.before if self.page == "help" else self.page
        if page == "jobs":
            return Want(self.queue, self.state)
        return Want(self.queue, None, self.job) if page == "why" else Want()

    def rows(self) -> list[Row]:
        """The queues in their order."""
        rates = rates_of(self.snapshot)
        rows = [Row(name, counts, rates.get(name), list(self.backlogs.get(name, ()))) for name, counts in self.snapshot.queues.items()]
        value, largest = SORTS[self.sort]
        return sorted(sorted(rows, key=lambda row: row.name), key=value, reverse=largest)

    # Keys

    def press(self, key: str) -> None:
        """A key was pressed."""
        if self.asked:
            self._answer(key)
        elif key == "q":
            self.ended = True
        elif key == "redraw":
            self.redraw = True
        elif key == "p":
            self.frozen = not self.frozen
        elif key in ("?", "h"):
            self.page, self.before = (self.before, self.before) if self.page == "help" else ("help", self.page)
        elif key in ("esc", "left", "back"):
            self._back()
        elif self.page == "queues":
            self._in_queues(key)
        elif self.page == "jobs":
            self._in_jobs(key)
        elif self.page == "why":
            self.scroll = max(0, self.scroll + _steps(key))

    def _answer(self, key: str) -> None:
        if key == "y":
            counts = self.snapshot.queues.get(self.asked)
            self.switch = (self.asked, counts is None or counts.claim_stopped is None)
        self.asked = ""

    def _back(self) -> None:
        if self.page == "help":
            self.page = self.before
        elif self.page == "why":
            self.page = "jobs"
        else:
            self.page = "queues"
        self.scroll = 0

    def _in_queues(self, key: str) -> None:
        names = [row.name for row in self.rows()]
        if key == "s":
            self.sort = NAMES[(NAMES.index(self.sort) + 1) % len(NAMES)]
        elif key == "S":
            self.sort = NAMES[NAMES.index(self.sort) - 1]
        elif not names:
            return
        elif (steps := _steps(key)) != 0:
            place = names.index(self.selected) if self.selected in names else -1 if steps > 0 else len(names)
            self.selected = names[max(0, min(len(names) - 1, place + steps))]
        elif key in ("enter", "right"):
            self.queue = self.selected if self.selected in names else names[0]
            self.selected, self.page, self.job = self.queue, "jobs", ""
            self.state = _fullest(self.snapshot.queues[self.queue])
        elif key == "space":
            self.asked = self.selected if self.selected in names else ""

    def _in_jobs(self, key: str) -> None:
        ids = [entry.job.id for entry in self.shown_jobs()]
        if key in ("tab", "t"):
            self.state, self.job = STATES[(STATES.index(self.state) + 1) % len(STATES)], ""
        elif key == "space":
            self.asked = self.queue
        elif ids and (steps := _steps(key)) != 0:
            place = ids.index(self.job) if self.job in ids else -1 if steps > 0 else len(ids)
            self.job = ids[max(0, min(len(ids) - 1, place + steps))]
        elif ids and key in ("enter", "right"):
            self.job = self.job if self.job in ids else ids[0]
            self.page, self.scroll = "why", 0

    def shown_jobs(self) -> list[Any]:
        """The jobs that were looked at for this very page."""
        want = self.snapshot.want
        return self.snapshot.jobs if (want.queue, want.state) == (self.queue, self.state) else []


def rates_of(snapshot: Snapshot) -> dict[str, float]:
    """Done a second, by queue: over the minutes of the history that are there, half a minute behind at most."""
    if not snapshot.past:
        return {}
    since = min(row.at for row in snapshot.past)
    length = max(SHORT, snapshot.now - since)
    out: dict[str, float] = {}
    for row in snapshot.past:
        out[row.queue] = out.get(row.queue, 0.0) + row.done / length
    return out


def _fullest(counts: Counts) -> State:
    """The state whose jobs are shown first: the first of them that has any."""
    return next((state for state in STATES if getattr(counts, state)), State.READY)


def _steps(key: str) -> int:
    """How far a key moves: down is more."""
    return {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": 10, "pageup": -10, "home": -1_000_000, "end": 1_000_000}.get(key, 0)
