"""The directory engine's door: the Store contract, verb by verb, each handed to the side of the queue that does it.

No daemon, no lock file, no index, no journal of its own: one put is one file, the file's name is the job's state, and every change of
state is one rename or unlink of one exact name (docs/directory-format.md; the tried algorithm behind it has its figures there).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import TypeVar

import msgspec

from ...bells.datagram import Bell
from ...bus import LateBus, OwnBus
from ...clock import Clock
from ...demands import Apart, check_acks, check_entries, check_handbacks, check_lease, check_limit, check_limits, check_query, check_reason
from ...errors import BadValue, StoreError
from ...events import Listener
from ...job import Job
from ...names import check_name, is_ended, shown
from ...store import Ack, Counts, Durability, Entry, Feature, Finding, Handback, Holder, Lent, Limits, Query
from ...url import StoreUrl
from .disk import Disk
from .guard import guarded, stopped
from .hub import Hub
from .layout import by_part, is_cursor
from .notes import DirectoryNotes
from .putting import Putting
from .station import Station

T = TypeVar("T")
MISSING_POLL = 0.25
TRIES = 20  # of a claim in queues that are dropped meanwhile


class DirectoryStore(Apart):
    """Jobs in a folder. Any number of processes and hosts may open it; each object may be used from any thread, never after a fork."""

    features = frozenset(Feature) - {Feature.ATOMIC, Feature.JOIN}
    max_body: int | None = None

    def __init__(self, url: StoreUrl, clock: Clock, *, disk: Disk | None = None) -> None:
        self.url = url.text
        self._clock = clock
        self._hub = Hub(url, clock, disk)
        self._place = self._hub.place
        self._waiting = self._hub.waiting
        self._stations = self._hub.known
        self._putting = Putting(self._hub)
        self.notes = DirectoryNotes(self._place, self._hub.ready)
        self.bus = LateBus(self._bus)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Who is told what the engine does by itself: rescued, expired, quarantined."""
        return self._hub.listeners

    @listeners.setter
    def listeners(self, listeners: tuple[Listener, ...]) -> None:
        self._hub.listeners = listeners

    # -- put

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        return guarded(self._putting.put, jobs)

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        return guarded(self._bring, entries)

    def _bring(self, entries: Sequence[Entry]) -> list[bool]:
        from .bringing import bring

        check_entries(entries, self.features)
        self._putting.check()
        return bring(self._hub, entries, self._putting.finish)

    # -- claim

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        for _ in range(TRIES):
            try:
                return guarded(self._claim, queues, limit, lease, holder)
            except StoreError as error:
                if not self._hub.renewed(queues, error):
                    raise
        return guarded(self._claim, queues, limit, lease, holder)

    def _claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        check_limit(limit)
        check_lease(lease)
        out: list[Lent] = []
        refused: list[tuple[str, str]] = []
        for queue in queues:
            station = self._hub.station(queue)
            if station is None:
                check_name(queue)
                continue
            reason = station.room.stopped("claim")
            if reason is not None:
                refused.append((queue, reason))
                continue
            if station.room.gone:
                return out if out else self._claim(queues, limit, lease, holder)  # dropped: there may be a new one
            if out and out[-1].deaths:
                break
            with station.room.lock:
                station.rescue.if_due()
                lent = station.lending.claim(limit - len(out), lease, holder, begun=bool(out))
            if lent:
                self._waiting.found()
                if station.lending.more and self._waiting.just_woken():
                    station.ring(1)
                out += lent
                if len(out) >= limit:
                    break
            if out and station.lending.more:
                break  # a suspect comes next: it is lent alone
        if not out and refused and len(refused) == len(queues):
            raise stopped(*refused[0][:1], "claims", refused[0][1])
        if out and (now := self._clock.boot()) >= out[0].until:  # a file server was away meanwhile: others may have the first by now
            return [one for one in out if one.until > now]
        return out

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        check_lease(lease)
        station = self._hub.sound(queue)
        if station is None:
            return [None] * len(ids)
        return guarded(station.operating.pick, ids, lease, holder)

    # -- settling

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        check_acks(acks)
        self._putting.settles()
        return self._settle([a.receipt for a in acks], acks, lambda s: s.settling.ack)

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks)
        self._putting.settles()
        answers = self._settle([h.receipt for h in handbacks], handbacks, lambda s: s.settling.nack)
        returned: dict[str, int] = {}
        for done, back in zip(answers, handbacks, strict=True):
            if done:
                queue = back.receipt.partition("/")[0]
                returned[queue] = returned.get(queue, 0) + 1
        for queue, count in returned.items():  # a delayed one too: whoever sleeps must know that it may not sleep past that moment
            self._hub.made(queue).ring(count)
        return answers

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks)
        self._putting.settles()
        return self._settle([h.receipt for h in handbacks], handbacks, lambda s: s.settling.bury)

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        check_lease(lease)

        def verb(station: Station) -> Callable[[str, Sequence[tuple[int, str]]], list[bool]]:
            return lambda base, items: station.settling.extend(base, [record for record, _ in items], lease)

        return self._settle(receipts, receipts, verb)

    def _settle(
        self, receipts: Sequence[str], items: Sequence[T], verb: Callable[[Station], Callable[[str, list[tuple[int, T]]], list[bool]]]
    ) -> list[bool]:
        self._hub.ready()
        answers = [False] * len(receipts)
        for base, members in by_part(receipts).items():
            station = guarded(self._station_of, base)
            if station is None:
                continue
            with station.room.lock:
                asked = [(record, items[index]) for index, record in members]
                try:
                    done = guarded(verb(station), base, asked)
                except StoreError:
                    if not station.lost():  # some folders were, by one who then could not drop the queue
                        raise
                    done = guarded(verb(station), base, asked)
                ends, station.ended = station.ended, False
            if ends:
                self._hub.ring_ends(station.room.queue)
            for (index, _), answer in zip(members, done, strict=True):
                answers[index] = answer
        return answers

    def _station_of(self, base: str) -> Station | None:
        queue = base.partition("/")[0]
        station = self._stations.get(queue)
        if station is not None and base in station.held:
            return station  # what it holds cannot have been dropped
        try:
            return self._hub.sound(queue)
        except ValueError:
            return None

    # -- waiting

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None = None) -> bool:
        announced: set[Bell] = set()
        try:
            return guarded(self._wait, queues, timeout, look, announced)
        finally:
            for bell in announced:
                bell.withdraw(self._waiting.mine())
            self._waiting.awake()

    def _wait(self, asked: Sequence[str], timeout: float, look: Callable[[], bool] | None, announced: set[Bell]) -> bool:
        self._hub.ready()
        for name in asked:
            check_name(name)
        queues, ends = [q for q in asked if not is_ended(q)], [q for q in asked if is_ended(q)]
        sleeper = self._waiting.mine()
        end = self._clock.boot() + timeout
        while True:
            sleeper.drain()
            self._hub.renew(queues)
            stations = [s for q in queues if (s := self._hub.station(q)) is not None]
            for bell in [station.bell for station in stations] + [self._hub.bell_of_ends(name) for name in ends]:
                if bell is not None:
                    bell.announce(sleeper)
                    announced.add(bell)
            soonest = self._waiting.look(stations)
            if soonest == 0 or (look is not None and look()):
                return True
            if any(station.room.gone for station in stations):
                continue  # the queue was dropped: look for it anew
            left = end - self._clock.boot()
            if self._waiting.woken(sleeper) or left <= 0:
                return False
            missing = len(stations) < len(queues)
            pause = min(left, soonest, self._waiting.pause(missing, self._place.disk.shared), MISSING_POLL if missing else left)
            rung = self._clock.sleep(sleeper, pause)
            if self._hub.closed:
                return False
            if self._waiting.woken(sleeper):  # asked once: asking forgets
                return False
            if rung and (ends or (sleeper.due and self._waiting.all_open(stations)) or self._waiting.look(stations) == 0):
                return True

    def wake(self) -> None:
        self._waiting.wake()

    # -- looking

    def queues(self) -> list[str]:
        return guarded(self._hub.queues)

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        return {q: self._counts(q) for q in (queues if queues is not None else self.queues())}

    def _counts(self, queue: str) -> Counts:
        with self._hub.glimpse(queue) as station:
            return Counts() if station is None else guarded(station.looking.counts)

    def browse(self, query: Query) -> list[Entry]:
        return guarded(self._browse, query)

    def _browse(self, query: Query) -> list[Entry]:
        self._demand(query)
        out: list[Entry] = []
        for queue in self._asked(query):
            if query.after and f"{queue} ~" < query.after:
                continue
            left = None if query.limit is None else query.limit - len(out)
            if left is not None and left <= 0:
                break
            with self._hub.glimpse(queue) as station:
                found = [] if station is None else list(islice(station.looking.entries(query), left))
                kept = self._stations.get(queue)
                if kept is not station and any(entry.job.source is not None for entry in found):  # read by and by: it must stay open
                    kept = self._hub.sound(queue)
                    found = [] if kept is None else list(islice(kept.looking.entries(query), left))
            out += found
        return out

    def _demand(self, query: Query) -> None:
        check_query(query)
        if query.after and not is_cursor(query.after):
            raise BadValue(f"{shown(query.after)} is no cursor: give the one of the last job seen; nothing was done")

    def _asked(self, query: Query) -> list[str]:
        return sorted(set(query.queues)) if query.queues is not None else self.queues()

    # -- operating

    def requeue(self, query: Query) -> int:
        return self._operate(query, lambda s, q: s.operating.requeue(q))

    def delete(self, query: Query) -> int:
        return self._operate(query, lambda s, q: s.operating.delete(q))

    def _operate(self, query: Query, verb: Callable[[Station, Query], int]) -> int:
        self._demand(query)
        total, left = 0, query.limit
        for queue in self._asked(query):
            station = self._hub.sound(queue)
            if station is None:
                continue
            done = guarded(verb, station, msgspec.structs.replace(query, limit=left))
            total += done
            left = None if left is None else left - done
            if left is not None and left <= 0:
                break
        return total

    def pause(self, queues: Sequence[str], *, put: bool | None = None, claim: bool | None = None, reason: str = "") -> None:
        check_reason(reason)
        for queue in queues:
            check_name(queue)
        for queue in queues:
            self._hub.sound(queue)
            station = self._hub.made(queue)
            for what, off in (("put", put), ("claim", claim)):
                if off is not None:
                    guarded(station.room.switch, what, off, reason)
            if claim is False:
                station.ring(64)

    def limit(self, queues: Sequence[str], limits: Limits) -> None:
        for queue in queues:
            check_name(queue)
        check_limits(limits)
        for queue in queues:
            self._hub.sound(queue)
            guarded(self._hub.made(queue).operating.limit, limits)

    def drop(self, queues: Sequence[str]) -> list[bool]:
        from .dropping import drop

        for queue in queues:
            check_name(queue)
        return [guarded(drop, self._hub, queue) for queue in queues]

    # -- the rest

    def commit(self) -> AbstractContextManager[None]:
        """Puts are written at once and synced together, before the first ack and at the end."""
        return self._putting.commit()

    def durability(self) -> Durability:
        return self._hub.ready().durability()

    def check(self) -> Iterable[Finding]:
        from .checkup import check_place, check_station

        place = self._hub.ready()
        yield from check_place(place)
        for queue in self.queues():
            station = self._hub.station(queue)
            if station is not None:
                yield from check_station(station)

    def _bus(self) -> OwnBus:
        from ...buses.places import Folder
        from ...buses.stream import StreamBus

        return StreamBus(self.url, self.notes, Folder(self._hub.ears, lambda: not self._place.disk.shared), self._clock)

    def close(self) -> None:
        self.bus.close()
        if self._hub.close():
            self.notes.close()
            self._place.close()
