"""The machine: many little stories, each told to the memory engine (the model) and to the engine under test.

Claims are made by the engine and judged by the model: what the engine hands out must be exactly what stands first in the model, and is then
taken there by id. So both always stand alike, and the first difference is the bug.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from msgspec.structs import replace

from ...errors import Stopped
from ...job import State
from ...store import ANY, Ack, Feature, Handback, Query, Store
from .acts import ACTS, act
from .compare import as_good, enough, expected, wanted
from .places import left, lendable, limits_of
from .shaping import Shaping
from .sides import ALL, TICK
from .world import (
    ASKED,
    BATCH,
    DELAYS,
    LEASE,
    MOSTLY,
    NOTE,
    PASSING,
    PASTS,
    QUERIES,
    QUEUES,
    SELDOM,
    SEVERAL,
    STORE,
    SWITCH,
    WISHES,
    Past,
    Wish,
    often,
)


class BrokenOff(Exception):
    """What ends a commit before its time."""


BUSY = (
    *(
        "put",
        "put",
        "bring",
        "put_again",
        "claim",
        "claim_what_is_there",
        "claim_what_is_there",
        "claim_what_is_there",
        "go_round",
        "go_round",
        "pick",
    ),
    *("ack", "ack", "nack", "nack", "bury", "settle_late", "settle_late", "settle_late", "extend", "commit", "commit"),
    *("operate", "operate", "browse", "hurry", "pause", "limit", "edit", "drop", "time_passes", "time_passes", "wait", "wait", "restart"),
)


ENDED = frozenset({State.DEAD, State.DONE, State.DELAYED})


class StoreMachine(Shaping):
    """Subclass it with `make`, a factory of fresh places of your engine, and run its TestCase."""

    @initialize(wishes=WISHES, more=WISHES)
    def both_queues_are_there(self, wishes: list[Wish], more: list[Wish]) -> None:
        """And some jobs, since a life without any tells nothing."""
        for store in (self.model, self.stores[0]):
            store.pause(QUEUES)
        self.put(which=0, wishes=wishes)
        self.put(which=1, wishes=more)

    @invariant()
    def all_stands_alike(self) -> None:
        self.let_pass(TICK)
        self.compare()

    @rule(data=st.data())
    def morning(self, data: st.DataObject) -> None:
        """A few acts of any kind: of the rules, each life is given only some, but few lives have neither morning nor evening."""
        for _ in range(data.draw(st.integers(2, 5))):
            name = data.draw(st.sampled_from(BUSY))
            getattr(self, name)(**{argument: data.draw(choices) for argument, choices in ACTS[name].items()})
            self.all_stands_alike()

    @rule(data=st.data())
    def evening(self, data: st.DataObject) -> None:
        self.morning(data=data)

    # -- jobs come in

    @act(which=STORE, wishes=WISHES | BATCH)
    def put(self, which: int, wishes: list[Wish]) -> None:
        self.drop_expired(which)
        pairs = [self.new(wish) for wish in wishes]
        if len(pairs) == 1:
            self.alone.add(pairs[0][0].id)
        self.agree(lambda: self.model.put([p[0] for p in pairs]), lambda: self.stores[which].put([p[1] for p in pairs]))
        for one, two in pairs:
            assert abs(one.due - two.due) < 1e-5, "due is filled in, unless the job was refused"

    @act(which=STORE, wishes=WISHES | BATCH, pasts=PASTS, again=SEVERAL)
    def bring(self, which: int, wishes: list[Wish], pasts: list[Past], again: list[int]) -> None:
        """Jobs from elsewhere, each with a past, and now and then some that are, or were, here."""
        self.drop_expired(which)
        pairs = [self.new(wish) for wish in wishes] + [self.twins[-1 - n % len(self.twins)] for n in again if n % 2 and self.twins]
        brought = [tuple(self.brought(job, pasts[n % len(pasts)]) for job in pair) for n, pair in enumerate(pairs)]
        self.given_back(which, *QUEUES)
        self.agree(lambda: self.model.bring([b[0] for b in brought]), lambda: self.stores[which].bring([b[1] for b in brought]))

    @precondition(lambda self: self.twins)
    @act(which=STORE, several=SEVERAL, elsewhere=SELDOM)
    def put_again(self, which: int, several: list[int], elsewhere: bool) -> None:
        """The outcome of a put was unknown: the same again, whatever has become of it; from another process only the ids are the same."""
        self.drop_expired(which)
        once = [pair for pair in self.twins if pair[0].once]
        if elsewhere and once:
            ours, theirs = (replace(job, created=0.0, due=0.0) for job in once[-1 - several[0] % len(once)])
            self.agree(lambda: self.model.put([ours]), lambda: self.stores[which].put([theirs]))
            return
        here = {entry.job.id for entry in self.model.browse(ALL)} | self.alone
        known = {pair[0].key or pair[0].id: pair for pair in (self.twins[-1 - number % len(self.twins)] for number in several)}
        pairs = [pair for pair in known.values() if pair[0].id in here]
        self.agree(lambda: self.model.put([p[0] for p in pairs]), lambda: self.stores[which].put([p[1] for p in pairs]))

    # -- jobs go out

    @precondition(lambda self: any(self.ready(queue) for queue in QUEUES))
    @act(which=STORE, limit=st.integers(1, 5), lease=LEASE)
    def claim_what_is_there(self, which: int, limit: int, lease: float) -> None:
        """Most verbs need something that is lent out."""
        self.claim(which=which, queues=("a", "B"), limit=limit, lease=lease, bound=True)

    @act(which=STORE, queues=ASKED, limit=st.integers(1, 5), lease=LEASE, bound=MOSTLY)
    def claim(self, which: int, queues: tuple[str, ...], limit: int, lease: float, bound: bool) -> None:
        if any((entry.deaths or entry.job.lane) and not wanted(entry, self.clock.now()) for entry in self.stores[which].browse(ALL)):
            self.drop_expired(which)  # a suspect past its ttl may still end a claim, and one with a lane hold it
        holder = self.holder(which, bound)
        stopped = all(self.model.counts([queue])[queue].claim_stopped is not None for queue in queues)
        try:
            lent = self.stores[which].claim(queues, limit, lease, holder)
            assert not stopped, "handed out though switched off"
        except Stopped:
            assert stopped, "refused though it is not switched off"
            return
        ids = [one.job.id for one in lent]
        behind = any((which, queue) in self.behind for queue in queues)
        ready = [entry for queue in queues for entry in self.to_be_had(queue, ids, behind)]
        if behind:
            limited = any(limits_of(self.model, queue).running for queue in queues)
            open_ones = [queue for queue in queues if left(self.model, queue) > 0]
            loose = [entry for queue in open_ones for entry in self.to_be_had(queue, ids, behind, bounded=False)]
            assert not limited or all(sum(one.job.queue == queue for one in lent) <= left(self.model, queue) for queue in queues)
            assert enough(lent, loose if limited else ready, limit, self.engine, limited or bool(self.suspects & {*queues})), (
                f"handed out {ids} of {[entry.job.id for entry in ready]}"
            )
            if len(lent) < limit and not any(one.deaths for one in lent):
                self.behind -= {(which, queue) for queue in queues}
        else:
            first = expected(ready, limit, self.engine)
            assert ids == first or as_good(ids, first, ready, self.engine), f"handed out {ids}, the first are {first}"
        self.given_back(which, *{one.job.queue for one in lent})
        self.lend(zip(self.take(ids, lease, holder), lent, strict=True), which, bound, lease)

    @precondition(lambda self: any(self.ready(queue) for queue in QUEUES))
    @act(which=STORE, limit=st.integers(1, 5), delays=DELAYS, verb=st.sampled_from(["nack", "nack", "ack", "bury", "bury"]))
    def go_round(self, which: int, limit: int, delays: list[float], verb: str) -> None:
        """As most jobs go: claimed, and settled by the same one; so that they come to have a past."""
        self.claim(which=which, queues=("a", "B"), limit=limit, lease=30.0, bound=True)
        several = list(range(len(self.runs)))[:limit]
        if not several:
            return
        if verb == "nack":
            self.nack(which=which, several=several, delays=delays, restore=False, priority=None)
        elif verb == "ack":
            self.ack(which=which, several=several, result=b"42", keep=None)
        else:
            self.bury(which=which, several=several, restore=False)

    @precondition(lambda self: self.twins)
    @act(which=STORE, queue=st.sampled_from(QUEUES), several=SEVERAL, lease=LEASE)
    def pick(self, which: int, queue: str, several: list[int], lease: float) -> None:
        self.drop_expired(which)
        ids, holder = self.pickable(self.ids(several)), self.holder(which)
        answers = self.both(lambda: self.model.pick(queue, ids, lease, holder), lambda: self.stores[which].pick(queue, ids, lease, holder))
        assert answers is not None
        self.given_back(which, queue)
        assert [one is None for one in answers[1]] == [one is None for one in answers[0]]
        for ours, theirs in zip(*answers, strict=True):
            if ours is not None and theirs is not None:
                self.lend([(ours, theirs)], which, bound=True, lease=lease)

    # -- and are settled

    @precondition(lambda self: self.runs)
    @act(which=STORE, several=SEVERAL, result=st.sampled_from([None, b"", b"42"]), keep=st.sampled_from([None, None, 0.0, 15.0, 60.0]))
    def ack(self, which: int, several: list[int], result: bytes | None, keep: float | None) -> None:
        runs = self.known_runs(several)
        kind = "text/plain" if result is not None else ""
        answers = self.agree(
            lambda: self.model.ack([Ack(run.model, result, kind, keep) for run in runs]),
            lambda: self.stores[which].ack([Ack(run.engine, result, kind, keep) for run in runs]),
        )
        self.settled(runs, answers)

    @precondition(lambda self: self.runs)
    @act(which=STORE, several=SEVERAL, delays=DELAYS, restore=SELDOM, priority=often(None, 10, 50))
    def nack(self, which: int, several: list[int], delays: list[float], restore: bool, priority: int | None) -> None:
        runs = self.known_runs(several)
        ours, theirs = self.handbacks(runs, delays, restore=restore, priority=priority)
        self.given_back(which, *{run.job.queue for run in runs})
        self.settled(runs, self.agree(lambda: self.model.nack(ours), lambda: self.stores[which].nack(theirs)))

    @precondition(lambda self: self.runs)
    @act(which=STORE, several=SEVERAL, restore=SELDOM)
    def bury(self, which: int, several: list[int], restore: bool) -> None:
        runs = self.known_runs(several)
        ours, theirs = self.handbacks(runs, [0.0], restore=restore)
        self.settled(runs, self.agree(lambda: self.model.bury(ours), lambda: self.stores[which].bury(theirs)))

    @precondition(lambda self: self.late())
    @act(which=STORE, several=SEVERAL, verb=st.sampled_from(["ack", "ack", "nack", "bury", "extend"]))
    def settle_late(self, which: int, several: list[int], verb: str) -> None:
        """By receipts that are void, of jobs that wait again or run for somebody else: nothing may come of it."""
        late = self.late()
        if not late:
            return
        if several[0] % 2:  # by then somebody else runs what is ready
            self.claim(which=which, queues=("a", "B"), limit=5, lease=30.0, bound=True)
            late = self.late() or late
        receipts = [late[number % len(late)].engine for number in several]
        store = self.stores[which]
        call: dict[str, Callable[[], list[bool]]] = {
            "ack": lambda: store.ack([Ack(receipt) for receipt in receipts]),
            "nack": lambda: store.nack([Handback(receipt) for receipt in receipts]),
            "bury": lambda: store.bury([Handback(receipt) for receipt in receipts]),
            "extend": lambda: store.extend(receipts, 30.0),
        }
        assert call[verb]() == [False] * len(receipts), f"a receipt that is void was good for {verb}"

    @precondition(lambda self: self.runs)
    @act(which=STORE, several=SEVERAL, lease=LEASE)
    def extend(self, which: int, several: list[int], lease: float) -> None:
        runs = self.known_runs(several)
        store = self.stores[which]
        answers = self.agree(
            lambda: self.model.extend([r.model for r in runs], lease), lambda: store.extend([r.engine for r in runs], lease)
        )
        for run, done in zip(runs, answers or (), strict=answers is not None):
            if done:
                run.together[0] = max(run.together[0], self.clock.now() + lease)

    @act(which=STORE, wishes=WISHES, several=SEVERAL, how=often("well", "wrong", "broken"))
    def commit(self, which: int, wishes: list[Wish], several: list[int], how: str) -> None:
        """Puts and acks that become safe together; the wrong order is refused; what is broken off was nothing, where that is promised."""
        if how == "broken" and Feature.ATOMIC not in self.stores[which].features:
            return
        self.drop_expired(which)
        runs, pairs = self.known_runs(several), [self.new(wish) for wish in wishes]

        def verbs(store: Store, side: int) -> tuple[list[bool], list[bool]] | None:
            with suppress(BrokenOff), store.commit():
                if how == "wrong":
                    store.ack([])
                put = store.put([pair[side] for pair in pairs])
                acked = store.ack([Ack(run.engine if side else run.model) for run in runs])
                if how == "broken":
                    raise BrokenOff
                return put, acked
            return None

        answers = self.agree(lambda: verbs(self.model, 0), lambda: verbs(self.stores[which], 1))
        assert answers is None or how == "well"
        if answers is not None:
            self.settled(runs, answers[1])
        elif how == "broken":
            del self.twins[-len(pairs) :]  # nobody ever put them

    # -- the operator

    @act(
        which=STORE,
        verb=st.sampled_from(["delete", "requeue"]),
        kind=QUERIES,
        several=SEVERAL,
        state=st.sampled_from(list(State)),
        queue=st.sampled_from(QUEUES),
    )
    def operate(self, which: int, verb: str, kind: str, several: list[int], state: State, queue: str) -> None:
        store = self.stores[which]
        self.drop_expired(which)
        query = self.query(kind, several, state, queue)
        self.given_back(which, *QUEUES)
        if verb == "delete":
            self.agree(lambda: self.model.delete(query), lambda: store.delete(query))
        else:
            if kind in ("all", "queue", "ids"):
                query = replace(query, states=ENDED if state is State.READY else None)
            self.agree(lambda: self.model.requeue(query), lambda: store.requeue(query))

    @act(which=STORE, queue=st.sampled_from(QUEUES))
    def hurry(self, which: int, queue: str) -> None:
        """What is delayed becomes ready now, and keeps its past."""
        self.drop_expired(which)
        query = Query(queues=(queue,), states=frozenset({State.DELAYED}), limit=None)
        self.given_back(which, queue)
        self.agree(lambda: self.model.requeue(query), lambda: self.stores[which].requeue(query))

    @act(which=STORE, kind=QUERIES, several=SEVERAL, state=st.sampled_from(list(State)), queue=st.sampled_from(QUEUES))
    def browse(self, which: int, kind: str, several: list[int], state: State, queue: str) -> None:
        """The same jobs for the same question; pages, put together, are the whole."""
        store = self.stores[which]
        self.drop_expired(which)
        query = self.query(kind, several, state, queue)
        found = [[entry.job.id for entry in side.browse(query)] for side in (self.model, store)]
        assert sorted(found[0]) == sorted(found[1]), f"browse finds {found[1]}, the model {found[0]}"
        if query.limit is None:
            paged: list[str] = []
            after = ""
            while page := store.browse(replace(query, limit=2, after=after)):
                paged += [entry.job.id for entry in page]
                after = page[-1].cursor
            assert paged == found[1], f"in pages it is {paged}, in one go {found[1]}"

    @act(which=STORE, queues=ASKED, put=SWITCH, claim=SWITCH)
    def pause(self, which: int, queues: tuple[str, ...], put: bool | None, claim: bool | None) -> None:
        for store in (self.model, self.stores[which]):
            store.pause(queues, put=put, claim=claim, reason="why")
        if claim:
            self.claim(which=which, queues=queues, limit=1, lease=30.0, bound=True)

    @act(which=STORE, key=NOTE, value=st.sampled_from([None, b"", b"x"]), lifetime=st.sampled_from([5.0, 50.0]))
    def note(self, which: int, key: str, value: bytes | None, lifetime: float) -> None:
        if value is not None:
            for store in (self.model, self.stores[which]):
                store.notes.note(key, value, lifetime)
        else:
            self.agree(lambda: self.model.notes.forget(key), lambda: self.stores[which].notes.forget(key))

    # -- time, lives and deaths

    @act(seconds=PASSING)
    def time_passes(self, seconds: float) -> None:
        self.let_pass(seconds)

    @act(which=STORE, queues=ASKED, timeout=st.sampled_from([0.0, 4.0, 80.0]))
    def wait(self, which: int, queues: tuple[str, ...], timeout: float) -> None:
        """Never asleep while something is due; awake within the slack when something becomes due."""
        begun = self.clock.now()
        ended = self.stores[which].wait(queues, timeout)
        now = self.clock.now()
        assert now <= begun + timeout + TICK
        due = [e for q in queues if limits_of(self.model, q) == ANY for e in lendable(self.model, q, self.ready(q))]
        late = [max(begun, e.due) for e in due if e.due < now - TICK and not e.deaths]
        if not ended:
            assert now >= begun + timeout - TICK, "it gave up before its time"
            assert not late, "it slept though something was due"
        elif late:
            assert now - min(late) <= self.engine.slack + TICK, "it woke too late"
        self.given_back(which, *queues)  # when a lease has ended meanwhile
        self.let_pass(TICK + -now % TICK)  # off the very moment, which engines round to microseconds

    def replace_store(self, which: int) -> None:
        self.generation[which] += 1
        self.stores[which] = self.engine.open(self.clock)
        self.behind -= {(which, queue) for queue in QUEUES}

    @act(which=STORE, killed=st.booleans())
    def restart(self, which: int, killed: bool) -> None:
        """Closed in good order, its claims stand, by their receipts, until their leases end. Killed: what is bound to it comes back, with
        a death; what is not bound stays lent."""
        if not killed:
            self.stores[which].close()
            self.replace_store(which)
        elif self.engine.die(self.stores[which], self.holder(which)):
            mine = [run for run in self.runs.values() if (run.owner, run.generation) == (which, self.generation[which])]
            self.model.extend([run.model for run in mine if run.bound], 1e-6)
            self.replace_store(which)
            self.let_pass(self.engine.slack)
