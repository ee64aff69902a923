"""A job in hand: what it shows, how it ends, and what a lost lease does to each of its verbs."""

from __future__ import annotations

import gc
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ropeway.claim import Claim
from ropeway.errors import BadBody, LeaseLost, Stopped
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock

from .faulty import faulty

Mails = Queue[Any]


def taken(mails: Mails, **options: Any) -> Claim[Any]:
    mails.put({"n": 1}, **options)
    claim = mails.claim(lease=30)
    assert claim is not None
    return claim


def test_what_it_shows(mails: Mails, link: Link) -> None:
    handle = mails.put({"n": 1}, headers={"a": "b"})
    claim = mails.claim(lease="30s")
    assert claim is not None
    assert (claim.id, claim.queue, claim.attempt) == (handle.id, "mails", 1)
    assert claim.headers == {"a": "b"}
    assert claim.body == b'{"n":1}'
    assert claim.data == {"n": 1}
    assert claim.until <= link.clock.boot() + 30
    assert claim.receipt
    assert " " not in claim.receipt
    [entry] = mails.browse()
    assert entry.state is State.RUNNING
    assert link.holder().name.startswith(entry.holder)
    assert entry.holder.endswith((":test", f":{os.getpid()}"))


def test_an_empty_queue_answers_none_at_once(mails: Mails, clock: FakeClock) -> None:
    before = clock.boot()
    assert mails.claim() is None
    assert clock.boot() == before


def test_a_claim_waits_up_to_its_timeout(mails: Mails, clock: FakeClock) -> None:
    before = clock.boot()
    assert mails.claim(timeout="1m") is None
    assert clock.boot() - before == pytest.approx(60, abs=1)
    mails.put(1, delay="30s")
    before = clock.boot()
    claim = mails.claim(timeout=None)
    assert claim is not None
    assert 29 <= clock.boot() - before <= 31


def test_a_queue_that_is_switched_off_is_not_empty(mails: Mails, clock: FakeClock) -> None:
    mails.put(1)
    mails.pause(reason="deploy")
    before = clock.boot()
    with pytest.raises(Stopped, match="deploy"):
        mails.claim(timeout=60)
    assert clock.boot() == before
    mails.resume()
    assert mails.claim() is not None


def test_ack_is_final(mails: Mails) -> None:
    claim = taken(mails)
    claim.ack()
    assert mails.browse() == []
    for verb in (claim.ack, claim.nack, claim.bury, claim.extend, claim.path):
        with pytest.raises(LeaseLost, match="ack"):
            verb()


def test_nack_gives_it_back(mails: Mails, clock: FakeClock) -> None:
    taken(mails).nack(delay="1m", error="smtp\nbusy")
    [entry] = mails.browse()
    assert (entry.state, entry.attempts) == (State.DELAYED, 1)
    assert entry.error == "smtp\\nbusy"
    assert [(a.number, a.outcome) for a in entry.history] == [(1, "failed")]
    assert mails.claim() is None
    clock.advance(61)
    claim = mails.claim()
    assert claim is not None
    assert claim.attempt == 2
    claim.nack(restore=True)
    again = mails.claim()
    assert again is not None
    assert again.attempt == 2


def test_bury_keeps_it_dead(mails: Mails) -> None:
    taken(mails).bury("bad address")
    [entry] = mails.browse(state="dead")
    assert entry.error == "bad address"
    assert entry.history[-1].outcome == "discarded"
    assert mails.claim() is None


def test_extend_moves_the_end(mails: Mails, clock: FakeClock) -> None:
    claim = taken(mails)
    clock.advance(20)
    claim.extend("5m")
    clock.advance(200)
    assert mails.claim() is None
    claim.extend()  # as long as it was claimed for
    assert claim.until == pytest.approx(clock.boot() + 30, abs=0.01)
    claim.ack()


@pytest.mark.parametrize("verb", ["ack", "nack", "bury", "extend", "path", "progress", "__enter__"])
def test_a_lease_that_is_over_is_lost_by_the_local_clock(mails: Mails, clock: FakeClock, verb: str) -> None:
    claim = taken(mails)
    clock.advance(31)
    with pytest.raises(LeaseLost, match="changed nothing"):
        getattr(claim, verb)(*([0.5] if verb == "progress" else []))
    with pytest.raises(LeaseLost):
        claim.ack()
    again = mails.claim()  # the newer run stands
    assert again is not None
    assert again.attempt == 2


def test_the_store_has_the_last_word_on_a_lost_lease(link: Link, clock: FakeClock, mails: Mails) -> None:
    claim = taken(mails)
    clock.advance(31)
    again = mails.claim()
    assert again is not None
    claim._lent.until = clock.boot() + 30  # this side believes that it still holds the job
    for verb in (claim.extend, claim.ack):
        claim._ended = ""
        with pytest.raises(LeaseLost):
            verb()
    again.ack()
    assert mails.browse() == []


def test_a_result_must_be_carriable_and_the_claim_survives_a_bad_one(mails: Mails) -> None:
    claim = taken(mails, keep=60)
    with pytest.raises(BadBody):
        claim.ack(object())
    claim.ack({"ok": True})


def test_wake_ups_that_bring_nothing_do_not_spin() -> None:
    clock = FakeClock()
    link, store = faulty("memory:", clock)
    store.wait = lambda queues, timeout: True
    assert Queue[Any](link, "mails").claim(timeout=5) is None
    assert 10 < len(store.groups("claim")) < 400
    link.close()


# The body as a file


def test_the_body_is_a_file_on_every_engine(mails: Mails) -> None:
    claim = taken(mails)
    path = Path(claim.path())
    assert path.read_bytes() == b'{"n":1}'
    assert claim.path() == str(path)
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    claim.ack()
    assert not path.exists()


@pytest.mark.parametrize("end", ["nack", "bury", "lost", "forgotten"])
def test_the_file_is_gone_however_the_claim_ends(mails: Mails, clock: FakeClock, end: str) -> None:
    claim = taken(mails)
    path = Path(claim.path())
    assert path.exists()
    if end == "lost":
        clock.advance(31)
        with pytest.raises(LeaseLost):
            claim.extend()
    elif end == "forgotten":
        del claim
        gc.collect()
    else:
        getattr(claim, end)()
    assert not path.exists()


def test_a_forked_child_leaves_its_parents_file_alone(mails: Mails) -> None:
    claim = taken(mails)
    path = Path(claim.path())
    claim._pid = os.getpid() + 1  # as a child would see it
    claim._drop_file()
    assert path.exists()
    path.unlink()


# Poison


def test_a_job_that_too_many_holders_died_with_is_buried(mails: Mails, clock: FakeClock) -> None:
    mails.put({"n": 1})
    runs = 0
    while mails.claim(lease=5) is not None:
        runs += 1
        clock.advance(6)
        assert runs < 10
    assert runs == 3
    [entry] = mails.browse()
    assert entry.state is State.DEAD
    assert "without a word" in entry.error
    assert entry.history[-1].outcome == "lost"
