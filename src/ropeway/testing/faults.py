"""Faults on purpose: each breaks one promise of the contract, around any engine, to see that a test notices.

    from ropeway.testing.faults import FAULTS, plant

    store = plant("nack-loses", open_store("memory:", clock))

They are built of the contract's own verbs, so they fit every engine that has browse and pick. A suite that lets one of them pass would let
a real engine pass that has the same fault. `ropeway.testing.model.finding` plays the model test against an engine with one planted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import cast

from msgspec.structs import replace

from ..errors import RopewayError, Stopped
from ..job import Job, State
from ..store import ANY, Ack, Counts, Entry, Handback, Holder, Lent, Query, Store
from .faulty import Faulty, fresh

SHORT_BODY = 65_536  # bytes

# -- putting


class PutTwice(Faulty):
    """a put that is repeated, since its answer was lost, makes a second job"""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._put: set[str] = set()

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        others = [fresh(job, id=job.id[:-1] + "0f"[job.id[-1] == "0"]) if job.id in self._put else job for job in jobs]
        self._put.update(job.id for job in jobs)
        return self.put_instead(jobs, others)


class KeyNeverFree(Faulty):
    """a unique key stays taken when its job has ended"""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._keys: dict[str, str] = {}

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        answers = self._store.put(jobs)
        for place, job in enumerate(jobs):
            if answers[place] and job.key and self._keys.setdefault(job.key, job.id) != job.id:
                self._store.delete(Query(ids=(job.id,)))
                answers[place] = False
        return answers


class KeyNotHeld(Faulty):
    """a unique key is taken once more while its job runs"""

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        running = {entry.job.key for entry in self._store.browse(Query(states=frozenset({State.RUNNING}), limit=None))}
        here = {entry.job.id for entry in self._store.browse(Query(limit=None))}
        return self.put_instead(jobs, [fresh(job, key="") if job.key in running and job.id not in here else job for job in jobs])


class TakenKeyStored(Faulty):
    """a put whose key is taken is answered with yes, and nothing is stored"""

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        self._store.put(jobs)
        return [True] * len(jobs)


class BodyCut(Faulty):
    """a large body loses its end"""

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        return self.put_instead(jobs, [fresh(job, body=job.body[:SHORT_BODY]) if len(job.body) > SHORT_BODY else job for job in jobs])


# -- claiming


class Unordered(Faulty):
    """what was due first is claimed first, whatever its priority"""

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        counts = self._store.counts(queues)
        opened = [queue for queue in queues if counts[queue].claim_stopped is None]
        lent: list[Lent] = [] if opened else self._store.claim(queues, limit, lease, holder)
        for queue in opened:
            for entry in sorted(self.waiting([queue], State.READY), key=lambda entry: (entry.due, entry.job.id)):
                if len(lent) < limit:
                    lent += self.taken(queue, entry.job.id, lease, holder)
        return lent


class TooEarly(Faulty):
    """a claim that has room left takes a delayed job as well"""

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        lent = self._store.claim(queues, limit, lease, holder)
        for entry in self.waiting(queues, State.DELAYED)[:1]:
            if len(lent) < limit:
                lent += self.taken(entry.job.queue, entry.job.id, lease, holder)
        return lent


class SwitchIgnored(Faulty):
    """a queue that is switched off hands out its jobs"""

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        try:
            return self._store.claim(queues, limit, lease, holder)
        except Stopped:
            self._store.pause(queues, claim=False)
            try:
                return self._store.claim(queues, limit, lease, holder)
            finally:
                self._store.pause(queues, claim=True, reason="why")


class LaneOfTwo(Faulty):
    """two jobs of one lane run at once"""

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        with self.wide_lanes(queues):
            return self._store.claim(queues, limit, lease, holder)


class RetryLeavesLane(Faulty):
    """a job that is given back loses its lane, and another overtakes it"""

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        with self.wide_lanes({self._lent[one.receipt].job.queue for one in handbacks if one.receipt in self._lent}):
            return self._store.nack(handbacks)


class LimitNotKept(Faulty):
    """a queue at its limit lends one more"""

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        lent = self._store.claim(queues, limit, lease, holder)
        counts = self._store.counts(queues)
        for queue in [queue for queue in queues if counts[queue].limits.running and len(lent) < limit]:
            self._store.limit([queue], ANY)
            for entry in self.waiting([queue], State.READY)[:1] if counts[queue].claim_stopped is None else ():
                lent += self.taken(queue, entry.job.id, lease, holder)
            self._store.limit([queue], counts[queue].limits)
        return lent


class DeathNotTold(Faulty):
    """a run that ended without a word is no death to whoever claims next"""

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        return [replace(one, deaths=0) for one in self._store.claim(queues, limit, lease, holder)]


class SleepsOn(Faulty):
    """whoever waits sleeps on when a delayed job becomes due"""

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None = None) -> bool:
        return self._store.wait(queues, 0) or self._store.wait(("nobodys-queue",), timeout)


# -- leases


class StaleAck(Faulty):
    """a receipt that is void acks the run that came after its own"""

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        answers = self._store.ack(acks)
        for place, ack in enumerate(acks):
            known = self._lent.get(ack.receipt)
            if known is not None and not answers[place]:
                answers[place] = self._store.ack([replace(ack, receipt=self._last[known.job.id].receipt)])[0]
        return answers


class NoFence(Faulty):
    """when a lease has ended, its receipt counts until somebody else has claimed the job"""

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        answers = self._store.ack(acks)
        for place, ack in enumerate(acks):
            known = self._lent.get(ack.receipt)
            if known is not None and not answers[place]:
                again = self.taken(known.job.queue, known.job.id)
                answers[place] = bool(again) and self._store.ack([replace(ack, receipt=again[0].receipt)])[0]
        return answers


class ExtendShortens(Faulty):
    """a lease that is renewed ends at half its time"""

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        return self._store.extend(receipts, lease / 2)


# -- settling


class AckLeaves(Faulty):
    """each third ack is answered with yes, and the job stays"""

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        return [True] * len(acks) if self.third() else self._store.ack(acks)


class DoneStays(Faulty):
    """a done job is not forgotten when its time is over"""

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        keeps = [ack.keep if ack.keep is not None or ack.receipt not in self._lent else self._lent[ack.receipt].job.keep for ack in acks]
        return self._store.ack([replace(ack, keep=keep and keep * 10) for ack, keep in zip(acks, keeps, strict=True)])


class ResultLost(Faulty):
    """a job that is kept when done loses its result"""

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        return self._store.ack([replace(ack, result=None, result_type="") for ack in acks])


class NackLoses(Faulty):
    """each third nack loses its jobs"""

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        if not self.third():
            return self._store.nack(handbacks)
        return self._store.ack([Ack(one.receipt, keep=0.0) for one in handbacks])


class NackAtOnce(Faulty):
    """a job that is given back with a delay is due at once"""

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        return self._store.nack([replace(one, delay=0.0) for one in handbacks])


class NotCounted(Faulty):
    """a run that failed is not counted"""

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        return self._store.nack([replace(one, restore=True) for one in handbacks])


class BuryGivesBack(Faulty):
    """a bury of two jobs or more gives them back instead"""

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        return self._store.nack(handbacks) if len(handbacks) > 1 else self._store.bury(handbacks)


class CommitHalf(Faulty):
    """what was put inside a commit that failed stays, though all or nothing is promised"""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._inside: list[Job] | None = None

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        if self._inside is not None:
            self._inside += [fresh(job) for job in jobs]
        return self._store.put(jobs)

    @contextmanager
    def commit(self) -> Iterator[None]:
        inside: list[Job] = []
        self._inside = inside
        try:
            with self._store.commit():
                yield
        except BaseException:
            with suppress(RopewayError):
                self._store.put(inside)
            raise
        finally:
            self._inside = None


# -- looking and operating


class CountsShort(Faulty):
    """of three running jobs or more, one is not counted"""

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        counted = self._store.counts(queues)
        return {name: replace(one, running=one.running - (one.running > 2)) for name, one in counted.items()}


class PageSkips(Faulty):
    """the next page of a listing begins one job too late"""

    def browse(self, query: Query) -> list[Entry]:
        return self._store.browse(query)[1 if query.after else 0 :]


class HistoryTurned(Faulty):
    """the history of a job begins with its last run"""

    def browse(self, query: Query) -> list[Entry]:
        return [replace(entry, history=entry.history[::-1]) for entry in self._store.browse(query)]


class RequeueForgets(Faulty):
    """a delayed job that is requeued begins anew, its attempts forgotten"""

    def requeue(self, query: Query) -> int:
        states = query.states or frozenset({State.DEAD})
        again = 0
        for entry in self._store.browse(replace(query, states=states & {State.DELAYED})) if State.DELAYED in states else ():
            for lent in self.taken(entry.job.queue, entry.job.id) if entry.attempts and entry.job.source is None else ():
                self._store.ack([Ack(lent.receipt, keep=0.0)])
                again += self._store.put([fresh(entry.job, delay=0.0)])[0]
        return again + self._store.requeue(query)


class DeleteTooMuch(Faulty):
    """deleting removes what runs as well"""

    def delete(self, query: Query) -> int:
        running = self._store.browse(replace(query, states=frozenset({State.RUNNING}))) if query.states is None else []
        held = [self._last[entry.job.id].receipt for entry in running if entry.job.id in self._last]
        return self._store.delete(query) + sum(self._store.ack([Ack(receipt, keep=0.0) for receipt in held]))


FAULTS: dict[str, type[Faulty]] = {
    "put-twice": PutTwice,
    "key-never-free": KeyNeverFree,
    "key-not-held": KeyNotHeld,
    "taken-key-stored": TakenKeyStored,
    "body-cut": BodyCut,
    "unordered": Unordered,
    "too-early": TooEarly,
    "switch-ignored": SwitchIgnored,
    "lane-of-two": LaneOfTwo,
    "retry-leaves-lane": RetryLeavesLane,
    "limit-not-kept": LimitNotKept,
    "death-not-told": DeathNotTold,
    "sleeps-on": SleepsOn,
    "stale-ack": StaleAck,
    "no-fence": NoFence,
    "extend-shortens": ExtendShortens,
    "ack-leaves": AckLeaves,
    "done-stays": DoneStays,
    "result-lost": ResultLost,
    "nack-loses": NackLoses,
    "nack-at-once": NackAtOnce,
    "not-counted": NotCounted,
    "bury-gives-back": BuryGivesBack,
    "commit-half": CommitHalf,
    "counts-short": CountsShort,
    "page-skips": PageSkips,
    "history-turned": HistoryTurned,
    "requeue-forgets": RequeueForgets,
    "delete-too-much": DeleteTooMuch,
}


def plant(fault: str, store: Store) -> Store:
    """The store with that fault of FAULTS around it. KeyError for a name that is not there."""
    return cast("Store", FAULTS[fault](store))


def broken(fault: str) -> str:
    """What that fault breaks, in one line."""
    return (FAULTS[fault].__doc__ or "").strip()
