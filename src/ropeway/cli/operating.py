"""What the operator's verbs do: find the jobs that are meant, change them, say how many, and which could not be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .. import sweep
from ..handle import Handle
from ..ids import check_id, is_id
from ..job import WAITING, State
from ..names import check_name, shown
from ..operate import Operated
from ..store import Entry, Handback, Query
from ..sweep import Sweep, by_queue
from .looking import named_queues, pages, print_jobs, states_of
from .params import named
from .session import Session
from .verdict import CONFLICT, DONE, FAILED, NOTHING, USAGE, Failure

ASKED = 1000  # counted before a person is asked
INSTANT = 1e-5  # seconds: what sets the jobs at the top apart
HOLD = 60.0  # seconds that a job is held while its place is changed
REQUEUED = frozenset({State.DEAD, State.DONE, State.DELAYED})
DELETED = frozenset(State) - {State.RUNNING}

_PAST = {"delete": "deleted", "cancel": "cancelled", "move": "moved"}

Which = dict[str, Any]


def requeue(session: Session, which: Which) -> int:
    """Make them ready again: by id whatever has ended or waits for its moment, by filter the dead."""
    states = states_of(which["states"]) or (REQUEUED if which["ids"] else frozenset({State.DEAD}))
    if wrong := states - REQUEUED:
        raise Failure(USAGE, f"{' and '.join(sorted(wrong))} jobs cannot be requeued, only dead, done and delayed ones; nothing was done")
    return _bulk(session, which, "requeue", states)


def delete(session: Session, which: Which) -> int:
    """Remove them, but those that run."""
    states = states_of(which["states"]) or DELETED
    if State.RUNNING in states:
        raise Failure(USAGE, "running jobs cannot be deleted; nothing was done. cancel asks their workers to stop them")
    return _bulk(session, which, "delete", states)


def _bulk(session: Session, which: Which, name: str, states: frozenset[State]) -> int:
    """The two verbs that the store does by itself, to all that fit at once."""
    query = _query(session, which, name, states)
    if which["dry_run"]:
        return _dry_run(session, query)
    refused = _unfit(session, query, states) if query.ids else {}
    if name == "delete" and not query.ids:
        _ask(session, query, "delete")
    done = getattr(session.store, name)(query)
    _tell(session, f"{name}d", done)
    return _refuse(refused, f"{name}d")


def cancel(session: Session, which: Which) -> int:
    """Call them back, one by one: each may be waiting or running by now."""
    states = states_of(which["states"]) or WAITING | {State.RUNNING}
    query = _query(session, which, "cancel", states)
    if which["dry_run"]:
        return _dry_run(session, query)
    refused = _unfit(session, query, states) if query.ids else {}
    done = running = 0
    if not query.ids:
        _ask(session, query, "cancel")
        swept = _sweep(session, query, sweep.cancel, "cancelled")
        done, running = swept.count, swept.running
    for entry in _in_order(session, query) if query.ids else ():
        if Handle[Any](session.link, entry.job.queue, entry.job.id).cancel():
            done += 1
            running += entry.state is State.RUNNING
        else:
            refused[entry.job.id] = (CONFLICT, "has ended")
    _tell(session, "cancelled", done)
    if running:
        session.note(f"{running} of them running: their workers are asked to stop them")
    return _refuse(refused, "cancelled")


def move(session: Session, which: Which, *, to: str | None, top: bool, priority: int | None, delay: float | None) -> int:
    """Change their place: in the queue, or to another one."""
    if sum((to is not None, top, priority is not None or delay is not None)) != 1:
        raise Failure(USAGE, "move where? Give one of --to QUEUE, --top, or --priority and --delay; nothing was moved")
    allowed = WAITING | {State.DEAD} if to is not None else WAITING
    states = states_of(which["states"]) or (allowed if which["ids"] else WAITING)
    if wrong := states - allowed:
        raise Failure(USAGE, f"{' and '.join(sorted(wrong))} jobs cannot be moved there; nothing was moved. requeue dead ones first")
    query = _query(session, which, "move", states)
    if which["dry_run"]:
        return _dry_run(session, query)
    refused = _unfit(session, query, states) if query.ids else {}
    if to is not None and not query.ids:
        _ask(session, query, "move")
        swept = _sweep(session, query, sweep.move(check_name(to)), "moved")
        _tell(session, "moved", swept.count)
        if left := swept.met - swept.count:
            raise Failure(CONFLICT, f"{left:,} stayed where they were: they do not wait any more, or their key is taken there")
        return DONE
    entries = _in_order(session, query)
    if to is not None:
        done = _to_queue(session, entries, to)
    else:
        if top:
            stayed = [job_id for queue, ids in by_queue(entries).items() for job_id in to_top(session, queue, ids)]
        else:
            stayed = _replace(session, entries, priority, delay)
        done = len(entries) - len(stayed)
        refused |= dict.fromkeys(stayed, (CONFLICT, "does not wait any more"))
    _tell(session, "moved", done)
    return _refuse(refused, "moved")


def _to_queue(session: Session, entries: Sequence[Entry], to: str) -> int:
    return sum(len(Operated(session.link, queue).move(ids, to)) for queue, ids in by_queue(entries).items())


def _replace(session: Session, entries: Sequence[Entry], priority: int | None, delay: float | None) -> list[str]:
    """Give these jobs another priority or moment: taken for an instant, many at a time, and given back uncounted. Those that could not be,
    since they do not wait any more."""
    store, stayed = session.store, list[str]()
    for at in range(0, len(entries), sweep.BATCH):
        some = {entry.job.id: entry for entry in entries[at : at + sweep.BATCH]}
        for queue, ids in by_queue([*some.values()]).items():
            lents = [lent for lent in store.pick(queue, ids, HOLD, session.link.holder()) if lent]
            now = session.link.clock.now()
            waits = [max(0.0, some[lent.job.id].due - now) if delay is None else delay for lent in lents]
            backs = [Handback(lent.receipt, wait, restore=True, priority=priority) for lent, wait in zip(lents, waits, strict=True)]
            done = {lent.job.id for lent, back in zip(lents, store.nack(backs) if backs else (), strict=True) if back}
            stayed += [job_id for job_id in ids if job_id not in done]
    return stayed


def to_top(session: Session, queue: str, ids: Sequence[str]) -> list[str]:
    """Make these jobs the next ones out, the first one first. Those that could not be, since they do not wait any more.

    Nothing comes before priority 0, so the jobs that have it already step back: in their own order, behind the ones on top.
    """
    store = session.store
    before = [e.job.id for e in pages(session, Query(queues=(queue,), states=frozenset({State.READY}), limit=None)) if e.job.priority == 0]
    lents = store.pick(queue, ids, HOLD, session.link.holder())
    on_top = [lent.receipt for lent in lents if lent]
    others = [lent.receipt for lent in store.pick(queue, [i for i in before if i not in ids], HOLD, session.link.holder()) if lent]
    places = enumerate((*on_top, *others))  # the first keeps its place in time, the others come an instant later each
    store.nack([Handback(receipt, place * INSTANT, restore=True, priority=0) for place, receipt in places])
    return [job_id for job_id, lent in zip(ids, lents, strict=True) if lent is None]


# -- which jobs


def _query(session: Session, which: Which, name: str, states: frozenset[State]) -> Query:
    """What the arguments mean; Failure when they mean everything."""
    filters = ("queues", "states", "error", "text", "task", "key", "lane")
    if which["ids"]:
        if any(which[f] for f in filters):
            if not_ids := [one for one in which["ids"] if one != "-" and not is_id(one)]:  # a queue, most likely
                raise Failure(USAGE, f"{shown(not_ids[0])} is no job id; a queue is named by --queue {shown(not_ids[0])}; nothing was done")
            raise Failure(USAGE, f"{name} takes ids or a filter, not both; nothing was done")
        return Query(ids=tuple(check_id(i) for i in named(which["ids"], "id")), states=states, limit=None)
    if not any(which[f] for f in filters):
        raise Failure(USAGE, f"{name} which jobs? Give ids, or a filter such as --queue QUEUE; nothing was done. See: ropeway jobs")
    more = {f: which[f] for f in ("error", "text", "task", "key", "lane")}
    return Query(queues=tuple(named_queues(session, which["queues"])), states=states, limit=None, **more)


def _in_order(session: Session, query: Query) -> list[Entry]:
    entries = list(pages(session, query))
    if query.ids:
        place = {job_id: number for number, job_id in enumerate(query.ids)}
        entries.sort(key=lambda entry: place[entry.job.id])
    return entries


def _unfit(session: Session, query: Query, states: frozenset[State]) -> dict[str, tuple[int, str]]:
    """Those of the ids that cannot be meant: exit code and reason of each."""
    there = {entry.job.id: entry.state for entry in session.store.browse(Query(ids=query.ids, limit=None))}
    out: dict[str, tuple[int, str]] = {}
    for job_id in query.ids or ():
        if job_id not in there:
            out[job_id] = (NOTHING, "is not in this store")
        elif there[job_id] not in states:
            out[job_id] = (CONFLICT, f"is {there[job_id]}")
    return out


def why_not(session: Session, ids: Iterable[str], what: str) -> Failure:
    """The failure that says why these jobs could not be: unknown, or in no state for it."""
    missing = list(ids)
    unfit = _unfit(session, Query(ids=tuple(missing)), frozenset())
    code, text = _reasons(unfit, what)
    return Failure(code, text)


# -- what is said


def _dry_run(session: Session, query: Query) -> int:
    print_jobs(session, pages(session, query), one_queue=False, empty="no job fits")
    return DONE


def _sweep(session: Session, query: Query, how: Sweep, done: str) -> sweep.Swept:
    """Batch by batch; a person at the terminal sees how far it is."""
    shown = session.can_ask() and not session.quiet

    def told(sums: sweep.Swept) -> None:
        if shown and sums.after is not None:
            session.note(f"{done} {sums.count:,} so far")

    return sweep.whole(session.link, query, how, told)


def _ask(session: Session, query: Query, verb: str) -> None:
    """Let a person at the terminal say yes to what is done to all that fit."""
    if session.yes or not session.can_ask():
        return
    count = sum(1 for _ in pages(session, Query(**{f: getattr(query, f) for f in query.__struct_fields__} | {"limit": ASKED + 1})))
    if not count:
        return
    many = f"{count:,}" if count <= ASKED else f"more than {ASKED:,}"
    if session.ask(f"{verb} {many} job{'' if count == 1 else 's'}? [y/N]").lower() not in ("y", "yes"):
        raise Failure(FAILED, f"nothing was {_PAST[verb]}")


def _tell(session: Session, what: str, count: int) -> None:
    if not session.quiet:
        session.out.one({what: count}, [f"{what} {count:,} job{'' if count == 1 else 's'}"], name=what)


def _refuse(refused: dict[str, tuple[int, str]], what: str) -> int:
    if not refused:
        return DONE
    code, text = _reasons(refused, what)
    raise Failure(code, text)


def _reasons(refused: dict[str, tuple[int, str]], what: str) -> tuple[int, str]:
    by_reason: dict[str, list[str]] = {}
    for job_id, (_, reason) in refused.items():
        by_reason.setdefault(reason, []).append(job_id)
    parts = []
    for reason, ids in by_reason.items():
        shown = " ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
        parts.append(f"{shown} {reason if len(ids) == 1 else reason.replace('is ', 'are ', 1).replace('has ', 'have ', 1)}")
    return max(code for code, _ in refused.values()), f"{'; '.join(parts)}: not {what}"
