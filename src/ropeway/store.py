"""The first contract: keeping jobs in queues and lending them out for a time. A dozen batch-first verbs.

`ropeway.testing.contract` holds every engine to what is said here. What an engine cannot do is missing from its `features`, raises
Unsupported before anything is done, and stands in the generated table of the docs; it is never imitated badly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from .bus import Bus
from .job import Attempt, Job, State
from .notes import Notes


class Feature(StrEnum):
    """What an engine may lack."""

    PRIORITY = "priority"  # order by priority, not only by due
    DELAY = "delay"  # due later, to any length
    KEYS = "keys"  # unique keys
    KEEP = "keep"  # done jobs kept with their result
    HISTORY = "history"  # attempts kept with error and traceback
    BROWSE = "browse"  # looking at jobs, by id and by filter
    PICK = "pick"  # taking or removing one waiting job by its id
    STREAM = "stream"  # bodies of any size in constant memory
    SWITCHES = "switches"  # stop.put and stop.claim per queue
    NOTES = "notes"  # the Notes contract
    ATOMIC = "atomic"  # the verbs inside `commit` are all or nothing
    JOIN = "join"  # putting and settling inside a transaction that the caller has open on the same database
    LANES = "lanes"  # the jobs of one lane in strict order, one at a time
    LIMITS = "limits"  # how many of a queue, and of each of its lanes, run at once
    EDIT = "edit"  # a job given back with another content
    TOPICS = "topics"  # the Bus contract


class Durability(StrEnum):
    """What an answered put survives: the class of quality.md."""

    NONE = "-"  # dies with the process
    PROCESS = "P"  # any process may be killed
    KERNEL = "K"  # kernel crash or power cut
    REPLICA = "R"  # fail-over to a replica


class Limits(Struct, frozen=True):
    """How many jobs of a queue may be lent out at once, by all holders together.

    `running`: of the queue; 0 = any number. `lane`: of each of its lanes. With 1 a lane is in strict order: the job that was claimed first
    keeps it until that job has *ended* (done, dead, deleted, expired), through every retry. With more, a job holds a place in its lane
    only while it runs. Jobs without a lane are not held up by any.
    """

    running: int = 0
    lane: int = 1


ANY = Limits()


class Holder(Struct, frozen=True):
    """Who claims. `name` is for people. `bound`: the claim dies with this process, so that the store may hand its jobs on as soon as
    the process is dead; a claim that outlives its taker (a receipt printed by the shell, a server's client) is not bound and ends
    with its lease only."""

    name: str
    bound: bool = True


class Lent(Struct, gc=False):
    """A job lent out by a claim.

    `receipt` is the proof, opaque text without spaces that works from any process until the lease ends. `attempt` counts this
    run (1 is the first). `deaths` says how many earlier ones ended without a word (a lease ran out, a holder died): such a job
    is a suspect. `until` is when the lease ends by this machine's boot clock, a little too early rather than too late.
    """

    job: Job
    receipt: str
    attempt: int
    deaths: int = 0
    until: float = 0.0


class Ack(Struct, gc=False):
    """Done. `keep` (seconds) overrides the job's own; a result is only kept when the job is."""

    receipt: str
    result: bytes | None = None
    result_type: str = ""
    keep: float | None = None


class Handback(Struct, gc=False):
    """Given back (nack) or given up (bury). `attempt` goes into the job's history. `restore` gives the attempt back: this run
    does not count (a deploy, a prefetched job, a snooze). `priority` changes it, for the operator's "next one out". `edit`, for nack
    alone: from now on the job has the body, content type, headers, ttl, keep and task of this one; all else of it stays as it is."""

    receipt: str
    delay: float = 0.0
    attempt: Attempt | None = None
    restore: bool = False
    priority: int | None = None
    edit: Job | None = None


class Query(Struct, frozen=True):
    """Which jobs: all fields given must fit. Answers come by (queue, state, priority, due, id), at most `limit`, after `after`."""

    queues: tuple[str, ...] | None = None
    states: frozenset[State] | None = None
    ids: tuple[str, ...] | None = None
    key: str = ""
    lane: str = ""
    task: str = ""
    error: str = ""  # text within the last error
    text: str = ""  # text within body (as UTF-8), key or headers
    limit: int | None = 100
    after: str = ""  # the `cursor` of the last Entry seen


class Entry(Struct, gc=False):
    """A job as looked at: nothing is changed by looking. `job.body` may be cut to nothing for bodies kept beside (job.source reads)."""

    job: Job
    state: State
    due: float  # ready/delayed: its moment; running: when the lease ends (wall clock); dead: when it died; done: when it is forgotten
    attempts: int = 0
    deaths: int = 0
    holder: str = ""  # running: host:pid:name
    error: str = ""  # the last one, one line
    history: list[Attempt] = []
    result: bytes | None = None
    result_type: str = ""
    cursor: str = ""


class Counts(Struct, gc=False):
    """How many jobs of a queue stand where. `oldest` is the due time of the ready job that waits longest. `put_stopped` and
    `claim_stopped` are the operator's reasons when that switch is off, else None. `exact` is False where a number is an estimate."""

    ready: int = 0
    delayed: int = 0
    running: int = 0
    dead: int = 0
    done: int = 0
    oldest: float | None = None
    put_stopped: str | None = None
    claim_stopped: str | None = None
    exact: bool = True
    limits: Limits = ANY


class Finding(Struct, gc=False):
    """One thing that `check` found. `level`: ok, note, warning or fault. `text` says what, and what to do."""

    level: str
    text: str


class Joined(Protocol):
    """A store's verbs inside a transaction of the caller's, as `Store.join` gives them: they neither begin nor end it. What they answer
    becomes true with its commit, and none of it has happened after its rollback. Each is all or nothing by itself: when one raises, what
    the caller did before it stands, unless the error says that the database has undone everything. Puts and settling in any order. For
    the thread that has the transaction, until it ends."""

    def put(self, jobs: Sequence[Job]) -> list[bool]: ...
    def bring(self, entries: Sequence[Entry]) -> list[bool]: ...
    def ack(self, acks: Sequence[Ack]) -> list[bool]: ...
    def nack(self, handbacks: Sequence[Handback]) -> list[bool]: ...
    def bury(self, handbacks: Sequence[Handback]) -> list[bool]: ...
    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]: ...
    def browse(self, query: Query) -> list[Entry]: ...


