"""An engine that lacks features on purpose: a memory store that refuses what it is told to lack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ropeway.bus import NoBus
from ropeway.clock import Clock
from ropeway.demands import check_entries
from ropeway.errors import BadValue, Unsupported
from ropeway.job import PRIORITY, Job, check_job
from ropeway.store import Ack, Entry, Feature, Handback, Query, Store
from ropeway.stores import open_store


class Poor:
    """`lacks` is refused before anything is done; HISTORY and ATOMIC are quietly less."""

    def __init__(self, url: str, clock: Clock, lacks: Iterable[Feature]) -> None:
        self._store = open_store(url, clock)
        self.features = self._store.features - frozenset(lacks)
        self._inside = self._settled = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _need(self, feature: Feature, wanted: bool = True) -> Store:
        if wanted and feature not in self.features:
            raise Unsupported(f"this engine has no {feature}; nothing was done. Take another one")
        return self._store

    @property
    def bus(self) -> Any:
        return self._store.bus if Feature.TOPICS in self.features else NoBus("this engine")

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        for job in jobs:
            check_job(job)
        if self._inside and self._settled:
            raise BadValue("inside commit, put comes before ack, nack and bury; nothing was stored")
        for job in jobs:
            self._need(Feature.PRIORITY, job.priority != PRIORITY)
            self._need(Feature.DELAY, job.delay != 0)
            self._need(Feature.KEYS, bool(job.key) or job.once)
            self._need(Feature.KEEP, job.keep != 0)
            self._need(Feature.LANES, bool(job.lane))
        return self._store.put(jobs)

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        check_entries(entries, self.features)
        if self._inside and self._settled:
            raise BadValue("inside commit, put comes before ack, nack and bury; nothing was stored")
        return self._store.bring(entries)

    def pick(self, *given: Any) -> Any:
        return self._need(Feature.PICK).pick(*given)

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        for ack in acks:
            self._need(Feature.KEEP, bool(ack.keep))
        self._settled = True
        return self._store.ack(acks)

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        for handback in handbacks:
            self._need(Feature.EDIT, handback.edit is not None)
            self._need(Feature.DELAY, bool(handback.delay))
            self._need(Feature.PRIORITY, handback.priority is not None)
        return self._store.nack(self._without_history(handbacks))

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        return self._store.bury(self._without_history(handbacks))

    def _without_history(self, handbacks: Sequence[Handback]) -> list[Handback]:
        self._settled = True
        kept = Feature.HISTORY in self.features
        return [one if kept else Handback(one.receipt, one.delay, None, one.restore, one.priority, one.edit) for one in handbacks]

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Not atomic: what was done inside stays done."""
        self._inside, self._settled = True, False
        try:
            yield
        finally:
            self._inside = False

    def browse(self, query: Query) -> list[Entry]:
        return self._need(Feature.BROWSE).browse(query)

    def requeue(self, query: Query) -> int:
        return self._need(Feature.BROWSE).requeue(query)

    def delete(self, query: Query) -> int:
        return self._need(Feature.BROWSE).delete(query)

    def limit(self, *given: Any) -> None:
        self._need(Feature.LIMITS).limit(*given)

    def pause(self, *given: Any, **more: Any) -> None:
        self._need(Feature.SWITCHES).pause(*given, **more)

    @property
    def notes(self) -> Any:
        return _PoorNotes(self) if Feature.NOTES not in self.features else self._store.notes


class _PoorNotes:
    def __init__(self, store: Poor) -> None:
        self._refuse = store._need

    def note(self, *_: Any) -> None:
        self._refuse(Feature.NOTES)

    def notes(self, _: str) -> dict[str, bytes]:
        self._refuse(Feature.NOTES)
        return {}

    def forget(self, _: str) -> bool:
        self._refuse(Feature.NOTES)
        return False
