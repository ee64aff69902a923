"""What groups there are, known to who publishes without a look at every publish, and how who adds one knows that all publishers know it.

A look is believed for BELIEVED seconds, by the clock that never steps, counted from before it began. Whoever has changed the groups waits
for SETTLED seconds before he answers: by then no look is believed any more that began before the change. So nobody has to be told and
nobody has to be there, and a publish that begins after the answer knows the change, in every process and on every host; one that was
killed while it waited has answered nothing. Who only reads waits too, if what he sees may be that young: what is shown is known.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .group import Roll, entries, look, read_record

if TYPE_CHECKING:
    from .link import Link
    from .store import Entry

BELIEVED = 0.25  # seconds from the begin of a look
SETTLED = 0.3  # more than that, for clocks that do not run alike
YOUNG = 5.0  # seconds by the wall clock of the store: a record that is older was settled long ago, however far the clocks are apart


class Census:
    """The groups as one connection knows them. May be used from any thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._looking = threading.Lock()
        self._known = (float("-inf"), Roll({}, {}))  # when the look began, and what it found
        self._changes = 0
        self._met: dict[str, float] = {}  # by id: since when a record is there, as far as we know; of young ones only
        self._believed = 0.0 if link.url.startswith("memory:") else BELIEVED  # there a look costs nothing

    def roll(self) -> Roll:
        """What groups there are, for a publish that begins now. Raises StoreError."""
        asked = self._link.clock.boot()
        if (known := self.known()) is not None:
            return known
        with self._looking:  # one for all threads: who comes out of the line may use a look that began after he came
            begun, roll = self._known
            if begun >= asked and self._believed:
                return roll
            begun, changes = self._link.clock.boot(), self._changes
            roll = look(self._link.store)
            if changes == self._changes:
                self._known = (begun, roll)
        return roll

    def known(self) -> Roll | None:
        """The same without asking the store; None when only that can tell."""
        begun, roll = self._known
        return roll if self._link.clock.boot() - begun < self._believed else None

    def changed(self) -> None:
        """Something was changed here: answer when every publish that begins knows it."""
        self._changes += 1
        self._known = (float("-inf"), Roll({}, {}))
        self._wait(SETTLED)

    def seen(self) -> Roll:
        """What groups there are, asked of the store, and answered when every publish that begins knows them too."""
        found = entries(self._link.store)
        self._wait(self._left(found))
        return Roll.of(map(read_record, found))

    def _left(self, found: Sequence[Entry]) -> float:
        """For how long some publisher may not know one of these."""
        clock = self._link.clock
        now, boot = clock.now(), clock.boot()
        young = [entry.job.id for entry in found if abs(now - entry.job.created) < YOUNG]
        self._met = {job_id: self._met.get(job_id, boot) for job_id in young}
        return max((since + SETTLED - boot for since in self._met.values()), default=0.0)

    def _wait(self, seconds: float) -> None:
        clock = self._link.clock
        end = clock.boot() + seconds
        while self._believed and (left := end - clock.boot()) > 0:
            clock.sleep(threading.Event(), left)


def census(link: Link) -> Census:
    """The census of this connection: one for all its handles, made at its first use in this process."""
    made = link.census
    if made is None:
        made = link.share(lambda: Census(link), "census")
    return made  # type: ignore[return-value]
