"""Which jobs are meant by what a person wrote: ids, labels, `last`."""

from __future__ import annotations

from collections.abc import Sequence

from ..ids import is_id
from ..shell.command import CONTENT_TYPE, LABEL
from ..store import Entry, Query
from .looking import pages
from .params import named
from .session import Session
from .verdict import NOTHING, Failure

LAST = "last"


def find(session: Session, words: Sequence[str], queue: str, *, done: str) -> list[Entry]:
    """Each of them once, in order. `done`: what was not done when there is one that is not there: Failure."""
    names = [name.replace("-", "").lower() if is_id(name.replace("-", "").lower()) else name for name in named(words, "id")]
    ids = tuple(name for name in names if is_id(name))
    there = {entry.job.id: entry for entry in session.store.browse(Query(ids=ids, limit=None))} if ids else {}
    out: dict[str, Entry] = {}  # by id: a label may mean a job that is named by its id as well
    for name in names:
        entry = there.get(name) if is_id(name) else newest(session, queue, "" if name == LAST else name)
        if entry is None:
            what = f"job {name}" if is_id(name) else "command" if name == LAST else f"command with the label {name[:80]!r}"
            where = "" if is_id(name) else f" in {queue}"
            raise Failure(NOTHING, f"there is no {what}{where}: it was not kept, was deleted, or never was there; nothing was {done}")
        out.setdefault(entry.job.id, entry)
    return list(out.values())


def newest(session: Session, queue: str, label: str = "") -> Entry | None:
    """The shell job that was put last; with a label, of those that have it."""
    best: Entry | None = None
    for entry in pages(session, Query(queues=(queue,), text=label, limit=None)):
        job = entry.job
        if job.content_type != CONTENT_TYPE or (label and job.headers.get(LABEL) != label):
            continue
        if best is None or (job.created, job.id) > (best.job.created, best.job.id):
            best = entry
    return best
