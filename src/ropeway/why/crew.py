"""The workers as `why` sees them: what each tells of itself, and whether that can still be true. No note is struck off by looking."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from ..errors import BadValue
from ..group import PREFIX
from ..living import is_dead, is_halted
from ..names import matching
from ..store import Feature, Store
from ..worker.fleet import notice
from ..worker.fleet.notice import Notice
from ..worker.fleet.weights import split

LATE = 5.0  # seconds by which a note may come late before its worker counts as silent


class Life(StrEnum):
    """What is known of a worker's process."""

    HERE = "here"  # heard of in time, or seen alive
    DEAD = "dead"  # on this host, and gone
    HALTED = "halted"  # on this host, and stopped by a signal
    SILENT = "silent"  # its next note is overdue


class Seen(Struct, frozen=True):
    """One worker."""

    notice: Notice
    life: Life
    patterns: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.notice.id

    @property
    def free(self) -> int:
        """Slots that have nothing to do."""
        return max(0, self.notice.slots - self.notice.running)

    @property
    def open(self) -> bool:
        """Whether it claims at all, as far as is known."""
        return self.life is Life.HERE and self.notice.state in ("idle", "busy")

    def takes(self, queue: str) -> bool:
        """Whether its patterns mean the queue, or it said that it claims from it."""
        if queue in self.notice.queues or queue in matching(self.patterns, (queue,)):
            return True
        return queue.startswith(PREFIX) and queue in (self.notice.tasks or ())  # the group of a subscriber in its code

    def leaves_out(self, queue: str) -> bool:
        """Whether only a pattern with ! keeps it from the queue."""
        plain = [pattern for pattern in self.patterns if not pattern.startswith("!")]
        return not self.takes(queue) and bool(plain) and queue in matching(plain, (queue,))

    def knows(self, task: str) -> bool:
        """Whether it can run jobs of this task, as far as it says."""
        return self.notice.tasks is None or task in self.notice.tasks


def seen_workers(store: Store, now: float) -> list[Seen]:
    """All that have a note, by id."""
    if Feature.NOTES not in store.features:
        return []
    found = [notice.unpack(key, value) for key, value in store.notes.notes(notice.PREFIX).items()]
    return [Seen(one, _life(one, now), _patterns(one)) for one in found if one is not None]


def _life(seen: Notice, now: float) -> Life:
    if is_dead(seen.who):
        return Life.DEAD
    if is_halted(seen.who):
        return Life.HALTED
    overdue = seen.every and now - seen.at > 1.5 * seen.every + LATE
    return Life.SILENT if overdue else Life.HERE


def _patterns(seen: Notice) -> tuple[str, ...]:
    try:
        return split(seen.patterns)[0]
    except BadValue:  # a note comes from outside
        return ()
