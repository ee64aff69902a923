"""What every fault on purpose is made of: a store around a store, which passes on all that its fault is not about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from ..job import Job, State
from ..store import Entry, Holder, Lent, Query, Store

THIRD = 3  # where each third call goes wrong
LONG = 600.0  # seconds: a lease that nobody will see the end of
NOBODY = Holder("nobody", bound=False)


class Faulty:
    """A store with a fault. Each subclass says in its first line what it breaks; all else goes to the store as it came."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._calls = 0
        self._last: dict[str, Lent] = {}  # by job id: what was lent here last
        self._lent: dict[str, Lent] = {}  # by receipt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def third(self) -> bool:
        """Whether this is the call that goes wrong."""
        self._calls += 1
        return self._calls % THIRD == 0

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        return self.remembered(self._store.claim(queues, limit, lease, holder))

    def remembered(self, lent: list[Lent]) -> list[Lent]:
        """The same, kept in mind for a fault that needs to know."""
        for one in lent:
            self._last[one.job.id] = self._lent[one.receipt] = one
        return lent

    def waiting(self, queues: Sequence[str], state: State) -> list[Entry]:
        """The jobs in that state, in the order in which the queues were named."""
        found: list[Entry] = []
        for queue in queues:
            found += self._store.browse(Query(queues=(queue,), states=frozenset({state}), limit=None))
        return found

    def taken(self, queue: str, job_id: str, lease: float = LONG, holder: Holder = NOBODY) -> list[Lent]:
        """That job by its id, if it waits."""
        return [one for one in self._store.pick(queue, [job_id], lease, holder) if one is not None]

    @contextmanager
    def wide_lanes(self, queues: Collection[str]) -> Iterator[None]:
        """Meanwhile each of their lanes lets two run, and who is given back keeps no place."""
        counts = self._store.counts([*queues])
        for queue in queues:
            self._store.limit([queue], replace(counts[queue].limits, lane=2))
        try:
            yield
        finally:
            for queue in queues:
                self._store.limit([queue], counts[queue].limits)

    def put_instead(self, jobs: Sequence[Job], others: Sequence[Job]) -> list[bool]:
        """Put other jobs in place of these, which look as if they had been."""
        answers = self._store.put(others)
        for job, other in zip(jobs, others, strict=True):
            job.created, job.due = other.created, other.due
        return answers


def fresh(job: Job, **fields: Any) -> Job:
    """A copy that was never put."""
    return replace(job, **{"created": 0.0, "due": 0.0, **fields})
