"""What the machine stands on: the model and the engine side by side, the time that passes for both, and the comparison of all there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine
from msgspec import Struct
from msgspec.structs import replace

from ...errors import BadValue, RopewayError, Stopped
from ...ids import IdMaker
from ...job import Attempt, Job, State
from ...store import ANY, Ack, Entry, Feature, Handback, Holder, Lent, Query, Store
from ...stores import open_store
from ..clock import FakeClock
from .compare import entries_alike, lent_alike, ordered, tally, turn, wanted
from .engine import Engine, EngineFactory
from .places import left, lendable
from .world import BIG, KEYS, QUEUES, Past, Wish

T = TypeVar("T")
TICK = 1 / 1024
ALL = Query(limit=None)


class Run(Struct):
    """A job that is lent out: its receipts on both sides, who holds it, and the latest end of a lease among those claimed with it."""

    job: Job
    model: str
    engine: str
    owner: int
    generation: int
    bound: bool
    together: list[float]


class Sides(RuleBasedStateMachine):
    """The model, two store objects on one place of the engine, one clock for all."""

    make: EngineFactory

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.engine: Engine = type(self).make()
        self.model: Store = open_store("memory:", self.clock)
        self.stores = [self.engine.open(self.clock), self.engine.open(self.clock)]
        self.generation = [0, 0]
        number = iter(range(1, 1 << 40))
        self.new_id = IdMaker(lambda: int(self.clock.now() * 1e9), lambda size: next(number).to_bytes(8, "big") * (size // 8))
        self.twins: list[tuple[Job, Job]] = []  # every job ever put: the model's object and the engine's
        self.alone: set[str] = set()  # the ids of those that were put one by one
        self.behind: set[tuple[int, str]] = set()  # (store object, queue): something was given back there by another
        self.suspects: set[str] = set()  # queues that have had a job with deaths
        self.runs: dict[str, Run] = {}
        self.spent: list[Run] = []  # whose receipts count no more
        self.attempts = 0

    # -- both sides

    def both(self, model: Callable[[], T], engine: Callable[[], T]) -> tuple[T, T] | None:
        """Call both; None when both refuse, which they must do alike."""
        refused: list[type[Exception] | None] = [None, None]
        answers: list[Any] = [None, None]
        for side, call in enumerate((model, engine)):
            try:
                answers[side] = call()
            except (Stopped, BadValue) as error:
                refused[side] = type(error)
            except RopewayError as error:
                raise AssertionError(f"{'the engine' if side else 'the model'} failed: {error!r}") from error
        assert refused[0] is refused[1], f"the model: {refused[0]}, the engine: {refused[1]}"
        return None if refused[0] else (answers[0], answers[1])

    def agree(self, model: Callable[[], T], engine: Callable[[], T]) -> T | None:
        """Call both; they must answer alike."""
        answers = self.both(model, engine)
        if answers is None:
            return None
        assert answers[1] == answers[0], f"the model answers {answers[0]}, the engine {answers[1]}"
        return answers[0]

    def has(self, feature: Feature) -> bool:
        """Whether the engine has what the model has."""
        return feature in self.stores[0].features

    def holder(self, which: int, bound: bool = True) -> Holder:
        return Holder(f"host:{which}:{self.generation[which]}", bound)

    def new(self, wish: Wish) -> tuple[Job, Job]:
        """A job that nobody has put yet, for both sides."""
        job_id = self.new_id()
        content = job_id[-6:].encode() if not wish.big else job_id[-6:].encode() * (BIG // 6)
        one, two = (
            Job(
                job_id,
                wish.queue,
                content,
                headers={"number": job_id[-3:]},
                priority=wish.priority,
                delay=wish.delay,
                key=wish.key,
                ttl=wish.ttl,
                keep=wish.keep,
                once=wish.once,
                lane=wish.lane if self.has(Feature.LANES) else "",
            )
            for _ in range(2)
        )
        self.twins.append((one, two))
        return one, two

    def content(self, job: Job, body: bytes) -> Job:
        """A job with that body for an edit: all else is what is kept of it, or is not to be taken over."""
        return Job(job.id, job.queue, body, headers=dict(job.headers), ttl=job.ttl, keep=15.0, task="t", priority=99, lane="other")

    def brought(self, job: Job, past: Past) -> Entry:
        """The job as it stood elsewhere. It is stamped, as whoever put it there has it."""
        now = self.clock.now()
        job.created = job.created or now - 5.0
        moment = now + past.ago if past.state in (State.DELAYED, State.DONE) else now - past.ago
        job.due = job.due or (moment if past.state in (State.READY, State.DELAYED) else job.created)
        history = [Attempt(number + 1, 1.0, 2.0, "w", "failed", f"B: {number}", "") for number in range(past.told)]
        result = b"brought" if past.state is State.DONE and past.told else None
        return Entry(job, past.state, moment, past.attempts, past.deaths, history=history, result=result, result_type="r" * past.told)

    def known_runs(self, several: Sequence[int]) -> list[Run]:
        """Some that are lent out, now and then one whose receipt is spent; the same one twice is possible."""
        known = [self.runs[job_id] for job_id in sorted(self.runs)] + self.spent[-2:]
        return [known[number % len(known)] for number in several] if known else []

    def late(self) -> list[Run]:
        """Those whose receipts are void while their job is still about; when some of these run again, only they."""
        here = {entry.job.id for entry in self.model.browse(ALL)}
        late = [run for run in self.spent if run.job.id in here]
        return [run for run in late if run.job.id in self.runs][-4:] or late[-4:]

    def ids(self, several: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.twins[-1 - number % len(self.twins)][0].id for number in several) if self.twins else ("0" * 32,)

    def query(self, kind: str, several: Sequence[int], state: State, queue: str) -> Query:
        more: dict[str, dict[str, Any]] = {
            "all": {},
            "queue": {"queues": (queue,)},
            "ids": {"ids": self.ids(several)},
            "key": {"key": KEYS[several[0] % 2]},
            "text": {"text": self.ids(several)[0][-3:], "queues": (queue,)},
            "state": {"states": frozenset({state}), "queues": (queue,)},
            "error": {"error": str(several[0])},
            "limit": {"limit": 1 + several[0] % 3, "states": frozenset({State.READY}), "queues": (queue,)},
        }
        return Query(**({"limit": None} | more[kind]))

    # -- lending and settling

    def ready(self, queue: str) -> list[Entry]:
        """What the model would hand out, in order."""
        if self.model.counts([queue])[queue].claim_stopped is not None:
            return []
        found = self.model.browse(Query(queues=(queue,), states=frozenset({State.READY}), limit=None))
        return sorted((entry for entry in found if wanted(entry, self.clock.now())), key=turn)

    def to_be_had(self, queue: str, given: Sequence[str], behind: bool, *, bounded: bool = True) -> list[Entry]:
        """What of it lanes and limits let out, if the engine may have handed out `given`."""
        any_next = behind or self.engine.lanes_hand_over
        found = lendable(self.model, queue, self.ready(queue), given, any_next=any_next)
        return found[: max(0, left(self.model, queue))] if bounded else found

    def pickable(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Without those whose lane an engine that hands its place over may have given to another."""
        if not self.engine.lanes_hand_over:
            return tuple(ids)
        waiting = [entry for queue in QUEUES for entry in self.ready(queue) if entry.job.lane]
        rivals = {
            entry.job.id
            for entry in waiting
            if any(o.job.lane == entry.job.lane and o.job.queue == entry.job.queue and o.job.id != entry.job.id for o in waiting)
        }
        delayed = {e.job.id for e in self.model.browse(replace(ALL, states=frozenset({State.DELAYED}))) if e.job.lane}
        return tuple(job_id for job_id in ids if job_id not in rivals | delayed)

    def take(self, ids: Iterable[str], lease: float, holder: Holder) -> list[Lent]:
        """By id, from the model."""
        where = {entry.job.id: entry.job.queue for entry in self.model.browse(ALL)}
        taken = [self.model.pick(where[job_id], [job_id], lease, holder)[0] for job_id in ids]
        return [one for one in taken if one is not None]

    def lend(self, pairs: Iterable[tuple[Lent, Lent]], owner: int, bound: bool, lease: float) -> None:
        together = [self.clock.now() + lease]
        for ours, theirs in pairs:
            lent_alike(ours, theirs)
            self.runs[ours.job.id] = Run(ours.job, ours.receipt, theirs.receipt, owner, self.generation[owner], bound, together)

    def settled(self, runs: Sequence[Run], answers: Sequence[bool] | None) -> None:
        for run, done in zip(runs, answers or (), strict=answers is not None):
            if done:
                self.spent.append(self.runs.pop(run.job.id))

    def handbacks(self, runs: Sequence[Run], delays: Sequence[float], **more: Any) -> tuple[list[Handback], list[Handback]]:
        """For both sides, two of three with an attempt for the history."""
        ours, theirs = [], []
        for place, run in enumerate(runs):
            self.attempts += 1
            attempt = Attempt(1 + self.attempts % 4, 1.0, 2.0, "w", "failed", f"E: {self.attempts}", "") if self.attempts % 3 else None
            delay = delays[place % len(delays)]
            ours.append(Handback(run.model, delay, attempt, **more))
            theirs.append(Handback(run.engine, delay, attempt, **more))
        return ours, theirs

    def drop_expired(self, which: int) -> None:
        """Remove what is only waiting to be removed, so that numbers can be compared."""
        store = self.stores[which]
        past = tuple({e.job.id for side in (self.model, store) for e in side.browse(ALL) if not wanted(e, self.clock.now())})
        if past:
            self.given_back(which, *QUEUES)
            for side in (self.model, store):
                side.delete(Query(ids=past, limit=None))

    # -- time

    def let_pass(self, seconds: float) -> None:
        """Let time pass, and a little more if a lease would end so lately that the engine need not have noticed."""
        running, now = self.model.browse(Query(states=frozenset({State.RUNNING}), limit=None)), self.clock.now()
        for moment in sorted(entry.due - now for entry in running):
            if seconds - self.engine.slack < moment <= seconds + TICK:
                seconds = moment + self.engine.slack + TICK
        self.clock.advance(seconds)
        self.look()

    def given_back(self, by: int, *queues: str) -> None:
        """Something was given back or taken out: the other one's listing may be behind."""
        if self.engine.lists_ahead:
            self.behind |= {(1 - by, queue) for queue in queues}

    def look(self) -> None:
        """What has happened by now is noticed by those who come by, the first store object first."""
        for queue in QUEUES:
            for store in (self.model, *self.stores):
                store.wait((queue,), 0)
        running = {entry.job.id for entry in self.model.browse(Query(states=frozenset({State.RUNNING}), limit=None))}
        for job_id in self.runs.keys() - running:
            self.given_back(0, self.runs[job_id].job.queue)
            self.spent.append(self.runs.pop(job_id))

    # -- all that is there

    def compare(self) -> None:
        now = self.clock.now()
        ours = [entry for entry in self.model.browse(ALL) if wanted(entry, now)]
        self.suspects |= {entry.job.queue for entry in ours if entry.deaths}
        for store in self.stores:
            whole = store.browse(ALL)
            theirs = [entry for entry in whole if wanted(entry, now)]
            longest = {job_id: run.together[0] for job_id, run in self.runs.items()} if self.engine.shared_leases else {}
            for job_id, end in entries_alike(ours, theirs, longest).items():
                self.model.extend([self.runs[job_id].model], end - now)
            for queue in QUEUES:
                for state in (State.READY, State.DELAYED):
                    waiting = [entry for entry in theirs if entry.job.queue == queue and entry.state is state]
                    assert ordered(waiting, self.engine), f"{queue} is listed out of order: {[turn(entry) for entry in waiting]}"
                counts, plain = store.counts([queue])[queue], tally(entry for entry in whole if entry.job.queue == queue)
                switches = self.model.counts([queue])[queue]
                plain.put_stopped, plain.claim_stopped = switches.put_stopped, switches.claim_stopped
                plain.limits = switches.limits
                assert counts == plain, f"counts says {counts}, browse {plain}"
            assert store.queues() == self.model.queues()
            assert store.notes.notes("") == self.model.notes.notes("")

    def teardown(self) -> None:
        """In the end everything can be drained, and nothing is left behind."""
        with closing(self.engine), closing(self.model):
            try:
                self.drain(self.stores[0])
            finally:
                for store in self.stores:
                    store.close()
            left = self.engine.leftovers()
            assert not left, f"left behind: {left}"

    def drain(self, store: Store) -> None:
        store.pause(QUEUES, put=False, claim=False)
        if self.has(Feature.LIMITS):
            store.limit(QUEUES, ANY)
        self.let_pass(400.0)
        store.requeue(replace(ALL, states=frozenset({State.DEAD, State.DELAYED})))
        while lent := store.claim(QUEUES, 5, 30.0, self.holder(0)):
            assert store.ack([Ack(one.receipt, keep=0.0) for one in lent]) == [True] * len(lent)
        store.delete(ALL)
        self.clock.advance(20.0)
        self.look()
        assert [counts for counts in store.counts().values() if tally([]) != counts] == []
