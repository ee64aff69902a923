"""Unique keys beyond the life of a job: taken for a period, taken over by another content, and put off until it has become quiet.

For a period: a job that ended well stays as done for what is left of the period, and holds its key for so long (`kept`). Replacing: the
waiting job that holds the key is picked by its id and given back with the new content, so it is held by us for that instant; should we die
in it, it comes back as it was. Two who replace at once come one after the other: the last content stands.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from .durations import LONGEST, seconds
from .errors import BadBody, BadValue, Conflict, RopewayError, Unsupported
from .job import WAITING, Job, State
from .link import Link
from .names import KEY_LIMIT, shown
from .store import Entry, Feature, Handback, Holder, Query

HEADER = "ropeway-unique-for"  # in a job whose key is to stay taken: seconds from the put, and the seconds of `keep` that were asked for
MARK = "+replacing"  # in the name of a holder who only changes the job
AFTER = "~next"  # behind the key of a run that goes on: what was debounced meanwhile waits under this one
HOLD = 10.0  # seconds that a job is held at most while it is changed
PATIENCE = 30.0  # seconds for which the holder of a key is run after
_NEEDS = frozenset({Feature.KEYS, Feature.PICK, Feature.BROWSE, Feature.EDIT})
_DONE = frozenset({State.DONE})
_HOLDS_KEY = WAITING | {State.RUNNING, State.DONE}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.1


class Edge(Struct, frozen=True):
    """How a put takes over the waiting job that has its key. `latest`: seconds after the first put at which it is due whatever comes (0: no
    bound); `after`: beside a run that goes on, wait under a key of its own."""

    latest: float = 0.0
    after: bool = False


def edge_of(options: Mapping[str, Any]) -> Edge | None:
    """What the options of a put say of a taken key, beyond raise and keep."""
    if options.get("debounce"):
        return Edge(seconds(options.get("debounce_max") or 0, "debounce_max"), after=True)
    return Edge() if options.get("on_conflict") == "replace" else None


def check_unique(options: Mapping[str, Any]) -> None:
    """BadValue for options of uniqueness that cannot be meant together."""
    get = options.get
    if get("on_conflict", "raise") not in ("raise", "keep", "replace"):
        raise BadValue(f'on_conflict is "raise", "keep" or "replace", not {shown(get("on_conflict"))}; nothing was stored')
    named = [name for name in ("unique_for", "debounce", "debounce_max") if get(name)]
    if not named and get("on_conflict") != "replace":
        return
    if not get("key"):
        raise BadValue(f'{(named or ["on_conflict=replace"])[0]} is about a key, and none was given; nothing was stored. Add key="..."')
    if get("tx") is not None and edge_of(options):
        raise BadValue("a job cannot be replaced inside a transaction of yours; nothing was stored. Put it without tx=")
    if get("debounce"):
        if get("delay") or get("at") is not None:
            raise BadValue("debounce says when the job is due: leave delay= and at= out; nothing was stored")
        if get("on_conflict") == "keep":
            raise BadValue('debounce replaces what waits: leave on_conflict="keep" out; nothing was stored')
    if get("debounce_max") and seconds(get("debounce_max") or 0, "debounce_max") < seconds(get("debounce") or LONGEST, "debounce"):
        raise BadValue("debounce_max goes with debounce, and is the longer of the two; nothing was stored")


def hold_key(job: Job, period: float) -> None:
    """Let the job hold its key for that long from its put, also when it is done."""
    if job.keep < period:
        job.headers[HEADER] = f"{period!r} {job.keep!r}"
        job.keep = period


def kept(job: Job, now: float) -> float | None:
    """For how long the job stays when it is done now; None when the job itself says so. What the header of a stranger says is bounded by
    what its job may."""
    told = job.headers.get(HEADER) if job.key else None
    if told is None:
        return None
    try:
        period, keep = map(float, told.split(" "))
    except ValueError:
        return None
    if not (0 <= period <= LONGEST and 0 <= keep <= LONGEST):
        return None
    return max(keep, min(job.created + period - now, period))


def place(link: Link, job: Job, edge: Edge) -> tuple[str, bool]:
    """Put the job; where one that waits has its key, that one gets the new content instead. The id of the job that stands now, and
    whether it is the new one.

    Raises Conflict when the key is held by a job that runs (for a debounced one: and so is the key behind it), or by one that is done and
    kept (for a debounced one: for `unique_for`); Unsupported where a job cannot be edited; then nothing was stored or changed.
    """
    store, never = link.store, threading.Event()
    if lacking := sorted(_NEEDS - store.features):
        raise Unsupported(f"{store.url} cannot replace a job: it lacks {', '.join(lacking)}; nothing was stored. Put without it")
    if job.source is not None:
        raise BadBody("a body that is streamed in cannot take another one's place; nothing was stored. Put it whole, or a reference to it")
    until, pause = link.clock.boot() + PATIENCE, _FIRST_PAUSE
    while not store.put((job,))[0]:
        query = Query(queues=(job.queue,), states=_HOLDS_KEY, key=job.key, limit=1)
        found = store.browse(query)
        first = found[0] if found else None  # it may have just ended
        if first is not None and first.state in WAITING and _take_over(link, job, edge, first):
            return first.job.id, False
        if first is not None and first.state is State.DONE and edge.after and HEADER not in first.job.headers:
            store.delete(Query(queues=(job.queue,), ids=(first.job.id,), states=_DONE))  # its result has been there until the next one
            continue
        if first is not None and _stands(first):
            if first.state is State.DONE or not edge.after or job.key.endswith(AFTER):
                raise _refusal(job, first)
            job = replace(job, key=_after(job.key))
            continue
        if link.clock.boot() >= until:
            raise Conflict(
                f"the job that has the key {job.key!a:.80} of {job.queue} could not be taken hold of; nothing was stored", key=job.key
            )
        link.clock.sleep(never, pause)
        if pause == _LONGEST_PAUSE:
            store.wait((job.queue,), 0.0)  # has the engine look whether that one's lease is over, where nobody claims
        pause = min(2 * pause, _LONGEST_PAUSE)
    return job.id, True


def _take_over(link: Link, job: Job, edge: Edge, first: Entry) -> bool:
    """Give the waiting job the content of the new one. False when it did not wait any more."""
    store = link.store
    lent = store.pick(job.queue, (first.job.id,), HOLD, Holder(link.holder().name + MARK))[0]
    if lent is None:
        return False
    old, now = lent.job, link.clock.now()
    age = max(0.0, now - old.created)
    try:
        if old.lane != job.lane:
            raise Conflict(
                f"the job that has the key {job.key!a:.80} is in another lane, which cannot be changed; nothing was stored", key=job.key
            )
        new = replace(job, headers=dict(job.headers), ttl=min(LONGEST, job.ttl + age) if job.ttl else 0.0)  # these count from the first put
        if kept(new, now) is not None:
            period, keep = new.headers[HEADER].split(" ")
            new.headers[HEADER] = f"{float(period) + age!r} {keep}"
        delay = job.delay if not edge.latest else max(0.0, min(job.delay, edge.latest - age))
        return store.nack([Handback(lent.receipt, delay, restore=True, priority=job.priority, edit=new)])[0]
    except RopewayError:
        store.nack([Handback(lent.receipt, max(0.0, first.due - now), restore=True)])
        raise


def _stands(first: Entry) -> bool:
    """Whether it has the key for longer than an instant."""
    return first.state is State.DONE or (first.state is State.RUNNING and not first.holder.endswith(MARK))


def _after(key: str) -> str:
    if len(key.encode()) + len(AFTER) > KEY_LIMIT:
        raise BadValue(f"a debounced key has at most {KEY_LIMIT - len(AFTER)} bytes; nothing was stored")
    return key + AFTER


def _refusal(job: Job, first: Entry) -> Conflict:
    what = "is done and still kept, and has it until it is forgotten" if first.state is State.DONE else "runs, and cannot be replaced"
    hint = 'on_conflict="keep" answers that job' if first.state is State.DONE else "Put it again when that one has ended"
    text = f"the job that has the key {job.key!a:.80} of queue {job.queue} {what}; nothing was stored. {hint}"
    return Conflict(text, key=job.key, job_id=first.job.id)
