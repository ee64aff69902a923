"""The crowd: which processes of this host claim from the store. One that dies gives its jobs back at once, not when its lease ends.

Each notes down that it is there, with its first claim; the rows that it holds begin with who it is. Its neighbours read the names now and
then and look at the processes, which costs the database nothing. Of other hosts nothing is seen, so there the lease decides.
"""

from __future__ import annotations

from ... import living
from ...clock import Clock
from ...store import Holder
from .desk import Desk
from .record import micros, plain
from .session import Session

PREFIX = "~holder/"  # no key of a note begins so: notes never show these
LIFETIME = 86400.0
RENEWED = 3600.0
REFRESH = 5.0  # seconds between two readings of the names
CALM = 120.0  # the same where nothing runs
GLANCE = 1.0  # and between two looks at the processes


def label(holder: Holder) -> str:
    """What stands in the row of a job that is lent: who would have to die, and what he is called."""
    return f"{living.identity() if holder.bound else ''} {plain(holder.name)}"


class Crowd:
    """Those of this host who claim, as far as this store object knows."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock
        self._others: list[str] = []
        self._read_at, self._glance = -CALM, 0.0
        self._noted: tuple[str, float] = ("", 0.0)

    def join(self, session: Session, holder: Holder) -> None:
        """This process is about to claim."""
        if not holder.bound:
            return
        me, now = living.identity(), self._clock.boot()
        if self._noted[0] != me or now - self._noted[1] > RENEWED:
            session.run("note_down", key=PREFIX + me, value=b"", lifetime=micros(LIFETIME))
            self._noted = me, now

    def somebody_died(self) -> bool:
        """Whether one of those known is gone. Asks the database for nothing."""
        now = self._clock.boot()
        if now < self._glance:
            return False
        self._glance = now + GLANCE
        return any(map(living.is_dead, self._others))

    def look(self, *, calm: bool = False) -> bool:
        """End the leases of those who are gone; whether there was one. `calm`: there are no leases, the names are only kept fresh."""
        self._read(CALM if calm else REFRESH)
        gone = [who for who in self._others if living.is_dead(who)]
        for who in gone:
            self._desk.write(lambda session, who=who: _bury(session, who), durable=False)  # type: ignore[misc]
            self._others.remove(who)
        return bool(gone)

    def _read(self, pause: float) -> None:
        near, now = living.neighbours(), self._clock.boot()
        if not near or now < self._read_at + pause:
            return
        self._read_at = now
        prefix = PREFIX + near
        rows = self._desk.read(lambda session: session.run("notes", prefix=prefix, beyond=prefix + "~"))
        me = living.identity()
        self._others = [name.removeprefix(PREFIX) for name, _ in rows if name != PREFIX + me]


def _bury(session: Session, who: str) -> None:
    session.run("end_leases_of", who=f"{who} %")
    session.run("forget_note", key=PREFIX + who)
