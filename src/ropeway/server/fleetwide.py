"""The counters of the whole fleet, as one server knows them: what all workers wrote of themselves, added up so that nothing ever falls."""

from __future__ import annotations

from threading import Lock

from msgspec.structs import asdict

from ..errors import RopewayError
from ..history.sums import MINUTES, SLOT, Cell, Sums, merged, unpack
from ..history.tally import into
from ..link import Link
from ..store import Feature

EACH = 5.0  # seconds between two looks, however often it is asked
MOST_SLOTS = 36  # that are read when nobody has asked for long


class Fleetwide:
    """Reads the notes of the history slot by slot. A note is only ever rewritten with more in it, so what came since the last look is what
    it says now without what it said then."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = Lock()
        self._totals: dict[tuple[str, str], Sums] = {}
        self._seen: dict[tuple[str, Cell], Sums] = {}
        self._slot = -1
        self._next = 0.0

    def totals(self) -> dict[tuple[str, str], Sums]:
        """By queue and task, all since this server's first look, and what was known then of the last minutes. Blocks on the store."""
        with self._lock:
            if self._link.clock.boot() >= self._next:
                self._look()
            return dict(self._totals)

    def _look(self) -> None:
        store = self._link.store
        if Feature.NOTES not in store.features:
            return
        slot = int(self._link.clock.now()) // SLOT
        since = max(slot - MOST_SLOTS, (slot if self._slot < 0 else self._slot) - 1)  # notes come up to a minute late
        seen: dict[tuple[str, Cell], Sums] = {}
        try:
            for number in range(since, slot + 1):
                for key, value in store.notes.notes(f"{MINUTES}{number}/").items():
                    for cell, sums in merged(unpack(key, value)).items():
                        self._add(key, cell, sums, seen)
        except RopewayError:
            self._seen |= seen
            return
        self._seen, self._slot = seen, slot
        self._next = self._link.clock.boot() + EACH

    def _add(self, key: str, cell: Cell, sums: Sums, seen: dict[tuple[str, Cell], Sums]) -> None:
        before = self._seen.get((key, cell))
        seen[key, cell] = sums
        if before is None:
            into(self._totals, cell[1:], sums)
        elif (more := difference(sums, before)) is not None:
            into(self._totals, cell[1:], more)


def difference(now: Sums, before: Sums) -> Sums | None:
    """What came in between; None when nothing did, or the note was written anew with less."""
    if now == before:
        return None
    run = [count - (before.run[place] if place < len(before.run) else 0) for place, count in enumerate(now.run)]
    wait = [count - (before.wait[place] if place < len(before.wait) else 0) for place, count in enumerate(now.wait)]
    then = asdict(before)
    made = Sums(**{name: value - then[name] for name, value in asdict(now).items() if name not in ("run", "wait")}, run=run, wait=wait)
    numbers = [*run, *wait, *(value for name, value in asdict(made).items() if name not in ("run", "wait"))]
    return made if all(number >= 0 for number in numbers) else None
