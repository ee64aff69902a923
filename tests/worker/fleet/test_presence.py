"""Presence: what a worker tells, when, and what that costs; who is struck off the list, and when."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable

import pytest

from ropeway import living
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock
from ropeway.worker.fleet import meter, notice, workers
from ropeway.worker.fleet.members import ever
from ropeway.worker.fleet.presence import BUSY, IDLE, LIFETIME, SLACK

from ..fakes import Faulty, faulty_link
from .conftest import Manned


def fill(link: Link, count: int) -> list[str]:
    return [Queue(link, "q").put(b"x").id for _ in range(count)]


def test_the_note_says_who_and_what(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    one = manned("critical", "*", "!low", slots=3, supervisor=77)
    seen = one.member.seen
    assert (seen.id, seen.pid, seen.host) == (one.post.id, os.getpid(), os.uname().nodename.replace(".", "."))
    assert (seen.pool, seen.slots, seen.state, seen.patterns) == ("thread", 3, "idle", ["critical", "*", "!low"])
    assert (seen.supervisor, seen.started, seen.at) == (77, clock.now(), clock.now())
    assert seen.memory > 1 << 20
    assert seen.cpu > 0
    assert notice.unpack("worker/" + seen.id, notice.pack(seen)) == seen


def test_jobs_that_take_long_are_named_and_totals_and_shares_are_right(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    one = manned(slots=2)
    (job,) = fill(link, 1)
    began = clock.now()
    one.go(1)
    clock.advance(5.5)
    one.go(2)
    seen = one.member.seen
    assert [(now.id, now.queue, pytest.approx(now.since, abs=0.1)) for now in seen.jobs] == [(job, "q", began)]
    assert (seen.running, seen.held, seen.state, seen.idle) == (1, 1, "busy", 0)
    assert seen.utilisation == pytest.approx(0.5, abs=0.05), "one of two slots, all the time"
    one.pool.finish()
    one.go(30)
    seen = one.member.seen
    assert (seen.running, seen.jobs, seen.state) == (0, [], "idle")
    assert (seen.totals["done"], seen.totals["ran"]) == (1, 1)
    assert 0 < seen.idle < clock.now() - began
    assert 0 < seen.utilisation < 0.5
    assert seen.claimed == pytest.approx(began, abs=1)
    assert seen.answered is not None
    assert seen.answered >= seen.claimed  # type: ignore[operator]


def counted(clock: FakeClock) -> tuple[Link, Faulty]:
    return faulty_link("memory:", clock)


def notes(faulty: Faulty) -> list[float]:
    """When notes are written from now on."""
    written: list[float] = []
    inner = faulty.inner.notes.note

    def note(key: str, value: bytes, lifetime: float) -> None:
        if key.startswith("worker/"):
            written.append(lifetime)
        inner(key, value, lifetime)

    faulty.inner.notes.note = note  # type: ignore[method-assign]
    return written


def test_an_idle_worker_costs_next_to_nothing(clock: FakeClock) -> None:
    """A hundred of them stay under five statements a second, with what their waiting costs (about two): a note is at most four statements,
    and with each the switch of the whole store is read."""
    link, faulty = counted(clock)
    one = Manned(link)
    one.go(10)
    written, start = notes(faulty), clock.boot()
    while clock.boot() - start < 7200:
        clock.advance(1.0)
        one.post.beat()
    assert len(written) == pytest.approx(7200 / IDLE, abs=1)
    statements = 100 * (len(written) * 4 + len(written)) / 7200
    assert statements < 3.5
    assert set(written) == {LIFETIME * IDLE + SLACK}


def test_a_busy_worker_writes_each_twenty_seconds_however_many_jobs_it_runs(clock: FakeClock) -> None:
    link, faulty = counted(clock)
    one = Manned(link)
    written, start = notes(faulty), clock.boot()
    while clock.boot() - start < 600:
        fill(link, 1)
        while not one.pool.started:
            one.ferry.lap(1.0)
        clock.advance(0.2)
        one.pool.finish()
        one.go(1)
    assert len(written) == pytest.approx(600 / BUSY, abs=3)


def test_a_worker_whose_store_fails_goes_on_and_tells_later(clock: FakeClock) -> None:
    link, faulty = counted(clock)
    one = Manned(link)
    from ropeway.errors import StoreError

    def fail(*_: object) -> None:
        raise StoreError("gone")

    inner, faulty.inner.notes.note = faulty.inner.notes.note, fail  # type: ignore[method-assign, assignment]
    clock.advance(IDLE + 1)
    one.post.beat()
    faulty.inner.notes.note = inner  # type: ignore[method-assign]
    before = one.member.seen.at
    clock.advance(11)
    one.post.beat()
    assert one.member.seen.at > before


def test_one_that_falls_silent_leaves_the_list_when_its_note_ends(link: Link, clock: FakeClock, manned: Callable[..., Manned]) -> None:
    """As if on another host: nobody can see its process."""
    one = manned()
    clock.advance(LIFETIME * IDLE)
    assert [member.id for member in workers(link)] == [one.post.id]
    clock.advance(SLACK + 1)
    assert workers(link) == []


def test_a_dead_one_of_this_host_is_struck_off_by_whoever_looks(link: Link, manned: Callable[..., Manned]) -> None:
    one = manned()
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead = one.member.seen
    world, space, *_ = living.identity().split(".")
    dead.id, dead.who = "host-1-abcdef", f"{world}.{space}.{gone.pid}.1"
    link.store.notes.note("worker/" + dead.id, notice.pack(dead), 1000)
    assert [member.id for member in workers(link)] == [one.post.id]
    assert list(link.store.notes.notes("worker/")) == ["worker/" + one.post.id]


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"\xff", b'{"id": 1}', b"[" * 10_000, b'{"id": "x", "host": "h", "pid": 1, "who": "", "started": 0, "at": 0}'],
    ids=range(7),
)
def test_notes_that_are_none_are_passed_over(link: Link, value: bytes) -> None:
    link.store.notes.note("worker/other", value, 100)
    assert workers(link) == []


def test_how_many_there_ever_were(link: Link, manned: Callable[..., Manned]) -> None:
    assert ever(link.store) == 0
    for _ in range(3):
        manned().post.leave()
    assert ever(link.store) == 3
    link.store.notes.note("fleet/ever", b"many", 100)
    assert ever(link.store) == 0


def test_ids_are_names_and_never_the_same() -> None:
    ids = {notice.new_id() for _ in range(100)}
    assert len(ids) == 100
    for one in ids:
        assert len(one) <= 64
        json.dumps(one)
        from ropeway.demands import check_note_key
        from ropeway.names import check_name

        check_note_key("worker/" + one)
        check_name("_orders." + one)


def test_one_that_outgrows_its_memory_ends_when_its_jobs_have(
    link: Link, manned: Callable[..., Manned], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "memory", lambda: 1000)
    one = manned(slots=1, max_memory=1000)
    fill(link, 2)
    one.go(1)
    assert not one.post.outgrown
    monkeypatch.setattr(meter, "memory", lambda: 1001)
    one.go(1)
    assert one.post.outgrown
    assert not one.ferry.finished
    one.pool.finish()
    one.go()
    assert one.ferry.finished
    assert link.store.counts(("q",))["q"].ready == 1
