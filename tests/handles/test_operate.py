"""The operator's verbs: each does what it says to those that fit, and nothing to the others."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway.errors import BadName, BadValue, Conflict, Stopped, Timeout
from ropeway.job import State
from ropeway.link import Link
from ropeway.options import Settings
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock

Mails = Queue[Any]


@pytest.fixture
def full(mails: Mails) -> Mails:
    """Two ready, one delayed, one running, two dead of SMTP and of DNS, one done."""
    for n in range(4):
        mails.put({"n": n}, keep=3600)
    claims = [mails.claim() or pytest.fail("no claim") for _ in range(4)]
    claims[0].bury("SMTP 451")
    claims[1].bury("DNS")
    claims[2].ack("well")
    mails.put({"n": 5})
    mails.put({"n": 6}, task="welcome")
    mails.put({"n": 7}, delay="1h")
    return mails


def numbers(queue: Mails, **which: Any) -> list[int]:
    return sorted(int(entry.job.body[5:-1]) for entry in queue.browse(**which))


def test_counting(full: Mails) -> None:
    counts = full.counts()
    assert (counts.ready, counts.delayed, counts.running, counts.dead, counts.done) == (2, 1, 1, 2, 1)
    assert len(full) == 3
    assert full
    empty: Mails = Queue(full._link, "nobody")
    assert (len(empty), bool(empty), empty.counts().ready) == (0, True, 0)


def test_looking(full: Mails) -> None:
    assert numbers(full) == [0, 1, 2, 3, 5, 6, 7]
    assert numbers(full, state="dead") == [0, 1]
    assert numbers(full, state=["dead", State.DONE]) == [0, 1, 2]
    assert numbers(full, state="dead", error="SMTP 4") == [0]
    assert numbers(full, task="welcome") == [6]
    assert numbers(full, text='"n":7') == [7]
    assert numbers(full, ids=[]) == []
    first = full.browse(limit=3)
    rest = full.browse(limit=None, after=first[-1].cursor)
    assert len({entry.job.id for entry in first + rest}) == 7
    with pytest.raises(BadValue, match="ready delayed running dead done"):
        full.browse(state="asleep")
    with pytest.raises(TypeError, match="stat"):
        full.browse(stat="dead")  # type: ignore[call-arg]
    with pytest.raises(BadName):
        full.browse(ids=["5"])


def test_requeue(full: Mails) -> None:
    assert full.requeue(error="SMTP") == 1
    assert numbers(full, state="ready") == [0, 5, 6]
    assert full.requeue() == 1
    assert numbers(full, state="dead") == []
    claim = full.pick(full.browse(text='"n":0')[0].job.id)
    assert claim is not None
    assert claim.attempt == 1


def test_delete_wants_to_know_which(full: Mails) -> None:
    with pytest.raises(BadValue, match="purge"):
        full.delete()
    with pytest.raises(BadValue):
        full.delete(state=None, error="")
    assert full.delete(state="dead") == 2
    [running] = full.browse(state="running")
    assert full.delete(ids=[running.job.id]) == 0
    assert numbers(full) == [2, 3, 5, 6, 7]


def test_delete_is_not_limited_to_a_page(mails: Mails) -> None:
    mails.put_many(range(250))
    assert mails.delete(state="ready") == 250


def test_purge_leaves_what_runs(full: Mails) -> None:
    assert full.purge() == 6
    assert numbers(full) == [3]


def test_the_two_switches(mails: Mails) -> None:
    mails.put(1)
    mails.pause(reason="deploy")  # handing out, when nothing else is said
    assert mails.counts().claim_stopped == "deploy"
    mails.put(2)
    with pytest.raises(Stopped):
        mails.claim()
    mails.pause(put=True, claim=False, reason="full")
    assert mails.claim() is not None
    with pytest.raises(Stopped, match="full"):
        mails.put(3)
    mails.pause(claim=True)
    mails.resume(put=True)
    mails.put(3)
    assert mails.counts().claim_stopped is not None
    mails.resume()
    assert (mails.counts().put_stopped, mails.counts().claim_stopped) == (None, None)


def test_picking_one(mails: Mails) -> None:
    handles = mails.put_many(range(3))
    later = mails.put(9, delay="1h")
    claim = mails.pick(handles[2].id)
    assert claim is not None
    assert claim.data == 2
    assert mails.pick(handles[2].id) is None
    assert (mails.pick(later.id) or pytest.fail("not picked")).data == 9
    assert mails.pick("0" * 32) is None


def test_top_is_the_next_one_out(mails: Mails) -> None:
    handles = mails.put_many(range(5), priority=20)
    assert mails.top(handles[3].id)
    assert not mails.top("0" * 32)
    order = [claim.data for claim in mails.claims(idle=0)]
    assert order == [3, 0, 1, 2, 4]


def test_top_hurries_a_delayed_one(mails: Mails) -> None:
    mails.put("a")
    later = mails.put("b", delay="1h")
    assert mails.top(later.id)
    claim = mails.claim()
    assert claim is not None
    assert (claim.data, claim.attempt) == ("b", 1)


def test_moving(link: Link, mails: Mails, clock: FakeClock) -> None:
    other: Mails = Queue(link, "other")
    ready = mails.put({"n": 1}, key="k", headers={"a": "b"}, priority=7, ttl="1d")
    delayed = mails.put({"n": 2}, delay=100)
    mails.put({"n": 3}, priority=1)
    running = mails.claim(lease=600)
    assert running is not None
    mails.put({"n": 4}, priority=1)
    (mails.claim() or pytest.fail("no claim")).bury("dead")
    dead = mails.browse(state="dead")[0].job
    clock.advance(40)
    moved = mails.move([ready.id, delayed.id, running.id, dead.id, "0" * 32], "other")
    assert len(moved) == 3
    assert numbers(mails) == [3]
    assert numbers(other, state="ready") == [1, 4]
    assert numbers(other, state="delayed") == [2]
    [one] = other.browse(text='"n":1')
    assert (one.job.key, one.job.headers, one.job.priority, one.attempts) == ("k", {"a": "b"}, 7, 0)
    assert other.browse(state="delayed")[0].due == pytest.approx(clock.now() + 60, abs=0.01)
    running.ack()


def test_what_was_tried_before_goes_with_a_moved_job(link: Link, mails: Mails, clock: FakeClock) -> None:
    """Its attempts count on, and what went wrong stays to be read; a dead one begins anew, but tells why it died. Its lifetime goes on."""
    other: Mails = Queue(link, "other")
    retried = mails.put({"n": 1}, ttl=500)
    (mails.claim() or pytest.fail("no claim")).nack(delay=50, error="smtp busy")
    dead = mails.put({"n": 2}, ttl=500)
    (mails.claim() or pytest.fail("no claim")).bury("bad address")
    before = {entry.job.id: entry for entry in mails.browse()}
    clock.advance(60)
    one, two = mails.move([retried.id], "other") + mails.move([dead.id], "other")
    after = {entry.job.id: entry for entry in other.browse()}
    assert (after[one.id].attempts, after[one.id].history) == (1, before[retried.id].history)
    assert after[one.id].due == pytest.approx(before[retried.id].due, abs=1e-3)
    assert (after[one.id].job.created, after[one.id].job.ttl) == (before[retried.id].job.created, 500)
    assert (after[two.id].state, after[two.id].attempts, after[two.id].error) == (State.READY, 0, before[dead.id].error)
    assert after[two.id].job.ttl == 0
    clock.advance(400)
    assert [(claim.id, claim.attempt) for claim in other.claims(idle=0)] == [(one.id, 2), (two.id, 1)]


def test_moving_a_streamed_body(link: Link, mails: Mails) -> None:
    data = b"x" * 200_000
    handle = mails.put_file(data)
    [moved] = mails.move([handle.id], "other")
    claim = Queue[Any](link, "other").claim()
    assert claim is not None
    assert (claim.id, claim.body) == (moved.id, data)
    assert mails.browse() == []


def test_a_key_that_is_taken_there_stays_here(link: Link, mails: Mails) -> None:
    other: Mails = Queue(link, "other")
    other.put(0, key="k")
    a, b = mails.put({"n": 1}, key="k"), mails.put({"n": 2})
    with pytest.raises(Conflict, match="1 of 2"):
        mails.move([a.id, b.id], "other")
    assert numbers(mails) == [1]
    assert [(e.state, e.attempts) for e in mails.browse()] == [(State.READY, 0)]
    with pytest.raises(BadValue):
        mails.move([a.id], "mails")


def test_a_move_that_is_refused_puts_everything_back(link: Link, mails: Mails) -> None:
    Queue[Any](link, "other").pause(put=True, reason="full")
    handle, later = mails.put(1), mails.put(2, delay="1h")
    with pytest.raises(Stopped, match="full"):
        mails.move([handle.id, later.id], "other")
    assert [(e.state, e.attempts) for e in mails.browse()] == [(State.READY, 0), (State.DELAYED, 0)]


def test_join_waits_until_all_is_done(mails: Mails, clock: FakeClock) -> None:
    mails.join(0)
    mails.put(1, delay=5)
    before = clock.boot()
    with pytest.raises(Timeout, match="0 ready, 1 delayed, 0 running"):
        mails.join("3s")
    assert clock.boot() - before == pytest.approx(3, abs=0.1)
    (mails.claim(timeout=10) or pytest.fail("no claim")).bury()
    mails.join(0)  # what is dead is not waited for


def test_dead_jobs_leave_by_the_queues_own_time(link: Link, clock: FakeClock) -> None:
    queue: Mails = Queue(link, "short", settings=Settings(dead_keep=100.0))
    queue.put(1)
    (queue.claim() or pytest.fail("no claim")).bury("old")
    clock.advance(61)
    queue.put(2)
    (queue.claim() or pytest.fail("no claim")).bury("young")
    assert queue.counts().dead == 2
    clock.advance(61)
    assert queue.claim() is None
    assert [entry.error for entry in queue.browse()] == ["young"]
    assert queue.tidy(0) == 1
