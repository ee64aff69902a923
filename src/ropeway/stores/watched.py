"""The one seam: a store around a store that measures every verb and tells an event of it; everything else passes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

from ..bus import Bus
from ..clock import SYSTEM, Clock
from ..events import Event, Listener, tell
from ..job import Job
from ..names import shown
from ..notes import Notes
from ..store import Ack, Counts, Durability, Entry, Feature, Finding, Handback, Holder, Joined, Lent, Limits, Query, Store

P = ParamSpec("P")
T = TypeVar("T")


class Watched:
    """A store that tells its listeners, after each call, what it did and how long that took, or how it failed.

    `count` says how many of the batch were done, `detail` how many were not: a key was taken, a receipt was void. A batch over
    several queues tells one event for each. What an engine has beyond the contract is reached through it as well.
    """

    def __init__(self, store: Store, listeners: tuple[Listener, ...], clock: Clock = SYSTEM) -> None:
        self._store = store
        self._listeners = listeners
        self._time = clock.boot

    # -- jobs come in and are lent out

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        answers, seconds = self._timed("put", jobs, self._store.put, jobs)
        done = jobs if all(answers) else [job for job, stored in zip(jobs, answers, strict=True) if stored]
        self._tell_jobs("put", done, jobs, seconds)
        return answers

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        jobs = [entry.job for entry in entries]
        answers, seconds = self._timed("bring", jobs, self._store.bring, entries)
        self._tell_jobs("bring", [job for job, here in zip(jobs, answers, strict=True) if here], jobs, seconds)
        return answers

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        lent, seconds = self._timed("claim", queues, self._store.claim, queues, limit, lease, holder)
        self._tell_jobs("claim", [one.job for one in lent], queues, seconds)
        return lent

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        lent, seconds = self._timed("pick", (queue,), self._store.pick, queue, ids, lease, holder)
        self._tell_jobs("pick", [one.job for one in lent if one is not None], (queue,), seconds)
        return lent

    # -- jobs are settled

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        answers, seconds = self._timed("ack", (), self._store.ack, acks)
        self._tell_answers("ack", answers, seconds)
        return answers

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        answers, seconds = self._timed("nack", (), self._store.nack, handbacks)
        self._tell_answers("nack", answers, seconds)
        return answers

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        answers, seconds = self._timed("bury", (), self._store.bury, handbacks)
        self._tell_answers("bury", answers, seconds)
        return answers

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        answers, seconds = self._timed("extend", (), self._store.extend, receipts, lease)
        self._tell_answers("extend", answers, seconds)
        return answers

    # -- waiting, looking, and the operator's verbs

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None = None) -> bool:
        due, seconds = self._timed("wait", queues, self._store.wait, queues, timeout, look)
        self._tell("wait", queues, int(due), seconds)
        return due

    def browse(self, query: Query) -> list[Entry]:
        entries, seconds = self._timed("browse", query.queues, self._store.browse, query)
        self._tell("browse", query.queues, len(entries), seconds)
        return entries

    def requeue(self, query: Query) -> int:
        count, seconds = self._timed("requeue", query.queues, self._store.requeue, query)
        self._tell("requeue", query.queues, count, seconds)
        return count

    def delete(self, query: Query) -> int:
        count, seconds = self._timed("delete", query.queues, self._store.delete, query)
        self._tell("delete", query.queues, count, seconds)
        return count

    def pause(self, queues: Sequence[str], *, put: bool | None = None, claim: bool | None = None, reason: str = "") -> None:
        name = "pause" if put or claim else "resume"
        _, seconds = self._timed(name, queues, self._store.pause, queues, put=put, claim=claim, reason=reason)
        self._tell(name, queues, len(queues), seconds, reason)

    def limit(self, queues: Sequence[str], limits: Limits) -> None:
        _, seconds = self._timed("limit", queues, self._store.limit, queues, limits)
        self._tell("limit", queues, len(queues), seconds)

    def drop(self, queues: Sequence[str]) -> list[bool]:
        answers, seconds = self._timed("drop", queues, self._store.drop, queues)
        self._tell("drop", queues, answers.count(True), seconds)
        return answers

    # -- what passes through

    @property
    def url(self) -> str:
        return self._store.url

    @property
    def features(self) -> frozenset[Feature]:
        return self._store.features

    @property
    def max_body(self) -> int | None:
        return self._store.max_body

    @property
    def notes(self) -> Notes:
        return self._store.notes

    @property
    def bus(self) -> Bus:
        return self._store.bus

    def wake(self) -> None:
        self._store.wake()

    def queues(self) -> list[str]:
        return self._store.queues()

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        return self._store.counts(queues)

    def join(self, tx: Any) -> Joined:
        """Nothing is told of what is done there: it has not happened yet."""
        return self._store.join(tx)

    def transaction(self, tx: Any) -> AbstractContextManager[None]:
        return self._store.transaction(tx)

    def ring(self, queues: Sequence[str]) -> None:
        self._store.ring(queues)

    def commit(self) -> AbstractContextManager[None]:
        return self._store.commit()

    def durability(self) -> Durability:
        return self._store.durability()

    def check(self) -> Iterable[Finding]:
        return self._store.check()

    def close(self) -> None:
        self._store.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)  # ours, and not there yet: a copy being made
        return getattr(self._store, name)

    # -- measuring and telling

    def _timed(
        self, name: str, where: Sequence[str] | Sequence[Job] | None, verb: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> tuple[T, float]:
        begun = self._time()
        try:
            return verb(*args, **kwargs), self._time() - begun
        except BaseException as error:
            event = Event(name, _common(where), 0, self._time() - begun, f"{type(error).__name__}: {shown(str(error), 500)}")
            tell(self._listeners, event)
            raise

    def _tell(self, name: str, where: Sequence[str] | None, count: int, seconds: float, detail: str = "") -> None:
        tell(self._listeners, Event(name, _common(where), count, seconds, "", (), detail))

    def _tell_answers(self, name: str, answers: list[bool], seconds: float) -> None:
        done = answers.count(True)
        lost = len(answers) - done
        tell(self._listeners, Event(name, "", done, seconds, "", (), f"{lost} lost" if lost else ""))

    def _tell_jobs(self, name: str, jobs: Sequence[Job], asked: Sequence[str] | Sequence[Job], seconds: float) -> None:
        refused = f"{len(asked) - len(jobs)} refused" if name in ("put", "bring") and len(asked) > len(jobs) else ""
        if len(jobs) == 1:
            tell(self._listeners, Event(name, jobs[0].queue, 1, seconds, "", (jobs[0].id,), refused))
            return
        if len({job.queue for job in jobs}) == 1:
            tell(self._listeners, Event(name, jobs[0].queue, len(jobs), seconds, "", tuple([job.id for job in jobs]), refused))
            return
        ids: dict[str, list[str]] = {}
        for job in jobs:
            ids.setdefault(job.queue, []).append(job.id)
        for queue, some in ids.items():
            tell(self._listeners, Event(name, queue, len(some), seconds, "", tuple(some), refused))
        if not ids:
            tell(self._listeners, Event(name, _common(asked), 0, seconds, "", (), refused))


def _common(where: Sequence[str] | Sequence[Job] | None) -> str:
    """The one queue that all are about, or nothing."""
    if where and len(where) == 1:
        one = where[0]
        return one.queue if isinstance(one, Job) else one
    names = {one.queue if isinstance(one, Job) else one for one in where or ()}
    return next(iter(names)) if len(names) == 1 else ""
