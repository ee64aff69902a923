"""Carrying between any two engines: all of it, once, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engines import ENGINES, engines, pairs, place
from ropeway.carry import ORDER, complaint, copy, jobs_of, same
from ropeway.clock import SYSTEM, Clock
from ropeway.errors import BadValue, Conflict, Unsupported
from ropeway.ids import IdMaker
from ropeway.job import WAITING, Attempt, Job, State
from ropeway.store import Ack, Entry, Feature, Handback, Holder, Query, Store
from ropeway.stores import open_store
from ropeway.testing.clock import FakeClock

ALL = Query(limit=None)
HOLDER = Holder("host:1:carry")
BIG = os.urandom(70_000)  # beside its job in a directory, inline elsewhere


@pytest.fixture
def clock() -> FakeClock:
    """The time of engines that take it from us; the others are asked only for what does not hang on it."""
    return FakeClock(SYSTEM.now())


@pytest.fixture
def stores(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[tuple[Store, Store]]:
    """A full source and an empty target."""
    names = request.param
    with place(names[0], tmp_path) as one, place(names[1], tmp_path) as other:
        source, target = open_store(one, clock), open_store(other, clock)
        try:
            fill(source, clock)
            yield source, target
        finally:
            source.close()
            target.close()


every_pair = pytest.mark.parametrize("stores", [pytest.param(p.values, marks=p.marks) for p in pairs()], indirect=True)
each = pytest.mark.parametrize(
    "stores", [pytest.param(p.values, marks=p.marks) for p in pairs() if p.values[0] in ("dir", p.values[1])], indirect=True
)
within = pytest.mark.parametrize("stores", [("memory", "memory")], indirect=True)


def fill(store: Store, clock: Clock, count: int = 40) -> list[Entry]:
    """Jobs in every state but running, in three queues, with all that a job can have; two of the queues are switched off."""
    now = clock.now()
    new_id = IdMaker(lambda: int((now - 5000) * 1e9), os.urandom)
    entries = []
    for n in range(count):
        fields: dict[str, Any] = {
            "headers": {"n": str(n), "x": "ö"}, "priority": n % 7 * 10, "ttl": 9e6 * (n % 2), "keep": 50.0 * (n % 3), "task": "t" * (n % 2),
            "lane": "l" * (n % 3), "key": f"k{n}" if n % 5 == 0 else "", "once": n % 4 == 0, "content_type": "text/plain",
            "delay": n % 2 * 3.0,
        }  # fmt: skip
        job = Job(
            new_id(), ("a", "B", "_own")[n % 3], BIG if n == 11 else b"%d \xff" % n, created=now - 4000 + n, due=now - 3000 - n, **fields
        )
        state = (State.READY, State.DELAYED, State.DEAD, State.DONE)[n // 3 % 4]
        due = {State.READY: now - 3000 - n, State.DELAYED: now + 3000 + n, State.DEAD: now - 100 - n, State.DONE: now + 9000 + n}[state]
        told = n % 4
        history = [Attempt(i, now - 90 + i, now - 80 + i, "h:1:w", "failed", f"E: {i}", "T\n") for i in range(1, told + 1)]
        entry = Entry(job, state, due, told + n % 2, n % 3, history=history)
        if state is State.DONE and n % 2:
            entry.result, entry.result_type = b"\0 %d" % n, "x/y"
        entries.append(entry)
    assert store.bring(entries) == [True] * count
    store.pause(["a"], put=True, reason="moving, ä")
    store.pause(["B"], put=True, claim=True, reason="")
    store.pause(["B"], claim=True, reason="deploy")
    return entries


def seen(store: Store) -> list[dict[str, Any]]:
    """Everything that can be seen of the jobs, those that wait in their order; what has ended has an order of each engine's own."""
    rows: list[dict[str, Any]] = []
    for queue in store.queues():
        for entry in jobs_of(store, [queue]):
            job = entry.job
            row = {name: getattr(job, name) for name in job.__struct_fields__ if name not in ("body", "source", "size", "digest", "due")}
            row |= {"body": job.source.read() if job.source is not None else job.body, "created": round(job.created, 3)}
            row |= {name: getattr(entry, name) for name in ("state", "attempts", "deaths", "error", "history", "result", "result_type")}
            rows.append(row | {"due": round(entry.due, 3)})
    waiting = [row for row in rows if row["state"] in WAITING]
    return waiting + sorted((row for row in rows if row["state"] not in WAITING), key=lambda row: str(row["id"]))


