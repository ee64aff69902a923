"""The jobs of one memory store, their indices, and what time does to them.

Each job has one moment (`Row.moment`): when it is due, when its lease ends, when it died, when it may be forgotten. The moments stand in
agendas: one for each state and, for what is ready, one for each queue and priority. `put_in` and `take_out` are the only two that touch the
indices, so a row is changed between the two of them, and what a failed `commit` has to undo is exactly what went through them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType

from msgspec import Struct
from msgspec.structs import replace

from ...buses.hearers import Hearer
from ...clock import Clock
from ...demands import arrival, edited
from ...durations import LONGEST
from ...job import HISTORY, WAITING, Attempt, Job, State, numbered
from ...store import ANY, Entry, Handback, Limits
from .agenda import Agenda
from .bell import Bell


class Row(Struct, gc=False):
    """A job as it stands. It holds nothing that leads back to it, and is none of the collector's: with many jobs, that would look at all
    of them again and again, and nobody gets in meanwhile."""

    job: Job
    state: State
    moment: float  # ready, delayed, dead, done: wall clock; running: boot clock
    attempts: int = 0
    deaths: int = 0
    holder: str = ""
    receipt: str = ""
    claimed: float = 0.0
    history: tuple[Attempt, ...] = ()
    result: bytes | None = None
    result_type: str = ""
    holds: bool = False  # a place in its lane
    parked: bool = False  # ready, and out of the way until its lane has a place

    def remember(self, attempt: Attempt) -> None:
        self.history = (*self.history, attempt)[-HISTORY:]

    def error(self) -> str:
        return self.history[-1].error if self.history else ""

    def holds_key(self) -> bool:
        return bool(self.job.key) and self.state is not State.DEAD


class Lane(Struct):
    """Who has a place in it, and what is parked, by priority."""

    holders: set[str] = set()
    parked: dict[int, Agenda] = {}


class Queue(Struct):
    """All that is in it; what is ready, by priority; how many stand where; the lanes; the two switches, None when open; the limits."""

    rows: dict[str, Row] = {}
    ready: dict[int, Agenda] = {}
    lanes: dict[str, Lane] = {}
    limits: Limits = ANY
    tally: dict[State, int] = {}
    put_stopped: str | None = None
    claim_stopped: str | None = None


class Space:
    """The jobs themselves: what `memory:NAME` shares between store objects. Used under its own lock, by `with`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.rows: dict[str, Row] = {}
        self.lent: dict[str, Row] = {}  # by receipt: being in here is the fence
        self.keys: dict[tuple[str, str], str] = {}
        self.queues: dict[str, Queue] = {}
        self.agendas = {state: Agenda() for state in State if state is not State.READY}
        self.facts: dict[str, bytes] = {}
        self.fact_ends = Agenda()
        self.bells: dict[Bell, frozenset[str]] = {}
        self.listeners: list[Hearer] = []
        self.now = 0.0
        self.boot = 0.0
        self.undo: dict[str, Row | None] | None = None  # inside commit: the rows as they were before it
        self.settled = False  # inside commit: something was acked, nacked or buried

    def __enter__(self) -> Space:
        self._lock.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()

    # -- the indices

    def queue(self, name: str) -> Queue:
        found = self.queues.get(name)
        if found is None:
            found = self.queues[name] = Queue()
        return found

    def put_in(self, row: Row) -> None:
        job, state = row.job, row.state
        if self.undo is not None:
            self.undo.setdefault(job.id, None)
        self.rows[job.id] = row
        queue = self.queues.get(job.queue) or self.queue(job.queue)
        queue.rows[job.id] = row
        if state is State.READY:
            agendas = queue.lanes.setdefault(job.lane, Lane()).parked if row.parked else queue.ready
            agenda = agendas.get(job.priority)
            if agenda is None:
                agenda = agendas[job.priority] = Agenda()
        else:
            agenda = self.agendas[state]
        agenda.add(job.id, row.moment)
        if row.holds:
            queue.lanes.setdefault(job.lane, Lane()).holders.add(job.id)
        queue.tally[state] = queue.tally.get(state, 0) + 1
        if job.key and row.holds_key():
            self.keys[job.queue, job.key] = job.id
        if state is State.RUNNING:
            self.lent[row.receipt] = row

    def take_out(self, row: Row) -> None:
        job, state = row.job, row.state
        if self.undo is not None and job.id not in self.undo:
            self.undo[job.id] = replace(row, job=replace(job))
        del self.rows[job.id]
        queue = self.queues[job.queue]
        del queue.rows[job.id]
        if state is State.READY:
            agendas = queue.lanes[job.lane].parked if row.parked else queue.ready
            agendas[job.priority].drop(job.id)
            if not agendas[job.priority]:
                del agendas[job.priority]
        else:
            self.agendas[state].drop(job.id)
        if row.holds:
            queue.lanes[job.lane].holders.discard(job.id)
        queue.tally[state] -= 1
        if job.key and row.holds_key():
            del self.keys[job.queue, job.key]
        if state is State.RUNNING:
            del self.lent[row.receipt]

    def lend(self, row: Row, until: float, receipt: str, holder: str) -> None:
        """From those that wait to those that run. It stays where it is in all that does not tell these apart."""
        job, before = row.job, row.state
        if self.undo is not None and job.id not in self.undo:
            self.undo[job.id] = replace(row, job=replace(job))
        queue = self.queues[job.queue]
        if before is State.READY:
            agendas = queue.lanes[job.lane].parked if row.parked else queue.ready
            agenda = agendas[job.priority]
            agenda.drop(job.id)
            if not agenda:
                del agendas[job.priority]
        else:
            self.agendas[before].drop(job.id)
        self.agendas[State.RUNNING].add(job.id, until)
        if job.lane:
            queue.lanes.setdefault(job.lane, Lane()).holders.add(job.id)
        queue.tally[before] -= 1
        queue.tally[State.RUNNING] = queue.tally.get(State.RUNNING, 0) + 1
        self.lent[receipt] = row
        row.state, row.holds, row.parked = State.RUNNING, bool(job.lane), False
        row.moment, row.receipt, row.holder, row.claimed = until, receipt, holder, self.now
        row.attempts += 1

    def let_wait(self, row: Row, due: float) -> None:
        """Put in a row that is out, as ready or delayed."""
        row.job.due = row.moment = due
        row.parked = False
        row.holds = row.holds and self.queue(row.job.queue).limits.lane == 1
        row.state = State.READY if due <= self.now else State.DELAYED
        self.put_in(row)

    def roll_back(self) -> None:
        undo, self.undo = self.undo or {}, None
        for job_id in undo:
            if job_id in self.rows:
                self.take_out(self.rows[job_id])
        for row in undo.values():
            if row is not None:
                self.put_in(row)

    # -- what verbs have in common

    def admit(self, job: Job) -> bool:
        """Take in a job and stamp it; False when its key is taken."""
        here = self.rows.get(job.id)
        if here is not None:
            job.created, job.due = job.created or here.job.created, job.due or here.job.due
            return True
        if job.key and self.key_taken(job.queue, job.key):
            return False
        job.created = job.created or self.now
        due = job.due = job.due or job.created + job.delay
        self.put_in(Row(copied(job), State.READY if due <= self.now else State.DELAYED, due))
        return True

    def bring(self, entry: Entry) -> bool:
        """Take in a job as it stood elsewhere; False when its key is taken, or its id in another queue."""
        job = replace(copied(entry.job), size=-1, digest="")
        here, moment = self.rows.get(job.id), arrival(entry, self.now)
        if here is not None:
            return here.job.queue == job.queue
        if entry.state is State.DONE and moment <= self.now:
            return True
        if entry.state is not State.DEAD and self.key_taken(job.queue, job.key):
            return False
        job.created = job.created or self.now
        row = Row(job, entry.state, moment, entry.attempts, entry.deaths, history=tuple(entry.history[-HISTORY:]))
        if entry.state is State.DEAD or entry.state is State.DONE:
            job.due = job.due or job.created
            if entry.state is State.DONE:
                row.result, row.result_type = entry.result, entry.result_type
            self.put_in(row)
        else:
            self.let_wait(row, moment)
        return True

    def taken_back(self, handback: Handback) -> Row | None:
        """The row of a receipt that still counts: out of the indices, with the handback applied."""
        row = self.lent.get(handback.receipt)
        if row is not None:
            self.take_out(row)
            if handback.attempt is not None:
                row.remember(numbered(handback.attempt, row.attempts))
            if handback.restore:
                row.attempts -= 1
            if handback.edit is not None:
                row.job = edited(row.job, handback.edit)
            if handback.priority is not None:
                row.job.priority = handback.priority
        return row

    # -- time

    def tick(self, clock: Clock, dead_keep: float) -> float:
        """Do what time has done since the last verb; the time it is now."""
        now, self.boot = clock.now(), clock.boot()
        stepped_back = now < self.now
        self.now = now
        if stepped_back:  # what was due is not due any more
            for row in [row for row in self.rows.values() if row.state is State.READY and row.moment > now]:
                self.take_out(row)
                self.let_wait(row, row.moment)
        for job_id in self.agendas[State.DELAYED].past(now):
            row = self.rows[job_id]
            self.take_out(row)
            self.let_wait(row, row.moment)
        for job_id in self.agendas[State.RUNNING].past(self.boot):
            row = self.rows[job_id]
            self.take_out(row)
            row.deaths += 1
            row.remember(Attempt(row.attempts, row.claimed, now, row.holder, "lost", "the lease ran out without a word"))
            self.let_wait(row, row.job.due)
        for job_id in self.agendas[State.DONE].past(now):
            self.take_out(self.rows[job_id])
        if dead_keep:
            for job_id in self.agendas[State.DEAD].past(now - dead_keep):
                self.take_out(self.rows[job_id])
        return now

    def until_next(self) -> float:
        """Seconds until time alone may make something due."""
        delayed, running = self.agendas[State.DELAYED].first(), self.agendas[State.RUNNING].first()
        return min(delayed[0] - self.now if delayed else LONGEST, running[0] - self.boot if running else LONGEST)

    # -- finding

    def expired(self, row: Row) -> bool:
        """Whether the row was waiting past its ttl; then it is removed."""
        if row.job.ttl and row.state in WAITING and row.job.expires() <= self.now:
            self.take_out(row)
            return True
        return False

    def first_ready(self, name: str) -> Row | None:
        """The next one out of an open queue. On the way to it, what the lanes hold up is parked, so that it is passed over only once."""
        queue = self.queues.get(name)
        if queue is None or queue.claim_stopped is not None or self.at_limit(queue):
            return None
        if queue.lanes:
            self.unpark(queue)
        while queue.ready:
            first = queue.ready[min(queue.ready)].first()
            assert first is not None  # an empty agenda never stays
            row = self.rows[first[1]]
            if self.expired(row):
                self.unpark(queue)
                continue
            if not row.job.lane or self.has_place(row):
                return row
            self.take_out(row)
            row.parked = True
            self.put_in(row)
        return None

    def at_limit(self, queue: Queue) -> bool:
        return 0 < queue.limits.running <= queue.tally.get(State.RUNNING, 0)

    def has_place(self, row: Row) -> bool:
        """Whether its lane, if it has one, lets it run."""
        if not row.job.lane or row.holds:
            return True
        queue = self.queues[row.job.queue]
        lane = queue.lanes.get(row.job.lane)
        return lane is None or self.places(queue, lane) > 0

    def places(self, queue: Queue, lane: Lane) -> int:
        """How many more the lane takes. Who holds it past its ttl holds it no more."""
        for job_id in list(lane.holders):
            self.expired(self.rows[job_id])
        return queue.limits.lane - len(lane.holders)

    def unpark(self, queue: Queue) -> None:
        """What lanes have a place for now comes back to where it stood."""
        for name, lane in list(queue.lanes.items()):
            for _ in range(self.places(queue, lane) if lane.parked else 0):
                if not lane.parked:
                    break
                first = lane.parked[min(lane.parked)].first()
                assert first is not None
                row = self.rows[first[1]]
                self.take_out(row)
                row.parked = False
                self.put_in(row)
            if not lane.parked and not lane.holders:
                del queue.lanes[name]

    def key_taken(self, queue: str, key: str) -> bool:
        holder = self.keys.get((queue, key)) if key else None
        return holder is not None and not self.expired(self.rows[holder])

    def forget_queue(self, name: str) -> bool:
        """Whether the queue is not there any more; one that holds jobs stays."""
        queue = self.queues.get(name)
        if queue is not None and any(queue.tally.values()):
            return False
        self.queues.pop(name, None)
        return True

    def ring(self, names: Iterable[str]) -> None:
        """Wake whoever waits on one of these queues."""
        if self.bells:
            touched = set(names)
            for bell, waited in self.bells.items():
                if not touched.isdisjoint(waited):
                    bell.ring()


def copied(job: Job) -> Job:
    """What a caller does to its object is none of ours, and the other way round."""
    return replace(job, headers=dict(job.headers) if job.headers else {})
