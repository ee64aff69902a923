"""Counting the ends of runs in the process that sees them, and writing that down once a minute.

Who ends jobs holds `lock` for a batch, gets the `cell` of each job and adds to it: a few list appends. What costs more (buckets, sums, the
note) is done once a minute, by the thread that calls `beat`. Nothing in here is needed for a job to be safe.
"""

from __future__ import annotations

from collections.abc import Callable
from random import random
from threading import Lock

from ..errors import RopewayError
from ..link import Link
from ..notes import Notes
from ..store import Feature
from .scale import BUCKETS, count_in
from .seat import Seat
from .sums import DAY, HOUR, HOURS, KEEP_HOURS, KEEP_MINUTES, MINUTE, MINUTES, OTHER, SLOT, Cell, Sums, added, merged, pack, unpack

EACH = 60.0  # seconds between two notes
LATE = 3.0  # seconds, by chance, after a minute's end: a fleet does not write all at once
AGAIN = 10.0  # seconds until the next try when the store did not take it
MOST = 48  # tasks (by queue) that are told apart in one minute; the others of a queue are told together
MOST_OTHERS = 16  # queues whose others are told apart from those of other queues
MOST_TOTALS = 256  # likewise, of all since the start
MOST_PAGES = 40  # slots that are remembered while the store does not take them
LIST = 1000  # durations that are gathered before they are counted


class Now:
    """One task's ends in the minute that goes on. `runs` and `waits` are seconds of each run, not counted into buckets yet."""

    __slots__ = ("dead", "done", "expired", "failed", "lost", "returned", "runs", "sums", "waits")

    def __init__(self) -> None:
        self.done = self.failed = self.dead = self.lost = self.expired = self.returned = 0
        self.runs: list[float] = []
        self.waits: list[float] = []
        self.sums = Sums(run=[0] * BUCKETS, wait=[0] * BUCKETS)

    def fold(self) -> Sums:
        """All of it as sums."""
        sums = self.sums
        for values, counts in ((self.runs, sums.run), (self.waits, sums.wait)):
            if values:
                count_in(values, counts)
        sums.run_seconds += max(0.0, sum(self.runs))
        sums.wait_seconds += sum(wait for wait in self.waits if wait > 0)
        self.runs, self.waits = [], []
        sums.done, sums.failed, sums.dead = self.done, self.failed, self.dead
        sums.lost, sums.expired, sums.returned = self.lost, self.expired, self.returned
        return sums


class Page:
    """What one note is to say. `part`: behind the name, where there is more than one of a time."""

    __slots__ = ("begun", "cells", "kind", "new", "number", "part")

    def __init__(self, kind: str, number: int, part: str) -> None:
        self.kind = kind
        self.number = number
        self.part = part
        self.cells: dict[Cell, Sums] = {}
        self.new = False  # it holds what was not written yet
        self.begun = False  # what others wrote under this key is in it

    def key(self, name: str) -> str:
        return f"{self.kind}{self.number}/{name}{self.part}"

    @property
    def lifetime(self) -> float:
        return KEEP_MINUTES + SLOT if self.kind == MINUTES else KEEP_HOURS + DAY