def switches(store: Store) -> dict[str, tuple[str | None, str | None]]:
    return {name: (counts.put_stopped, counts.claim_stopped) for name, counts in store.counts().items()}


@every_pair
def test_all_of_it_is_there(stores: tuple[Store, Store]) -> None:
    source, target = stores
    before = seen(source)
    assert len(before) == 40
    carried = copy(source, target)
    assert [(one.queue, one.jobs, one.refused, one.running, one.missing) for one in carried] == [
        ("B", 13, 0, 0, 0), ("_own", 13, 0, 0, 0), ("a", 14, 0, 0, 0),
    ]  # fmt: skip
    assert complaint(carried) == ""
    assert seen(target) == before
    assert switches(target) == switches(source) == {"a": ("moving, ä", None), "B": ("", "deploy"), "_own": (None, None)}
    assert seen(source) == before, "the source was changed"


@each
def test_again_it_changes_nothing(stores: tuple[Store, Store], clock: FakeClock) -> None:
    """Not even what became of the jobs there since."""
    source, target = stores
    copy(source, target)
    lent = [one for _ in range(2) for one in target.claim(["a", "_own"], 1, 600.0, HOLDER)]
    assert len(lent) == 2
    target.bury([Handback(lent[0].receipt)])
    there = {entry.job.id: entry for entry in target.browse(ALL)}
    assert sum(one.jobs for one in copy(source, target)) == 40
    again = {entry.job.id: entry for entry in target.browse(ALL)}
    assert again.keys() == there.keys()
    assert [e.state for e in again.values()] == [e.state for e in there.values()]
    assert target.ack([Ack(lent[1].receipt)]) == [True]


@each
def test_they_are_claimed_in_the_same_order(stores: tuple[Store, Store]) -> None:
    source, target = stores
    copy(source, target, ["_own"])

    def order(store: Store) -> list[str]:
        ids = []
        while lent := store.claim(["_own"], 5, 600.0, HOLDER):
            ids += [one.job.id for one in lent]
        return ids

    assert target.queues() == ["_own"]
    there = order(target)
    assert there == order(source)
    assert there


@each
def test_what_runs_is_refused_or_waits(stores: tuple[Store, Store]) -> None:
    source, target = stores
    (lent,) = source.claim(["_own"], 1, 600.0, HOLDER)
    with pytest.raises(Conflict, match="_own"):
        copy(source, target)
    assert target.queues() == []
    copy(source, target, running=True)
    (entry,) = target.browse(Query(ids=(lent.job.id,)))
    assert (entry.state, entry.attempts, entry.deaths) == (State.READY, lent.attempt, lent.deaths)
    assert entry.due == pytest.approx(lent.job.due, abs=1e-3)
    assert source.ack([Ack(lent.receipt)]) == [True]


