"""An operator's verbs on all jobs that a query means, however many: one batch a call, so that each call is short, what was done can be told
in between, and who wants it to stop just asks for no more. The next batch begins behind the cursor of the last: a job is met once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from .errors import BadValue, Conflict
from .handle import CANCEL, CANCEL_LIFETIME
from .job import WAITING, State
from .link import Link
from .operate import Operated
from .store import Entry, Query

BATCH = 1000  # jobs in one call
CALLED_BACK = WAITING | {State.RUNNING}
MOVED = WAITING | {State.DEAD}
_RUNNING = frozenset({State.RUNNING})


class Swept(Struct):
    """What one batch came to: jobs met, and changed. `running`: of those cancelled, whose workers were asked to stop them. `after`: where
    the next batch begins; None when there is none."""

    met: int = 0
    count: int = 0
    running: int = 0
    after: str | None = None


Sweep = Callable[[Link, Query], Swept]


def cancel(link: Link, query: Query) -> Swept:
    """Call the next `query.limit` jobs back: what waits is removed, the workers of what runs are asked to stop it."""
    store = link.store
    entries = _next(link, query, CALLED_BACK)
    running = [entry.job.id for entry in entries if entry.state is State.RUNNING]
    removed = 0
    for queue, ids in by_queue(entry for entry in entries if entry.state in WAITING).items():
        gone = store.delete(Query(queues=(queue,), ids=tuple(ids), states=WAITING, limit=None))
        removed += gone
        if gone < len(ids):  # some have begun meanwhile
            running += [one.job.id for one in store.browse(Query(queues=(queue,), ids=tuple(ids), states=_RUNNING, limit=None))]
    for job_id in running:
        store.notes.note(CANCEL + job_id, b"cancel", CANCEL_LIFETIME)
    return _swept(query, entries, removed + len(running), len(running))


def move(to: str) -> Sweep:
    """Carry the next `query.limit` jobs to the queue `to`, see Operated.move; one whose key is taken there stays. What is there already is
    passed over."""

    def moved(link: Link, query: Query) -> Swept:
        others = None if query.queues is None else tuple(name for name in query.queues if name != to)
        entries = _next(link, replace(query, queues=others), MOVED)
        count = 0
        for queue, ids in by_queue(entry for entry in entries if entry.job.queue != to).items():
            try:
                count += len(Operated(link, queue).move(ids, to))
            except Conflict:
                count += len(ids) - len(link.store.browse(Query(queues=(queue,), ids=tuple(ids), states=MOVED, limit=None)))
        return _swept(query, entries, count)

    return moved


def requeue(link: Link, query: Query) -> Swept:
    """Make the next `query.limit` jobs ready now."""
    return _whole(link, query, link.store.requeue)


def delete(link: Link, query: Query) -> Swept:
    """Remove the next `query.limit` jobs, but those that run."""
    return _whole(link, query, link.store.delete)


def whole(link: Link, query: Query, sweep: Sweep, told: Callable[[Swept], None] = lambda _: None) -> Swept:
    """Batch after batch to the end. `told` hears the sums so far after each."""
    sums = Swept()
    while True:
        one = sweep(link, replace(query, limit=BATCH, after=sums.after or query.after))
        sums = Swept(sums.met + one.met, sums.count + one.count, sums.running + one.running, one.after)
        told(sums)
        if one.after is None:
            return sums


def by_queue(entries: Iterable[Entry]) -> dict[str, list[str]]:
    """The ids of these jobs, by their queues."""
    out: dict[str, list[str]] = {}
    for entry in entries:
        out.setdefault(entry.job.queue, []).append(entry.job.id)
    return out


def _whole(link: Link, query: Query, verb: Callable[[Query], int]) -> Swept:
    entries = link.store.browse(query) if query.queues != () else []
    count = sum(verb(Query(queues=(queue,), ids=tuple(ids), states=query.states, limit=None)) for queue, ids in by_queue(entries).items())
    return _swept(query, entries, count)


def _next(link: Link, query: Query, allowed: frozenset[State]) -> list[Entry]:
    states = query.states or allowed
    if wrong := states - allowed:
        raise BadValue(f"{' and '.join(sorted(wrong))} jobs cannot be; nothing was done. Of these: {' '.join(sorted(allowed))}")
    return link.store.browse(replace(query, states=states)) if query.queues != () else []


def _swept(query: Query, entries: Sequence[Entry], count: int, running: int = 0) -> Swept:
    more = entries and len(entries) == query.limit
    return Swept(len(entries), count, running, entries[-1].cursor if more else None)
