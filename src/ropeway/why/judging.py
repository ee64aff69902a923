"""The judgement: which causes hold, in the order of what decides."""

from __future__ import annotations

from ..errors import Unsupported
from ..ids import check_id
from ..job import State
from ..link import Link
from ..names import check_name
from ..store import Entry, Feature, Query
from . import ends, hands, leases, queues, turns, waits
from .codes import Cause, Why
from .facts import Facts, View


def why(link: Link, job_id: str, queue: str | None = None, view: View | None = None) -> Why:
    """Why this job is not running. Raises BadName for what is no id, Unsupported on an engine that cannot be looked into."""
    job_id = check_id(job_id)
    _check(link)
    entry = _find(link, job_id, None if queue is None else check_name(queue), view)
    if entry is None:
        return Why(job_id, queue or "", None, ends.gone(Facts(link, queue or "", None, view), job_id))
    facts = Facts(link, entry.job.queue, entry, view)
    causes = _judged(facts)
    if queue is not None and queue != entry.job.queue:
        causes = [ends.other_queue(Facts(link, queue, entry, view), entry), *causes]
    return Why(job_id, entry.job.queue, entry.state, causes)


def why_queue(link: Link, queue: str, view: View | None = None) -> Why:
    """What holds a queue up. Raises BadName for what is no name."""
    check_name(queue)
    _check(link)
    return Why("", queue, None, queues.judged(Facts(link, queue, None, view)))


def _check(link: Link) -> None:
    if Feature.BROWSE not in link.store.features:
        raise Unsupported(f"{link.store.url} cannot show its jobs, so nothing can be said of why one waits")


def _find(link: Link, job_id: str, queue: str | None, view: View | None) -> Entry | None:
    for queues_ in ((queue,), None) if queue is not None else (None,):
        for entry in link.store.browse(Query(queues=queues_, ids=(job_id,))):
            if view is None or view.may(entry.job.queue):
                return entry
    return None


def _judged(facts: Facts) -> list[Cause]:
    state = facts.entry.state
    if state is State.DONE:
        return ends.done(facts)
    if state is State.DEAD:
        return ends.dead(facts)
    if state is State.RUNNING:
        return [*leases.held(facts), *waits.beside(facts)]
    return [*_waiting(facts), *waits.beside(facts)]


def _waiting(facts: Facts) -> list[Cause]:
    """Of a job that waits: first what ends it, then what only a person can lift, then what time does."""
    if out := waits.expired(facts):
        return out
    out = waits.switches(facts)
    later = waits.of_time(facts)
    if later and later[0].code == "record":
        return later
    after, missing = waits.after(facts), hands.missing(facts)
    if after or any(one.code in ("needs-commands", "only-commands") for one in missing):
        later = [one for one in later if one.code != "snoozed"]  # that is how a worker lets it wait for the others
        return [*out, *after, *later, *missing]
    out += [*later, *missing]
    if later:
        return out  # whose turn it will be is not known yet
    back = hands.held_back(facts)
    out += [*back, *turns.suspect(facts), *turns.lane(facts), *turns.limit(facts)]
    out += [] if back else hands.full(facts)
    if not any(one.code == "lane-behind" for one in out):
        out += turns.behind(facts)
    return out or turns.turn(facts) or hands.full(facts) or turns.left(facts)