@within
def test_what_begins_to_run_meanwhile_is_left_out_and_said(stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = stores
    counts = type(source).counts

    def then_it_runs(self: Any, queues: Any = None) -> Any:
        found = counts(self, queues)
        if self is source:
            source.claim(["_own"], 1, 600.0, HOLDER)
        return found

    monkeypatch.setattr(type(source), "counts", then_it_runs)
    carried = copy(source, target, ["_own"])
    assert (carried[0].jobs, carried[0].running, carried[0].missing) == (12, 1, 0)
    assert "began to run" in complaint(carried)


def test_one_store_by_two_urls_is_one_store(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    one, other, third = (open_store(f"dir:{tmp_path}{path}") for path in ("/spool", "/link/spool", "/other"))
    assert same(one, one)
    assert same(one, other)
    assert not same(one, third)
    one.put([Job("0" * 31 + "1", "q")])
    with pytest.raises(BadValue, match="one store"):
        copy(one, other)
    assert one.notes.notes("") == {}


@pytest.mark.parametrize("name", engines())
def test_one_store_twice_is_one_store(tmp_path: Path, name: str) -> None:
    with place(name, tmp_path) as url:
        one, other = open_store(url), open_store(url)
        assert same(one, other)
        one.close()
        other.close()


@within
@pytest.mark.parametrize("feature", [Feature.PRIORITY, Feature.DELAY, Feature.KEYS, Feature.KEEP, Feature.HISTORY, Feature.SWITCHES])
def test_what_cannot_be_kept_is_named_before_anything_is_done(stores: tuple[Store, Store], feature: Feature) -> None:
    source, target = stores
    target.features = target.features - {feature}
    with pytest.raises(Unsupported, match="nothing was copied") as caught:
        copy(source, target)
    assert feature in str(caught.value) or "switches" in str(caught.value)
    assert target.queues() == []


def test_a_body_that_is_too_large_is_named_before_anything_is_done(tmp_path: Path) -> None:
    source, target = open_store(f"dir:{tmp_path}/a?durability=os"), open_store("memory:")
    jobs = [Job(f"{n:032x}", "q", b"x" * (2 << 20 if n == 3 else 9)) for n in range(5)]
    source.put(jobs)
    with pytest.raises(Unsupported, match=f"{3:032x}"):
        copy(source, target)
    assert target.queues() == []
    source.delete(Query(ids=(jobs[3].id,)))
    assert copy(source, target)[0].jobs == 4


@within
def test_keys_that_are_held_stay_out(stores: tuple[Store, Store]) -> None:
    source, target = stores
    target.put([Job("f" * 32, "a", b"mine", key="k0")])
    (carried,) = copy(source, target, ["a"])
    assert (carried.jobs, carried.refused, len(carried.ids), carried.missing) == (13, 1, 1, 0)
    assert "hold their keys" in complaint([carried])
    assert carried.ids[0] in complaint([carried])
    assert target.browse(Query(ids=("f" * 32,)))[0].job.body == b"mine"


@within
def test_what_came_meanwhile_is_missed_and_said(stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = stores
    counts = type(source).counts

    def late(self: Any, queues: Any = None) -> Any:
        if self is target:
            source.bring([Entry(Job(f"{n:032x}", "a"), State.READY, 1.0) for n in range(2)])
        return counts(self, queues)

    monkeypatch.setattr(type(source), "counts", late)
    (carried,) = copy(source, target, ["a"])
    assert carried.missing == 2
    assert "not in the target" in complaint([carried])


def test_what_comes_due_meanwhile_is_not_missed(clock: FakeClock) -> None:
    store = open_store("memory:", clock)
    store.put([Job(f"{n:032x}", "q", delay=10.0 * (n % 2), priority=n % 3) for n in range(120)])
    met = []
    for count, entry in enumerate(jobs_of(store, ["q"])):
        met.append(entry.job.id)
        if count == 5:
            clock.advance(11)
    assert set(met) == {f"{n:032x}" for n in range(120)}
    assert ORDER.index(State.DELAYED) < ORDER.index(State.READY)


def test_pages_shrink_with_the_size_of_the_bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory stays the same however large the bodies and however many the jobs are."""
    store = open_store(f"dir:{tmp_path}/a?durability=os")
    store.put([Job(f"{n:032x}", "q", b"x" * 60_000) for n in range(300)])
    store.put([Job(f"{n:032x}", "r", b"x") for n in range(300, 2500)])
    limits: dict[tuple[str, ...], list[int]] = {}
    browse = type(store).browse

    def watched(self: Any, query: Query) -> list[Entry]:
        limits.setdefault(query.queues or (), []).append(query.limit or 0)
        return browse(self, query)

    monkeypatch.setattr(type(store), "browse", watched)
    assert len(list(jobs_of(store, ["q", "r"]))) == 2500
    assert max(limits["q",]) * 60_000 <= 4 << 20
    assert max(limits["r",]) == 1000


def test_a_body_that_goes_while_it_is_read_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job was done in the meantime; one whose body is lost is told."""
    source, target = open_store(f"dir:{tmp_path}/a?durability=os"), open_store(f"dir:{tmp_path}/b?durability=os")
    source.put([Job(f"{n:032x}", "q", BIG) for n in range(3)])
    bring = type(target).bring

    def racing(self: Any, entries: Sequence[Entry]) -> list[bool]:
        if self is target and entries[0].job.id.endswith("1"):
            source.delete(Query(ids=(entries[0].job.id,)))
        return bring(self, entries)

    with monkeypatch.context() as patch:
        patch.setattr(type(target), "bring", racing)
        (carried,) = copy(source, target)
    assert (carried.jobs, carried.missing) == (2, 0)
    (path,) = (e.job.source.path() for e in source.browse(Query(ids=(f"{2:032x}",))))
    os.unlink(path)
    target.delete(ALL)
    with pytest.raises(Exception, match="No such file"):
        copy(source, target)


def test_every_engine_is_in_the_list() -> None:
    from ropeway.stores import ENGINES as SCHEMES

    assert {"memory", "dir"} <= ENGINES.keys() <= SCHEMES.keys()
