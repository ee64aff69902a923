"""The Redis engine's door: the Store contract, each verb one Lua call in one round trip (lua/, with the map of keys in lua/base.lua).

The server's clock decides what is due and when a lease ends; a clock that is not the system's (that of a test) is sent along instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...bus import LateBus, OwnBus
from ...clock import Clock
from ...demands import Apart
from ...job import Job
from ...store import Ack, Counts, Durability, Entry, Feature, Finding, Handback, Holder, Lent, Limits, Query
from ...url import StoreUrl
from .address import read_address
from .commit import Held
from .facts import RedisNotes
from .hub import Hub
from .intake import MAX_BODY, Intake
from .lending import Lending
from .looking import Looking
from .rooms import Rooms
from .ruling import Ruling
from .scripts import Request
from .settling import Settling
from .waiting import Waiting
from .way import Way


class RedisStore(Apart):
    """Jobs on a Redis or Valkey server, alone, behind sentinels, or in a cluster. May be used from any thread and after a fork."""

    features = frozenset(Feature) - {Feature.STREAM, Feature.ATOMIC, Feature.JOIN}
    max_body: int | None = MAX_BODY

    def __init__(self, url: StoreUrl, clock: Clock) -> None:
        self.url = url.text
        self._options = url
        self._clock = clock
        address = read_address(url)
        self._copies = address.replicas if url.durability == "full" else 0
        self._settle_copies = address.replicas if url.acks == "full" else 0
        self._hub = Hub(url, address, self._greet)
        self._rooms = Rooms(url.namespace)
        way = self._way = Way(self._hub, self._rooms, clock)
        self._intake = Intake(way, self.features, self.url, self._copies)
        self._settling = Settling(way, self._settle_copies)
        self._waiting = Waiting(way, url)
        self._lending = Lending(way, self._waiting, self._settling, url.dead_keep)
        self._looking = Looking(way, url.dead_keep)
        self._ruling = Ruling(way, self._intake, url.dead_keep)
        self.notes = RedisNotes(way)
        self.bus = LateBus(self._bus)

    # -- jobs come in, are lent out, and are settled

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        return self._intake.put(jobs)

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        return self._intake.bring(entries)

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        return self._lending.claim(queues, limit, lease, holder)

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        return self._lending.pick(queue, ids, lease, holder)

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        return self._settling.extend(receipts, lease)

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        return self._settling.ack(acks)

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        return self._settling.nack(handbacks)

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        return self._settling.bury(handbacks)

    # -- waiting

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None = None) -> bool:
        return self._waiting.wait(queues, timeout, look)

    def wake(self) -> None:
        self._waiting.wake()

    # -- looking, and the operator's verbs

    def queues(self) -> list[str]:
        return self._looking.queues()

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        return self._looking.counts(queues)

    def browse(self, query: Query) -> list[Entry]:
        return self._looking.browse(query)

    def requeue(self, query: Query) -> int:
        return self._looking.change("r", query)

    def delete(self, query: Query) -> int:
        return self._looking.change("d", query)

    def pause(self, queues: Sequence[str], *, put: bool | None = None, claim: bool | None = None, reason: str = "") -> None:
        self._ruling.pause(queues, put, claim, reason)

    def limit(self, queues: Sequence[str], limits: Limits) -> None:
        self._ruling.limit(queues, limits)

    def drop(self, queues: Sequence[str]) -> list[bool]:
        return self._ruling.drop(queues)

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Not all or nothing: what answered inside is done. In order, by one connection, and what settles shares a round trip with what
        follows it."""
        self._hub.enter()
        local = self._hub.local
        if self._way.held() is not None:
            yield
            return
        held = local.held = Held(self._hub, self._settle_copies)
        try:
            yield
        finally:
            del local.held
            held.end()

    def durability(self) -> Durability:
        from .checkup import read_config

        self._hub.enter()
        place = self._hub.places()[0]
        return read_config(lambda *words: self._hub.through([Request(None, words)], place=place)[0], self._copies).durability

    def check(self) -> Iterable[Finding]:
        from .checkup import check_server

        return check_server(self._hub, self._rooms, self._copies, self.queues(), self._waiting.deaf)

    def _greet(self, ask: Callable[..., Any]) -> None:
        from .checkup import greet

        greet(ask, self._options, self._copies)

    def _bus(self) -> OwnBus:
        from .bus import RedisBus

        return RedisBus(self._hub, self._rooms.stem)

    def close(self) -> None:
        self.bus.close()
        self._waiting.close()
        self._hub.close()
