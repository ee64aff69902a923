"""What a server sees happen to jobs: a store around its store, there for as long as somebody listens and not a moment longer.

All doors come to the store through one connection, so whatever is put, claimed or settled over HTTP goes through here: by routes, on
WebSockets and by workers on the engine `http:`. What others do to the same store does not. Of queues that nobody watches nothing is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from ..handle import CANCEL
from ..job import Job
from ..link import Link
from ..notes import Notes
from ..store import Ack, Entry, Handback, Holder, Lent, Query, Store

MOST = 100_000  # claims that are remembered; beyond that, the oldest end unseen
LOOKED = 1000  # ids of an operator's verb that are looked up, at most
SOME = -1  # so many jobs, nobody knows how many


class Happening(NamedTuple):
    """One thing that happened to a job, by the server's clock; with an empty id to `count` jobs at once."""

    event: str
    queue: str
    id: str
    at: float
    attempt: int = 0
    more: dict[str, Any] | None = None


class Claimed(Protocol):
    """Whose claim a receipt is."""

    @property
    def queue(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def attempt(self) -> int: ...


class Out(NamedTuple):
    """A claim that was seen."""

    queue: str
    id: str
    attempt: int


class Tap:
    """What is told, and to whom: `watched` says of a queue whether anybody wants to know, `told` gets what happened, in any thread. `known`
    knows of receipts that were given out before anybody listened."""

    def __init__(
        self,
        link: Link,
        watched: Callable[[str], bool],
        told: Callable[[Sequence[Happening]], None],
        known: Callable[[str], Claimed | None],
    ) -> None:
        self.watched = watched
        self._link = link
        self._told = told
        self._known = known
        self._out: dict[str, Out] = {}
        self._local = threading.local()

    def open(self) -> None:
        """From now on."""
        self._link.tap(lambda store: Tapped(store, self))

    def close(self) -> None:
        """No more: the store is as it was."""
        self._link.tap(None)
        self._out.clear()

    @property
    def now(self) -> float:
        return self._link.clock.now()

    def tell(self, some: list[Happening]) -> None:
        """This has happened, unless we are inside of a commit: then once that stands."""
        held: list[Happening] | None = getattr(self._local, "held", None)
        if held is not None:
            held += some
        elif some:
            self._told(some)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is told inside is told at the end, or not at all when it fails."""
        if getattr(self._local, "held", None) is not None:
            yield
            return
        held: list[Happening] = []
        self._local.held = held
        try:
            yield
        finally:
            self._local.held = None
        self.tell(held)

    def lent(self, lents: Sequence[Lent | None]) -> None:
        """These were claimed."""
        some, now = [], self.now
        for lent in lents:
            if lent is None:
                continue
            job = lent.job
            self._out[lent.receipt] = Out(job.queue, job.id, lent.attempt)
            if self.watched(job.queue):
                more = {"task": job.task, "deaths": lent.deaths}
                some.append(
                    Happening("claimed", job.queue, job.id, now, lent.attempt, {name: value for name, value in more.items() if value})
                )
        while len(self._out) > MOST:
            try:
                self._out.pop(next(iter(self._out)), None)
            except (StopIteration, RuntimeError):  # other threads are at it too
                break
        self.tell(some)

    def settled(self, what: Sequence[Any], answers: Sequence[bool], name: Callable[[Any], tuple[str, dict[str, Any] | None]]) -> None:
        """The store has answered. `name`: how a settlement that was taken is told."""
        some, now = [], self.now
        for one, answer in zip(what, answers, strict=True):
            out: Claimed | None = self._out.pop(one.receipt, None) or self._known(one.receipt)
            if out is not None and self.watched(out.queue):
                event, more = name(one) if answer else ("lost", None)
                some.append(Happening(event, out.queue, out.id, now, out.attempt, more))
        self.tell(some)

    def operated(self, event: str, query: Query, before: Sequence[Entry], count: int) -> None:
        """An operator's verb has met so many jobs; `before`: those that it named, as they stood."""
        if not count:
            return
        now = self.now
        if before:
            if len(before) == count:  # else somebody was quicker with one of them
                self.tell([Happening(event, one.job.queue, one.job.id, now) for one in before if self.watched(one.job.queue)])
            return
        names = query.queues or ()
        met = count if len(names) == 1 else SOME
        self.tell([Happening(event, name, "", now, 0, {"count": met}) for name in names if self.watched(name)])


class Tapped:
    """The store, each verb that changes jobs told once it has answered; all else passes through."""

    def __init__(self, store: Store, tap: Tap) -> None:
        self._store = store
        self._tap = tap
        self.notes: Notes = TappedNotes(store, tap)

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        answers = self._store.put(jobs)
        tap = self._tap
        now, watched = tap.now, tap.watched
        tap.tell([_put(job, now) for job, stored in zip(jobs, answers, strict=True) if watched(job.queue) and stored])
        return answers

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        answers = self._store.bring(entries)
        tap, now = self._tap, self._tap.now
        tap.tell(
            [
                Happening("brought", entry.job.queue, entry.job.id, now, 0, {"state": str(entry.state)})
                for entry, here in zip(entries, answers, strict=True)
                if tap.watched(entry.job.queue) and here
            ]
        )
        return answers

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        lents = self._store.claim(queues, limit, lease, holder)
        self._tap.lent(lents)
        return lents

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        lents = self._store.pick(queue, ids, lease, holder)
        self._tap.lent(lents)
        return lents

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        answers = self._store.ack(acks)
        self._tap.settled(acks, answers, lambda _: ("done", None))
        return answers

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        answers = self._store.nack(handbacks)
        self._tap.settled(handbacks, answers, _given_back)
        return answers

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        answers = self._store.bury(handbacks)
        self._tap.settled(handbacks, answers, lambda one: ("buried", _outcome(one)))
        return answers

    def requeue(self, query: Query) -> int:
        return self._operated("requeued", query, self._store.requeue)

    def delete(self, query: Query) -> int:
        return self._operated("deleted", query, self._store.delete)

    def drop(self, queues: Sequence[str]) -> list[bool]:
        answers = self._store.drop(queues)
        tap, now = self._tap, self._tap.now
        tap.tell([Happening("dropped", name, "", now) for name, gone in zip(queues, answers, strict=True) if gone and tap.watched(name)])
        return answers

    @contextmanager
    def commit(self) -> Iterator[None]:
        with self._tap.held(), self._store.commit():
            yield

    def _operated(self, event: str, query: Query, verb: Callable[[Query], int]) -> int:
        before = self._store.browse(query) if query.ids and len(query.ids) <= LOOKED else []
        count = verb(query)
        self._tap.operated(event, query, before, count)
        return count

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)  # ours, and not there yet: a copy being made
        return getattr(self._store, name)


class TappedNotes:
    """The notes, of which one kind is the wish to have a running job called back."""

    def __init__(self, store: Store, tap: Tap) -> None:
        self._store = store
        self._tap = tap

    def note(self, key: str, value: bytes, lifetime: float) -> None:
        """As the store's own."""
        self._store.notes.note(key, value, lifetime)
        if key.startswith(CANCEL):
            found = self._store.browse(Query(ids=(key.removeprefix(CANCEL),)))
            now = self._tap.now
            self._tap.tell([Happening("cancelled", one.job.queue, one.job.id, now) for one in found if self._tap.watched(one.job.queue)])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._store.notes, name)


def _put(job: Job, now: float) -> Happening:
    more: dict[str, Any] = {"priority": job.priority, "due": job.due or now}
    return Happening("put", job.queue, job.id, now, 0, more | {"task": job.task} if job.task else more)


def _given_back(one: Handback) -> tuple[str, dict[str, Any] | None]:
    told = _outcome(one) | {"delay": one.delay}
    return ("returned" if one.restore or one.attempt is None else "failed"), told


def _outcome(one: Handback) -> dict[str, Any]:
    return {"outcome": one.attempt.outcome} if one.attempt is not None and one.attempt.outcome else {}
