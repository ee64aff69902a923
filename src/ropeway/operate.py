"""What an operator does to a queue: count, look, requeue, delete, move, switch off, wait until it is empty."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict, Unpack

from .aio import twin
from .durations import Duration, seconds, spoken
from .errors import BadValue, Conflict, RopewayError, Stopped, Timeout
from .handle import Handle
from .ids import check_id
from .job import WAITING, Job, State
from .link import Link
from .names import check_name, shown
from .source import copied
from .store import Ack, Counts, Entry, Feature, Handback, Limits, Query

States = State | str | Iterable[State | str]

_MOVING = 60.0  # seconds that a job is held while it is carried to another queue

_FIRST_LOOK, _LONGEST_LOOK = 0.001, 0.05  # seconds between two counts, for one who waits until a queue is empty
_PAGE = 1000
_DEAD = frozenset({State.DEAD})


class Filter(TypedDict, total=False):
    """Which jobs of a queue: all that is given must fit."""

    state: States | None  # one or more of ready, delayed, running, dead, done
    ids: Sequence[str] | None
    key: str
    lane: str
    task: str
    error: str  # text within the last error
    text: str  # text within body, key or headers


class Operated:
    """The operator's verbs of the queue `name`."""

    __slots__ = ("_link", "_names", "name")

    def __init__(self, link: Link, name: str) -> None:
        self.name = check_name(name)
        self._link = link
        self._names = (name,)

    def counts(self) -> Counts:
        """How many jobs stand where, and whether the queue is switched off."""
        return self._link.store.counts(self._names).get(self.name) or Counts()

    def __len__(self) -> int:
        """How many jobs wait to be run: ready and delayed."""
        counts = self.counts()
        return counts.ready + counts.delayed

    def __bool__(self) -> bool:
        return True  # an empty queue is still a queue

    def browse(self, *, limit: int | None = 100, after: str = "", **which: Unpack[Filter]) -> list[Entry]:
        """The jobs that fit, by (state, priority, due, id), without changing anything. `after`: the cursor of the last one seen."""
        return self._link.store.browse(self._query(which, limit, after))

    def requeue(self, **which: Unpack[Filter]) -> int:
        """Make them ready now: the dead ones, or those in the states given (dead, done, delayed). How many."""
        return self._link.store.requeue(self._query(which))

    def delete(self, **which: Unpack[Filter]) -> int:
        """Remove the jobs that fit, in any state but running. How many. At least one condition: `purge` empties the queue."""
        if not any(value is not None and value != "" for value in which.values()):
            raise BadValue("delete needs to know which jobs; nothing was deleted. Use purge() for all of them")
        return self._link.store.delete(self._query(which))

    def purge(self) -> int:
        """Remove every job that is not running. How many."""
        return self._link.store.delete(self._query({}))

    def tidy(self, older: Duration) -> int:
        """Delete the dead jobs that died longer ago than that. How many."""
        limit, after, old = self._link.clock.now() - seconds(older, "age"), "", []
        while page := self._link.store.browse(Query(queues=self._names, states=_DEAD, limit=_PAGE, after=after)):
            old += [entry.job.id for entry in page if entry.due <= limit]
            after = page[-1].cursor
        return sum(
            self._link.store.delete(Query(queues=self._names, states=_DEAD, ids=tuple(old[at : at + _PAGE]), limit=None))
            for at in range(0, len(old), _PAGE)
        )

    def limit(self, *, running: int | None = None, lane: int | None = None) -> Limits:
        """How many jobs of this queue run at once, over all workers: `running` of the queue (0: any number), `lane` of each of its lanes
        (1: one after the other, in order). What is not given stays as it is; what runs already runs on. What holds from now on.

        Raises BadValue for a number that is none, Unsupported on an engine without limits."""
        now = self.counts().limits
        limits = Limits(now.running if running is None else running, now.lane if lane is None else lane)
        if running is not None or lane is not None:
            self._link.store.limit(self._names, limits)
        return limits

    def cancel(self, job_id: str) -> bool:
        """Call one job back, see Handle.cancel."""
        return self.handle(job_id).cancel()

    def handle(self, job_id: str) -> Handle[Any]:
        """The handle of a job whose id is known; it need not exist."""
        return Handle(self._link, self.name, check_id(job_id))

    def top(self, job_id: str) -> bool:
        """Make this waiting job the next one out: priority 0, due now; only older jobs of priority 0 stay before it. False when it is
        not waiting."""
        lent = self._link.store.pick(self.name, (check_id(job_id),), _MOVING, self._link.holder())[0]
        return lent is not None and self._link.store.nack([Handback(lent.receipt, restore=True, priority=0)])[0]

    def move(self, ids: Sequence[str], to: str) -> list[Handle[Any]]:
        """Carry these jobs, waiting or dead, to another queue of the same store, with body, headers, priority, key, the moment they are due
        and what was tried before; dead ones are ready there, and start with attempt 1. Each gets a new id, since a store knows a job by
        its id whatever its queue. Those that are running, done or unknown stay where they are. Raises Stopped when that queue refuses new
        jobs, and Conflict when a key is taken there, after the others were moved."""
        store, target = self._link.store, check_name(to)
        if target == self.name:
            raise BadValue(f"the jobs are in {target} already; nothing was moved. To run them sooner, use top() or requeue()")
        entries = {e.job.id: e for e in store.browse(Query(queues=self._names, ids=tuple(map(check_id, ids)), limit=None))}
        waiting = [job_id for job_id, entry in entries.items() if entry.state in WAITING]
        lents = [lent for lent in store.pick(self.name, waiting, _MOVING, self._link.holder()) if lent] if waiting else []
        receipts = {lent.job.id: lent.receipt for lent in lents}
        old = [lent.job for lent in lents] + [e.job for e in entries.values() if e.state is State.DEAD]
        if not old:
            return []
        new = [self._moved(job, entries[job.id], target) for job in old]
        back = {job_id: Handback(receipts[job_id], self._delay(entries[job_id]), restore=True) for job_id in receipts}
        try:
            self._must_take(target)
            with store.commit():  # bring before ack: a crash between may leave a job in both queues, never in none
                there = {job.id for job, stored in zip(old, store.bring(new), strict=True) if stored}
                store.ack([Ack(receipt, keep=0.0) for job_id, receipt in receipts.items() if job_id in there])
                store.nack([handback for job_id, handback in back.items() if job_id not in there])
        except RopewayError:
            store.nack(list(back.values()))
            raise
        if dead := tuple(there - receipts.keys()):
            store.delete(Query(queues=self._names, ids=dead, states=_DEAD, limit=None))
        if len(there) < len(old):
            raise Conflict(
                f"{len(old) - len(there)} of {len(old)} jobs stayed in {self.name}, since a live job of {target} holds their key; "
                "the others were moved"
            )
        return [Handle(self._link, target, entry.job.id, keep=entry.job.keep) for entry in new]

    def _delay(self, entry: Entry) -> float:
        return max(0.0, entry.due - self._link.clock.now()) if entry.state is State.DELAYED else 0.0

    def _must_take(self, target: str) -> None:
        """A move is for people to whom the switch of the other queue is news: they are told, as by a put."""
        reason = self._link.store.counts((target,))[target].put_stopped
        if reason is not None:
            raise Stopped(
                f"queue {target} takes no new jobs: {reason or 'no reason given'}; nothing was moved", queue=target, reason=reason
            )

    def _moved(self, job: Job, entry: Entry, queue: str) -> Entry:
        """The job as it shall stand there."""
        dead = entry.state is State.DEAD
        new = Job(
            id=self._link.new_id(),
            queue=queue,
            body=job.body,
            content_type=job.content_type,
            headers=job.headers,
            priority=job.priority,
            delay=job.delay,
            key=job.key,
            ttl=0.0 if dead else job.ttl,
            keep=job.keep,
            task=job.task,
            lane=job.lane,
            created=job.created,
            source=None if job.source is None else copied(job.source),
        )
        history = entry.history if Feature.HISTORY in self._link.store.features else []
        if dead:
            return Entry(new, State.READY, self._link.clock.now(), history=history)
        return Entry(new, entry.state, entry.due, entry.attempts, entry.deaths, history=history)

    def pause(self, *, put: bool | None = None, claim: bool | None = None, reason: str = "") -> None:
        """Switch off: `claim=True` stops handing jobs out (meant when neither is given), `put=True` refuses new ones; False opens
        that switch again. The reason is shown wherever the refusal is."""
        if put is None and claim is None:
            claim = True
        self._link.store.pause(self._names, put=put, claim=claim, reason=reason)

    def resume(self, *, put: bool | None = None, claim: bool | None = None) -> None:
        """Switch on again: what is given as True, both when neither is given."""
        both = put is None and claim is None
        self._link.store.pause(self._names, put=False if both or put else None, claim=False if both or claim else None)

    def join(self, timeout: Duration | None = None) -> None:
        """Wait until nothing is ready, delayed or running. Raises Timeout, saying what is left."""
        clock, pause, never = self._link.clock, _FIRST_LOOK, threading.Event()
        deadline = None if timeout is None else clock.boot() + seconds(timeout, "timeout")
        while True:
            counts = self.counts()
            if not counts.ready + counts.delayed + counts.running:
                return
            left = pause if deadline is None else deadline - clock.boot()
            if left <= 0:
                raise Timeout(
                    f"queue {self.name} is not empty after {spoken(seconds(timeout or 0))}: "
                    f"{counts.ready} ready, {counts.delayed} delayed, {counts.running} running. They stay as they are"
                )
            clock.sleep(never, min(pause, left))
            pause = min(pause * 1.5, _LONGEST_LOOK)

    acounts = twin(counts)
    alimit = twin(limit)
    abrowse = twin(browse)
    arequeue = twin(requeue)
    adelete = twin(delete)
    apurge = twin(purge)
    atidy = twin(tidy)
    acancel = twin(cancel)
    atop = twin(top)
    amove = twin(move)
    apause = twin(pause)
    aresume = twin(resume)
    ajoin = twin(join)

    def _query(self, which: Filter, limit: int | None = None, after: str = "") -> Query:
        if unknown := which.keys() - Filter.__annotations__.keys():
            raise TypeError(f"no such condition: {shown(min(unknown))}; there are: {' '.join(sorted(Filter.__annotations__))}")
        ids = which.get("ids")
        return Query(
            queues=self._names,
            states=_states(which.get("state")),
            ids=None if ids is None else tuple(check_id(i) for i in ([ids] if isinstance(ids, str) else ids)),
            key=which.get("key", ""),
            lane=which.get("lane", ""),
            task=which.get("task", ""),
            error=which.get("error", ""),
            text=which.get("text", ""),
            limit=limit,
            after=after,
        )


def _states(given: States | None) -> frozenset[State] | None:
    if given is None:
        return None
    try:
        return frozenset(State(name) for name in ((given,) if isinstance(given, str) else given))
    except ValueError:
        raise BadValue(f"{shown(given)} is no state; there are: {' '.join(State)}. Nothing was done") from None
