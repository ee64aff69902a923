"""A job's life as it goes on: what happens to it, step by step. Looks now and then, and hears of the end by a ring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from .calls.endings import ENDED, Waiter, of
from .durations import Duration, seconds
from .job import WAITING, State
from .link import Link
from .store import Entry, Feature, Query

FIRST, LONGEST = 0.1, 1.0  # seconds between two looks; longer while nothing happens

Kind = Literal["waits", "runs", "progress", "tried", "done", "dead", "gone"]


class Step(Struct, frozen=True):
    """One thing that happened to a job.

    `kind`: it `waits` (until `due`), `runs` (on `worker`), told its `progress`, was `tried` in vain (`error`, by `worker`), or has ended:
    `done`, `dead` (`error`) or `gone` (done without `keep`, deleted, expired). `at` is when, or when that was seen; seconds since 1970.
    """

    kind: Kind
    at: float
    attempt: int = 0
    worker: str = ""
    error: str = ""
    due: float | None = None
    progress: Any = None


LAST = frozenset({"done", "dead", "gone"})


def follow(link: Link, queue: str, job_id: str, timeout: Duration | None, key: str) -> Iterator[Step]:
    """The steps from now on. `key`: of the note that has its progress."""
    boot = link.clock.boot
    deadline = None if timeout is None else boot() + seconds(timeout, "timeout")
    seen, pause = Seen(link, queue, job_id, key), FIRST
    waiter, all_of = Waiter(queue, (job_id,)), of(link)
    with all_of.waiting(waiter):
        while True:
            new = seen.look()
            yield from new
            if (new and new[-1].kind in LAST) or (deadline is not None and deadline <= boot()):
                return
            pause = FIRST if new else min(2 * pause, LONGEST)
            until = boot() + pause
            all_of.wait(waiter, until if deadline is None else min(until, deadline))


class Seen:
    """One job, and what was told of it already."""

    def __init__(self, link: Link, queue: str, job_id: str, key: str) -> None:
        self._link = link
        self._query = Query(queues=(queue,), ids=(job_id,))
        self._key = key
        self._tried = -1.0  # when the last try that was told had ended; -1: nothing was told yet
        self._last: tuple[object, ...] = ()
        self._progress: bytes | None = None

    def look(self) -> list[Step]:
        """What has happened since the last look."""
        found = self._link.store.browse(self._query)
        return list(self._new(found[0] if found else None))

    def _new(self, entry: Entry | None) -> Iterator[Step]:
        """The steps between the last look and this one."""
        now = self._link.clock.now()
        if entry is None:
            yield from self._said()
            yield Step("gone", now)
            return
        yield from self._tries(entry)
        if entry.state is State.RUNNING:
            yield from self._moved(Step("runs", now, entry.attempts, entry.holder), (entry.state, entry.attempts))
        yield from self._said()
        if entry.state in WAITING:
            yield from self._moved(Step("waits", now, entry.attempts, due=entry.due), (State.READY, entry.attempts, entry.due))
        elif entry.state in ENDED:
            kind: Kind = "done" if entry.state is State.DONE else "dead"
            yield Step(kind, now, entry.attempts, error=entry.error if kind == "dead" else "")

    def _moved(self, step: Step, place: tuple[object, ...]) -> Iterator[Step]:
        if place != self._last:
            self._last = place
            yield step

    def _tries(self, entry: Entry) -> Iterator[Step]:
        """The tries that ended since: also those that came and went between two looks. What was before the first look is the past."""
        first, last = self._tried < 0, self._tried
        for one in entry.history:
            if one.ended > last and not first:
                yield Step("tried", one.ended, one.number, one.worker, one.error)
            self._tried = max(self._tried, one.ended)
        self._tried = max(self._tried, 0.0)

    def _said(self) -> Iterator[Step]:
        """What the job told of its progress, if that is new."""
        from .handle import read_progress

        if Feature.NOTES not in self._link.store.features:
            return
        note = self._link.store.notes.notes(self._key).get(self._key)
        if note is not None and note != self._progress:
            self._progress = note
            yield Step("progress", self._link.clock.now(), progress=read_progress(note))