class Store(Protocol):
    """Keeps jobs in queues and lends them out for a time.

    Every verb takes a batch and answers in the same order: True when done, False when the claim was lost, the key was taken. One is a
    batch of one. Raises Unsupported for what this engine lacks; StoreError when the engine fails: then nothing is known (unless
    it says `definite`) and the caller may repeat, since puts are idempotent by id and the rest is fenced by receipts. Bad input
    raises BadName, BadBody or BadValue before anything is done. Verbs may be called from any thread.

    The store owns the clock: callers give durations, never moments.

    Four promises: (a) what put, ack, nack or bury has answered survives a crash of the class of `durability()`; (b) a voided receipt
    changes nothing; (c) `wait` returns at once if something is already due, and when a delayed job or an expired lease *becomes*
    due; (d) inside `commit`, puts become safe before acks where the engine cannot do both as one: a crash may repeat work,
    never lose it.
    """

    url: str  # as given, without secrets
    features: frozenset[Feature]
    max_body: int | None  # bytes; None = no limit
    notes: Notes
    bus: Bus

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        """Store the jobs; when it answers, they are safe. False: the unique key is held by a live job, nothing of that one was
        stored. A job whose id is already here answers True and changes nothing. Stopped, before anything is stored, when one of the
        queues refuses new jobs. Fills in `created` and `due`. When all of the jobs are `fleeting`, the answer need not wait for what
        only a power cut would undo (class P)."""
        ...

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        """Take in jobs as they stood in another store, told as its `browse` told them: id, priority, moment, attempts, deaths, history
        and state stay what they were. A dead one died at its `due`, a done one is kept with its result until its `due` (over by now:
        True, and nothing is stored); one that was running waits, at the due of its job, with the attempt counted. When it answers,
        they are safe, as after put.

        True: it is here now, or was: a job with this id in this queue is left as it stands, so that a carry that was broken off can be
        run again. False: another live job holds the key, or the id is that of a job in another queue; nothing of that one was stored.
        An operator's verb: a queue that refuses new jobs takes these. Unsupported, before anything is stored, for what this engine
        cannot keep (demands.lacking). Inside `commit` it counts as a put. The entries stay as they are; a `source` is read once."""
        ...

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        """Take up to `limit` due jobs for `lease` seconds: queues in the order given, within one by (priority, due, id). May
        answer fewer than there are. Counts the attempt. Jobs past their ttl are removed, not handed out. A job whose lane is full, and
        every job of a queue at its limit, is passed over, however many there are of them. A queue that is switched off is passed over;
        Stopped when all of those asked are."""
        ...

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        """Take these waiting jobs whatever their moment; None for one that is not waiting (running, ended, unknown) or held up by its
        lane or a limit. The attempt is raised as by claim; an operator gives back with `restore`."""
        ...

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        """Done: the job leaves, or stays as done for as long as it is kept. Final."""
        ...

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        """Given back: due again after the delay."""
        ...

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        """Given up: kept as dead, with the reason, until requeued or deleted."""
        ...

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        """Renew: each lease now ends `lease` seconds from now."""
        ...

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None = None) -> bool:
        """Sleep until something may be due in one of the queues (True), or the timeout or `wake` (False). Returns at once when
        something is due already. A queue switched off or at its limit, and a lane that is full, have nothing due. True is a hint: the
        next claim may still come back empty.

        Among the queues may be `ended(queue)` (names.py). Nothing is ever due in that one, but it is rung when a job of the queue has
        ended and stays: done, or dead. `look` is asked before each sleep, once whoever rings would end that sleep; when it answers True,
        so does `wait`. It may call verbs of this store."""
        ...

    def wake(self) -> None:
        """From any thread or a signal handler: whoever waits in this store object returns now, or the next wait does."""
        ...

    def queues(self) -> list[str]:
        """The names of all queues that exist, sorted. Cheap."""
        ...

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        """The numbers of these queues, or of all; a queue that does not exist counts zero everywhere."""
        ...

    def browse(self, query: Query) -> list[Entry]:
        """The jobs that fit, without changing anything."""
        ...

    def requeue(self, query: Query) -> int:
        """Dead, done and delayed jobs that fit become ready now, with attempts and deaths at zero (a delayed one keeps its own).
        Without `states`: only the dead. How many."""
        ...

    def delete(self, query: Query) -> int:
        """Remove the jobs that fit, in any state but running. How many."""
        ...

    def pause(self, queues: Sequence[str], *, put: bool | None = None, claim: bool | None = None, reason: str = "") -> None:
        """Set the switches: True stops, False opens, None leaves as it is. The reason is shown wherever the refusal is."""
        ...

    def limit(self, queues: Sequence[str], limits: Limits) -> None:
        """From now on these hold for the queues, instead of what held before; `counts` shows them. What runs already runs on."""
        ...

    def drop(self, queues: Sequence[str]) -> list[bool]:
        """Remove these queues whole, with switches and limits, so that `queues` does not name them any more. False, and nothing done,
        for one that holds a job in any state; True for one that is not there. A later put makes it anew."""
        ...

    def commit(self) -> AbstractContextManager[None]:
        """The verbs inside become safe together. Call `put` before `ack`, `nack` and `bury`: the other order is refused with
        BadValue on every engine, since one without transactions could lose the put after the ack."""
        ...

    def join(self, tx: Any) -> Joined:
        """The verbs inside the transaction that the caller has open on `tx`, a connection or session to the same database. Raises
        BadValue, with nothing done, for what is none, has no transaction, or leads to another database; Unsupported where there is none."""
        ...

    def transaction(self, tx: Any) -> AbstractContextManager[None]:
        """Commits the caller's transaction on `tx` when the block ends well and rolls it back when it does not, and rings for what was
        put in it: for connections whose library cannot tell of a commit. Raises as `join` does."""
        ...

    def ring(self, queues: Sequence[str]) -> None:
        """A transaction with puts of `join`, or of the application's own SQL, was committed: wake who waits, one name for each job.
        Needed only where the store cannot see the commit. Unsupported as `join`."""
        ...

    def durability(self) -> Durability:
        """What an answered put survives with the live configuration."""
        ...

    def check(self) -> Iterable[Finding]:
        """Look the store over, change nothing: configuration, leftovers, damage, and what to do about each."""
        ...

    def close(self) -> None:
        """Let go of everything; give nothing back (the lease, or the death of the process, does). May be called twice."""
        ...
