"""The memory engine: every verb is one change under one lock. It forgets with its process, and is the model the others are tested by."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ...clock import Clock
from ...demands import Apart, check_acks, check_entries, check_handbacks, check_lease, check_limit, check_limits, check_reason
from ...errors import BadValue, ConfigError, Stopped, StoreError, Unsupported
from ...job import WAITING, Job, State, check_each
from ...names import check_name, ended, is_ended
from ...store import Ack, Counts, Durability, Entry, Feature, Finding, Handback, Holder, Lent, Limits, Query
from ...url import StoreUrl
from .bell import Bell
from .bus import MemoryBus
from .facts import MemoryNotes
from .look import counts, entry, select
from .space import Row, Space, copied

MAX_BODY = 1024 * 1024
_RECEIPTS = 256  # made at once: one system call for many
_shared: dict[tuple[str, str], tuple[int, Space]] = {}  # by name and namespace: whose process, and the jobs


class MemoryStore(Apart):
    """Keeps jobs in this process. Nothing survives it and no other process sees them: a forked child is refused, not deceived.

    `memory:` is this object's own, `memory:NAME` that of all in the process, for as long as it lives.
    """

    features = frozenset(Feature) - {Feature.STREAM, Feature.JOIN}
    max_body: int | None = MAX_BODY

    def __init__(self, url: StoreUrl, clock: Clock) -> None:
        if url.require:
            raise ConfigError(f"{url.text}: memory survives nothing, so require={url.require} cannot be kept; nothing was opened")
        if url.bell_choice.kind == "udp":
            raise ConfigError(f"{url.text}: memory is one process and wakes its own threads: give bell=on or bell=off; nothing was opened")
        self.url = url.text
        self._clock = clock
        self._dead_keep = url.dead_keep
        self._pid, self._space = os.getpid(), Space()
        if url.rest:
            self._pid, self._space = _shared.setdefault((url.rest, url.namespace), (self._pid, self._space))
        self._closed = False
        self._waiting: set[Bell] = set()
        self._woken = False
        self._receipts: list[str] = []
        self.notes = MemoryNotes(self._enter, clock)
        self.bus = MemoryBus(self._enter)

    # -- jobs come in

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        check_each(jobs, MAX_BODY)
        for job in jobs:
            if job.source is not None:
                raise Unsupported(f"{self.url} keeps bodies inline and cannot stream one; nothing was stored. Use a dir: store")
        with self._enter() as space:
            self._admits(space)
            for job in jobs:
                queue = space.queues.get(job.queue)
                if queue is not None and queue.put_stopped is not None:
                    raise _stopped("takes no new jobs", job.queue, queue.put_stopped)
            answers = [space.admit(job) for job in jobs]
            space.ring(job.queue for job in jobs)
        return answers

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        check_entries(entries, self.features, MAX_BODY)
        with self._enter() as space:
            self._admits(space)
            answers = [space.bring(entry) for entry in entries]
            space.ring(entry.job.queue for entry in entries)
        return answers

    def _admits(self, space: Space) -> None:
        self._tick(space)
        if space.settled:
            raise BadValue("inside commit, put comes before ack, nack and bury; nothing was stored")

    # -- jobs are lent out

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        check_lease(lease)
        check_limit(limit)
        for name in queues:
            check_name(name)
        lent: list[Lent] = []
        with self._enter() as space:
            self._tick(space)
            reasons = [queue.claim_stopped for name in queues if (queue := space.queues.get(name)) is not None]
            if reasons and len(reasons) == len(queues) and None not in reasons:
                raise _stopped("hands out no jobs", queues[0], reasons[0] or "")
            for name in queues:
                while len(lent) < limit and (row := space.first_ready(name)) is not None:
                    lent.append(self._lend(space, row, lease, holder))
        return lent

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        check_lease(lease)
        check_name(queue)
        answers: list[Lent | None] = []
        with self._enter() as space:
            self._tick(space)
            for job_id in ids:
                row = space.rows.get(job_id)
                waits = row is not None and row.job.queue == queue and row.state in WAITING and not space.expired(row)
                free = row is not None and waits and space.has_place(row) and not space.at_limit(space.queue(queue))
                answers.append(self._lend(space, row, lease, holder) if row is not None and free else None)
        return answers

    def _lend(self, space: Space, row: Row, lease: float, holder: Holder) -> Lent:
        if not self._receipts:
            random = os.urandom(16 * _RECEIPTS).hex()
            self._receipts = [random[i : i + 32] for i in range(0, len(random), 32)]
        space.lend(row, space.boot + lease, self._receipts.pop(), holder.name)
        return Lent(copied(row.job), row.receipt, row.attempts, row.deaths, row.moment)

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        check_lease(lease)
        answers = []
        with self._enter() as space:
            self._tick(space)
            for receipt in receipts:
                row = space.lent.get(receipt)
                if row is not None:
                    space.take_out(row)
                    row.moment = space.boot + lease
                    space.put_in(row)
                answers.append(row is not None)
        return answers

    # -- jobs are settled

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        check_acks(acks)
        answers = []
        with self._enter() as space:
            self._tick(space, settling=True)
            for ack in acks:
                row = space.lent.get(ack.receipt)
                if row is not None:
                    space.take_out(row)
                    keep = row.job.keep if ack.keep is None else ack.keep
                    if keep:
                        row.state, row.moment = State.DONE, space.now + keep
                        row.result, row.result_type = ack.result, ack.result_type
                        row.holds = False
                        space.put_in(row)
                        space.ring((ended(row.job.queue),))
                    space.ring((row.job.queue,))  # a place is free
                answers.append(row is not None)
        return answers

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks, MAX_BODY)
        answers = []
        with self._enter() as space:
            self._tick(space, settling=True)
            for handback in handbacks:
                row = space.taken_back(handback)
                if row is not None:
                    if handback.restore and not handback.delay:
                        space.let_wait(row, min(row.job.due, space.now))  # as if it had not run: it keeps its place
                    else:
                        space.let_wait(row, space.now + handback.delay)
                    space.ring((row.job.queue,))
                answers.append(row is not None)
        return answers

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks)
        answers = []
        with self._enter() as space:
            self._tick(space, settling=True)
            for handback in handbacks:
                row = space.taken_back(handback)
                if row is not None:
                    row.state, row.moment, row.holds = State.DEAD, space.now, False
                    space.put_in(row)
                    space.ring((row.job.queue, ended(row.job.queue)))
                answers.append(row is not None)
        return answers

    # -- waiting

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None = None) -> bool:
        for name in queues:
            check_name(name)
        end = self._clock.boot() + max(0.0, timeout)
        of_ends = any(is_ended(name) for name in queues)
        bell = Bell()
        with self._enter() as space:
            space.bells[bell] = frozenset(queues)
        self._waiting.add(bell)
        try:
            while not self._closed:
                with self._space as space:
                    self._tick(space)
                    if any(space.first_ready(name) for name in queues):
                        return True
                    nap = min(end - space.boot, space.until_next())
                if look is not None and look():
                    return True
                if self._woken or bell.woken:
                    self._woken = False
                    return False
                if end <= space.boot:
                    return False
                if self._clock.sleep(bell, nap) and of_ends and not bell.woken:
                    return True
            return False
        finally:
            self._waiting.discard(bell)
            with self._space as space:
                del space.bells[bell]

    def wake(self) -> None:
        self._woken = True  # first of all, for one who is about to wait
        for bell in list(self._waiting):
            bell.woken = True
            bell.ring()

    # -- looking, and the operator's verbs

    def queues(self) -> list[str]:
        with self._enter() as space:
            return sorted(space.queues)

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        for name in queues or ():
            check_name(name)
        with self._enter() as space:
            self._tick(space)
            return {name: counts(space, name) for name in (sorted(space.queues) if queues is None else queues)}

    def browse(self, query: Query) -> list[Entry]:
        with self._enter() as space:
            self._tick(space)
            return [entry(space, row) for row in select(space, query, lambda _: True)]

    def requeue(self, query: Query) -> int:
        states = {State.DEAD} if query.states is None else query.states & {State.DEAD, State.DONE, State.DELAYED}
        done = 0
        with self._enter() as space:
            self._tick(space)
            for row in select(space, query, lambda row: row.state in states):
                if row.state is State.DEAD and space.key_taken(row.job.queue, row.job.key):
                    continue  # another live job has the key by now
                space.take_out(row)
                if row.state is not State.DELAYED:
                    row.attempts = row.deaths = 0
                    row.result, row.result_type = None, ""
                space.let_wait(row, space.now)
                space.ring((row.job.queue,))
                done += 1
        return done

    def delete(self, query: Query) -> int:
        with self._enter() as space:
            self._tick(space)
            rows = select(space, query, lambda row: row.state is not State.RUNNING)
            for row in rows:
                space.take_out(row)
            space.ring({row.job.queue for row in rows if row.holds})
        return len(rows)

    def pause(self, queues: Sequence[str], *, put: bool | None = None, claim: bool | None = None, reason: str = "") -> None:
        for name in queues:
            check_name(name)
        check_reason(reason)
        with self._enter() as space:
            for name in queues:
                queue = space.queue(name)
                if put is not None:
                    queue.put_stopped = reason if put else None
                if claim is not None:
                    queue.claim_stopped = reason if claim else None
            space.ring(queues)

    def limit(self, queues: Sequence[str], limits: Limits) -> None:
        for name in queues:
            check_name(name)
        check_limits(limits)
        with self._enter() as space:
            for name in queues:
                space.queue(name).limits = limits
            space.ring(queues)

    def drop(self, queues: Sequence[str]) -> list[bool]:
        for name in queues:
            check_name(name)
        with self._enter() as space:
            self._tick(space)
            return [space.forget_queue(name) for name in queues]

    @contextmanager
    def commit(self) -> Iterator[None]:
        """All or nothing: nobody else gets in meanwhile, and an error inside undoes what the verbs did to jobs."""
        with self._enter() as space:
            if space.undo is not None:
                raise BadValue("a commit cannot stand inside another; nothing was done")
            space.undo, space.settled = {}, False
            try:
                yield
            except BaseException:
                space.roll_back()
                raise
            finally:
                space.undo, space.settled = None, False

    def durability(self) -> Durability:
        return Durability.NONE

    def check(self) -> list[Finding]:
        with self._enter() as space:
            count = len(space.rows)
        return [Finding("note", f"{count} jobs in memory: they end with this process. For jobs that stay, use dir:PATH")]

    def close(self) -> None:
        self.bus.close()
        self._closed = True
        self.wake()

    # -- the way in

    def _enter(self) -> Space:
        if os.getpid() != self._pid:
            raise StoreError(
                f"{self.url} belongs to process {self._pid}, this is its fork {os.getpid()}; nothing was done. "
                "Memory is not shared with a fork: open a dir: store in both",
                definite=True,
            )
        if self._closed:
            raise StoreError(f"{self.url} was closed; nothing was done. Open it again", definite=True)
        return self._space

    def _tick(self, space: Space, *, settling: bool = False) -> None:
        space.tick(self._clock, self._dead_keep)
        if settling and space.undo is not None:
            space.settled = True


def _stopped(what: str, queue: str, reason: str) -> Stopped:
    return Stopped(f"queue {queue} {what}: {reason or 'no reason given'}; nothing was done", queue=queue, reason=reason)
