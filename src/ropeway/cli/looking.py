"""What `ls` and `jobs` do: ask the store, in pages, and print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from ..job import State
from ..names import check_patterns, matching
from ..store import Entry, Query
from .output import no_lines
from .rows import job_row, job_table, queue_row, queue_table
from .session import Session
from .verdict import DONE, NOTHING

PAGE = 500


def named_queues(session: Session, patterns: Sequence[str], *, own: bool = False) -> list[str]:
    """The queues that the patterns mean: names whether they exist or not, globs those that do; all but ropeway's own without patterns."""
    names = session.store.queues()
    if not patterns:
        return [name for name in names if own or not name.startswith("_")]
    positive = [p for p in patterns if not p.startswith("!")]
    return matching(check_patterns(patterns if positive else ["*", *patterns]), names)


def states_of(names: Sequence[str]) -> frozenset[State] | None:
    """The states of the options, None when none was given."""
    return frozenset(State(name) for name in names) or None


def pages(session: Session, query: Query) -> Iterator[Entry]:
    """All that fits the query, page by page, so that a large store is never in memory whole."""
    left = query.limit
    while left is None or left > 0:
        page = session.store.browse(replace(query, limit=PAGE if left is None else min(PAGE, left)))
        yield from page
        if not page:
            return
        query = replace(query, after=page[-1].cursor)
        left = None if left is None else left - len(page)


def list_queues(session: Session, patterns: Sequence[str], *, own: bool) -> int:
    """Print the queues that the patterns mean; those that are only named and hold nothing are left out."""
    known = set(session.store.queues())
    names = [name for name in named_queues(session, patterns, own=own) if name in known]
    counts = session.store.counts(names) if names else {}
    queues = [(name, counts[name]) for name in names]
    now = session.link.clock.now()
    session.out.rows(
        (queue_row(*queue) for queue in queues),
        lambda _: queue_table(queues, now),
        name="queue",
        empty=f"no queue fits {' '.join(patterns)}; see: ropeway ls"
        if known and patterns
        else "no queues yet; try: ropeway put mails 'hello'",
    )
    if session.out.mode == "table":
        from ..worker.fleet.switch import paused

        if (reason := paused(session.store)) is not None:
            session.note(f"everything is paused: {reason or 'no reason given'}. To go on: ropeway resume --all")
    return NOTHING if patterns and not names else DONE


def list_jobs(session: Session, patterns: Sequence[str], which: dict[str, Any]) -> int:
    """Print the jobs that fit."""
    limit: int | None = which["limit"] or None
    query = Query(
        queues=tuple(named_queues(session, patterns)),
        states=states_of(which["states"]),
        key=which["key"],
        lane=which["lane"],
        task=which["task"],
        error=which["error"],
        text=which["text"],
        limit=None if limit is None else limit + 1,  # one more than asked for says whether there are more
        after=which["after"],
    )
    more = False
    last = ""

    def entries() -> Iterator[Entry]:
        nonlocal more, last
        for count, entry in enumerate(pages(session, query) if query.queues else (), 1):
            if limit is not None and count > limit:
                more = True
                return
            last = entry.cursor
            yield entry

    print_jobs(session, entries(), one_queue=len(patterns) == 1 and len(query.queues or ()) == 1, empty=_empty(patterns, which))
    if more:
        session.note(f"there are more: add --limit 0, or --after {last}")
    return DONE


def print_jobs(session: Session, entries: Iterator[Entry], *, one_queue: bool, empty: str) -> None:
    """Print jobs in the form asked for."""
    if session.out.mode == "table":
        shown = list(entries)
        session.out.rows(map(job_row, shown), lambda _: job_table(shown, session.link.clock.now(), one_queue=one_queue), empty=empty)
    else:
        session.out.rows(map(job_row, entries), no_lines)


def _empty(patterns: Sequence[str], which: dict[str, Any]) -> str:
    if any(which[name] for name in ("states", "key", "lane", "task", "error", "text")):
        return "no job fits; leave a condition out, or see: ropeway ls"
    where = f" {patterns[0]}" if len(patterns) == 1 else " mails"
    return f"no jobs; try: ropeway put{where} 'hello'"
