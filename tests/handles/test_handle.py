"""The producer's side: where a job stands, its result, its progress, and calling it back."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ropeway.calls.endings import endings
from ropeway.errors import BadBody, RemoteError, Timeout, Unsupported
from ropeway.handle import CANCEL, Handle
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock

Mails = Queue[Any]


def test_the_states_of_a_life(mails: Mails, clock: FakeClock) -> None:
    handle = mails.put(1, delay=5, keep=60)
    seen = [handle.state()]
    clock.advance(6)
    seen.append(handle.state())
    claim = mails.claim()
    assert claim is not None
    seen.append(handle.state())
    claim.ack()
    seen.append(handle.state())
    clock.advance(61)
    seen.append(handle.state())
    assert seen == [State.DELAYED, State.READY, State.RUNNING, State.DONE, None]


def test_a_result_is_what_the_ack_said(mails: Mails) -> None:
    for result in ({"ok": [1]}, "text", b"\x00bytes", 0, None):
        handle = mails.put(1, keep="1h")
        with mails.claim() or pytest.fail("no claim") as claim:
            claim.ack(result)
        assert handle.result(timeout=0) == result


def test_a_typed_result(link: Link, mails: Mails) -> None:
    handle = mails.put(1, keep=60)
    (mails.claim() or pytest.fail("no claim")).ack([1, 2])
    assert Handle[tuple[int, ...]](link, "mails", handle.id, into=tuple[int, ...]).result(0) == (1, 2)


def test_without_keep_it_says_which_option_to_add(mails: Mails, clock: FakeClock) -> None:
    handle = mails.put(1)
    before = clock.boot()
    with pytest.raises(Unsupported, match='keep="1h"'):
        handle.result()
    with pytest.raises(Unsupported):
        mails.handle(handle.id).result()  # one that has to look
    assert clock.boot() == before


def test_the_time_is_up(mails: Mails, clock: FakeClock) -> None:
    handle = mails.put(1, keep=60)
    before = clock.boot()
    with pytest.raises(Timeout, match="10s"):
        handle.result("10s")
    assert clock.boot() - before == pytest.approx(10, abs=0.1)
    with pytest.raises(TimeoutError):
        handle.wait(0)


def test_a_dead_job_raises_what_it_died_of(mails: Mails) -> None:
    handle = mails.put(1, keep=60)
    claim = mails.claim()
    assert claim is not None
    claim._settings = claim._settings.__class__(retry=claim._settings.retry.__class__(1))
    with pytest.raises(ZeroDivisionError), claim:
        1 / 0  # noqa: B018
    assert handle.wait() is State.DEAD
    with pytest.raises(RemoteError, match="division by zero") as caught:
        handle.result()
    assert caught.value.remote_type == "ZeroDivisionError"
    assert "1 / 0" in caught.value.traceback


def test_a_job_that_left_without_a_result(mails: Mails) -> None:
    handle = mails.put(1, keep=60)
    mails.purge()
    with pytest.raises(RemoteError, match="without a result") as caught:
        handle.result()
    assert caught.value.remote_type == "Gone"
    assert handle.wait() is None


def test_the_result_is_awaited_over_threads(link: Link) -> None:
    queue: Mails = Queue(link, "calls")
    link.clock.__dict__["_autojump"] = False  # this one really waits
    handle = queue.put(1, keep=60)
    got: list[object] = []
    waiter = threading.Thread(target=lambda: got.append(handle.result(1000)))
    waiter.start()
    link.clock.until_asleep()  # type: ignore[attr-defined]
    (queue.claim() or pytest.fail("no claim")).ack("late")
    link.clock.advance(1)  # type: ignore[attr-defined]
    waiter.join(60)
    assert got == ["late"]


def test_endings_come_as_they_end(link: Link, mails: Mails) -> None:
    handles = mails.put_many(range(5), keep=60)
    ids = [handle.id for handle in handles]
    claims = [mails.claim() or pytest.fail("no claim") for _ in ids]
    claims[3].ack("three")
    claims[1].bury("one")
    assert {job_id: entry and entry.state for job_id, entry in endings(link, "mails", ids, 0)} == {
        ids[3]: State.DONE,
        ids[1]: State.DEAD,
    }
    for claim in claims:
        if not claim._ended:
            claim.ack()
    assert len(list(endings(link, "mails", ids, 0))) == 5
    assert list(endings(link, "mails", [], None)) == []


def test_calling_back_what_waits(mails: Mails) -> None:
    handle = mails.put(1)
    later = mails.put(2, delay="1h")
    assert handle.cancel()
    assert later.cancel()
    assert not handle.cancel()
    assert len(mails) == 0


def test_calling_back_what_runs_asks_its_worker(link: Link, mails: Mails) -> None:
    handle = mails.put(1)
    claim = mails.claim()
    assert claim is not None
    assert handle.cancel()
    assert CANCEL + handle.id in link.store.notes.notes(CANCEL)
    assert handle.state() is State.RUNNING
    claim.ack()
    assert not handle.cancel()


def test_progress_is_told_and_read(mails: Mails) -> None:
    handle = mails.put(1)
    assert handle.progress() is None
    claim = mails.claim()
    assert claim is not None
    claim.progress({"done": 3, "of": 10})
    assert handle.progress() == {"done": 3, "of": 10}
    claim.progress(0.5)
    assert mails.handle(handle.id).progress() == 0.5
    with pytest.raises(BadBody):
        claim.progress("x" * 70_000)
    with pytest.raises(BadBody):
        claim.progress(object())


def test_two_handles_of_one_job_are_equal(link: Link, mails: Mails) -> None:
    handle = mails.put(1)
    assert handle == mails.handle(handle.id)
    assert len({handle, mails.handle(handle.id)}) == 1
    assert handle != mails.put(1)
    assert handle.id in repr(handle)
