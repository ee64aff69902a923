"""Jobs that come after others: which those are stands in two headers, and is looked at each time before such a job may start.

    ropeway-after        ids: once these are done; when one of them ends dead, or is gone, the job is given up
    ropeway-after-any    ids: once these have ended in whatever way

Nothing else is kept: no list of who waits for whom that a crash could break, and nobody has to be alive when a job ends. A worker that
claims such a job too early gives it back, and looks again when it hears that something has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from ..errors import BadValue
from ..ids import is_id
from ..job import Job, State
from ..store import Entry, Query, Store
from .command import SKIPPED

AFTER = "ropeway-after"
AFTER_ANY = "ropeway-after-any"
MOST = 200  # jobs that one may come after


class Turn(Struct, frozen=True):
    """Whether a job may start. `never`: why it will not any more; `open`: the jobs (queue, id) that have not ended."""

    never: str = ""
    open: tuple[tuple[str, str], ...] = ()


FREE = Turn()


def headers(after: Iterable[str], after_any: Iterable[str]) -> dict[str, str]:
    """The headers that say so. Raises BadValue for too many."""
    after, after_any = list(dict.fromkeys(after)), list(dict.fromkeys(after_any))
    if len(after) + len(after_any) > MOST:
        raise BadValue(f"a job comes after {MOST} others at most, not {len(after) + len(after_any)}; nothing was put")
    return {name: " ".join(ids) for name, ids in ((AFTER, after), (AFTER_ANY, after_any)) if ids}


def comes_after(job: Job) -> bool:
    """Whether it has such a header."""
    return bool(job.headers) and (AFTER in job.headers or AFTER_ANY in job.headers)


def turns(store: Store, jobs: Iterable[Job]) -> dict[str, Turn]:
    """How it stands with each of these, by id: one question to the store for all."""
    wanted = {job.id: (_ids(job.headers, AFTER), _ids(job.headers, AFTER_ANY)) for job in jobs}
    ids = {one for pair in wanted.values() for part in pair for one in part if is_id(one)}
    found = {entry.job.id: entry for entry in store.browse(Query(ids=tuple(sorted(ids)), limit=None))} if ids else {}
    return {job_id: _turn(after, after_any, found) for job_id, (after, after_any) in wanted.items()}


def _ids(given: Mapping[str, str], name: str) -> list[str]:
    return given.get(name, "").split()


def _turn(after: list[str], after_any: list[str], found: Mapping[str, Entry]) -> Turn:
    left: list[tuple[str, str]] = []
    for one in after:
        entry = found.get(one)
        if entry is None:
            return Turn(f"{SKIPPED}job {one[:40]} is gone, so that it ended well is not known")
        if entry.state is State.DEAD:
            return Turn(f"{SKIPPED}job {one} failed: {entry.error}" if entry.error else f"{SKIPPED}job {one} failed")
        if entry.state is not State.DONE:
            left.append((entry.job.queue, one))
    for one in after_any:
        entry = found.get(one)
        if entry is not None and entry.state not in (State.DONE, State.DEAD):
            left.append((entry.job.queue, one))
    return Turn(open=tuple(left)) if left else FREE