class Tally:
    """The counts of one process. `owner` is a name that no other process ever has; in the notes it may have that of one that has ended."""

    def __init__(self, link: Link, owner: str, chance: Callable[[], float] = random) -> None:
        self.lock = Lock()
        self.now: dict[tuple[str, str], Now] = {}  # of the minute that goes on; for who holds the lock
        self._totals: dict[tuple[str, str], Sums] = {}
        self._link = link
        self._seat = Seat(link, owner)
        self._writing = Lock()  # by one thread at a time: an older state of a note must not come after a newer one
        self._chance = chance
        self._minute = 0
        self._next: float | None = None  # when to write, by the boot clock; None: nothing to write
        self._pages: dict[tuple[str, int], Page] = {}
        self._newest: dict[str, int] = {}
        self._parts = 0

    # For who holds the lock

    def turn(self) -> None:
        """Before counting: what was counted belongs to its minute, and a new one may have begun."""
        minute = int(self._link.clock.now()) // MINUTE * MINUTE
        if minute != self._minute:
            if self.now:
                self._close()
            self._minute = minute
        if self._next is None:
            left = EACH - self._link.clock.now() % EACH
            self._next = self._link.clock.boot() + left + self._chance() * min(LATE, EACH / 20)

    def cell(self, queue: str, task: str) -> Now:
        """Where the ends of this task's jobs are counted now."""
        now = self.now
        found = now.get((queue, task))
        if found is not None:
            if len(found.runs) > LIST:
                found.fold()
            return found
        if len(now) >= MOST:
            task = OTHER
            if (queue, task) not in now and len(now) >= MOST + MOST_OTHERS:
                queue = OTHER
        return now.setdefault((queue, task), Now())

    # From any thread

    def totals(self) -> dict[tuple[str, str], Sums]:
        """All since the start, by queue and task."""
        with self.lock:
            out = {name: _copied(sums) for name, sums in self._totals.items()}
            for name, now in self.now.items():
                into(out, name, _copied(now.fold()))
        return out

    def beat(self) -> None:
        """Write what there is to be written, if it is time to. Never raises."""
        if self._next is not None and self._link.clock.boot() >= self._next:
            self.write()

    def write(self) -> bool:
        """Write all that was counted, also of the minute that goes on: its cells are written anew when it is over. Whether the store has it
        all. Never raises."""
        with self._writing:
            return self._write()

    def close(self) -> None:
        """The process counts no more: write all, and let another have the name. Never raises. What is counted all the same is not lost: it
        has a name of its own again."""
        with self._writing:
            if not self._write() or not self._seat.name:
                return
            with self.lock:
                if self.now or any(page.new for page in self._pages.values()):
                    return  # somebody counts on
                self._pages.clear()
            try:
                self._seat.leave()
            except RopewayError:
                pass  # the name is nobody's until its notes are over

    def _write(self) -> bool:
        with self.lock:
            if self.now:
                self._close()
            self._next = None
            pages = [page for page in self._pages.values() if page.new]
        written = True
        try:
            for page in pages:
                written = self._tell(page)
        except RopewayError:
            written = False
            with self.lock:
                self._next = self._link.clock.boot() + AGAIN
        with self.lock:
            self._forget()
        return written

    def _tell(self, page: Page) -> bool:
        """Write this one. False when the engine takes no notes. Raises StoreError: then it is new as before."""
        store, seat = self._link.store, self._seat
        if Feature.NOTES not in store.features:
            page.new = False
            return False
        if not seat.name:
            seat.take()
        if not page.begun:
            self._begin(page, store.notes)
        with self.lock:
            page.new, value = False, pack(page.cells)
        try:
            store.notes.note(page.key(seat.name), value, page.lifetime)
        except RopewayError:
            page.new = True
            raise
        return True

    def _begin(self, page: Page, notes: Notes) -> None:
        """Under a name that others had before us, go on in what they wrote. A note that cannot be read is of a newer release: beside it."""
        seat = self._seat
        seat.renew()
        there = notes.notes(f"{page.kind}{page.number}/{seat.name}") if seat.lent else {}
        while (value := there.get(page.key(seat.name))) is not None:
            if found := unpack(page.key(seat.name), value):
                with self.lock:
                    page.cells = merged([*page.cells.items(), *found])
                break
            self._parts += 1
            page.part = f".{self._parts}"
        page.begun = True

    def _close(self) -> None:
        """What was counted in this minute goes into the pages of its ten minutes and of its day."""
        minute, self.now, cells = self._minute, {}, self.now
        by_minute, by_hour = self._page(MINUTES, minute // SLOT), self._page(HOURS, minute // DAY)
        for (queue, task), now in cells.items():
            sums = now.fold()
            sums.run, sums.wait = _short(sums.run), _short(sums.wait)
            for page, at in ((by_minute, minute), (by_hour, minute // HOUR * HOUR)):
                there = page.cells.get((at, queue, task))
                if there is None:
                    there = page.cells[at, queue, task] = Sums()
                there.add(sums)
                page.new = True
            into(self._totals, (queue, task), sums)

    def _page(self, kind: str, number: int) -> Page:
        page = self._pages.get((kind, number))
        if page is None:
            part = ""
            if number <= self._newest.get(kind, -1):  # the clock was set back: what was written of that time must stand
                self._parts += 1
                part = f".{self._parts}"
            self._newest[kind] = max(number, self._newest.get(kind, -1))
            page = self._pages[kind, number] = Page(kind, number, part)
        return page

    def _forget(self) -> None:
        """Pages of other times than now, once they are written; and the oldest, when the store has taken none for long."""
        for (kind, number), page in list(self._pages.items()):
            if not page.new and number != self._minute // (SLOT if kind == MINUTES else DAY):
                del self._pages[kind, number]
        while len(self._pages) > MOST_PAGES:
            del self._pages[min(self._pages, key=lambda page: page[1] if page[0] == MINUTES else 1 << 62)]


def into(totals: dict[tuple[str, str], Sums], name: tuple[str, str], sums: Sums) -> None:
    """Add to one of these totals; they are bounded: of too many tasks the later ones are told together."""
    if name not in totals and len(totals) >= MOST_TOTALS:
        name = (OTHER, OTHER)
    there = totals.get(name)
    if there is None:
        there = totals[name] = Sums()
    there.add(sums)


def _copied(sums: Sums) -> Sums:
    made = Sums()
    made.add(sums)
    made.run, made.wait = added(made.run, []), added(made.wait, [])
    return made


def _short(counts: list[int]) -> list[int]:
    """Without the zeros at its end."""
    end = len(counts)
    while end and not counts[end - 1]:
        end -= 1
    return counts[:end]
