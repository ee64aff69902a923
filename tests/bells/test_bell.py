"""The bell of a store: the order of announcing, looking, ringing and claiming that loses no wake-up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ropeway.bells.bell import LIFETIME
from ropeway.bells.board import Board
from ropeway.bells.udp import UdpRinger

from .boards import MemoryBoard
from .keeping import NEVER, POLL, Store

# -- one waits, one puts


def test_what_is_due_already_needs_no_bell(store: Store) -> None:
    store.jobs = 1
    assert store.wait(store.bell(), POLL)
    assert store.announced() == 0  # it goes to work


def test_a_put_wakes_who_waits(sealed: Store) -> None:
    waiter, putter = sealed.bell(), sealed.bell()
    assert not sealed.wait(waiter)
    assert sealed.announced() == 1
    sealed.put(putter)
    assert sealed.announced() == 0  # taken away by who rang
    before = sealed.clock.boot()
    assert sealed.wait(waiter, POLL)
    assert sealed.clock.boot() == before
    assert sealed.claim(waiter) == 1


def test_a_put_that_no_datagram_announces_is_found_within_one_poll(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waiter, putter = store.bell(), store.bell()
    monkeypatch.setattr(UdpRinger, "_send", lambda *_: True)  # every datagram is dropped
    assert not store.wait(waiter)
    store.put(putter)
    before = store.clock.boot()
    calls = iter([NEVER])  # the look right after the wait began came before the put
    assert waiter.wait(["mails"], 10 * POLL, lambda: next(calls, 0.0), POLL)
    assert store.clock.boot() - before == pytest.approx(POLL)


def test_a_put_between_the_look_and_the_announcement_is_seen(store: Store) -> None:
    """The one look that matters comes after the announcement: a put just before it found nobody to ring."""
    waiter, putter = store.bell(), store.bell()
    said = store.board.announce

    def announce(address: str, queues: Sequence[str], lifetime: float) -> None:
        if not store.jobs:
            store.put(putter)
        said(address, queues, lifetime)

    store.board.announce = announce  # type: ignore[method-assign]
    before = store.clock.boot()
    assert store.wait(waiter, POLL)
    assert store.clock.boot() == before


def test_a_put_after_the_look_rings(store: Store) -> None:
    waiter, putter = store.bell(), store.bell()

    def look() -> float:
        seen = store.look()
        if store.looks == 1:
            store.put(putter)
        return seen

    before = store.clock.boot()
    assert waiter.wait(["mails"], POLL, look, POLL)
    assert store.clock.boot() == before


def test_a_second_put_rings_another(store: Store) -> None:
    first, second, putter = store.bell(), store.bell(), store.bell()
    assert not store.wait(first)
    assert not store.wait(second)
    store.put(putter)
    store.put(putter)
    before = store.clock.boot()
    assert store.wait(first, POLL)
    assert store.claim(first)
    assert store.wait(second, POLL)
    assert store.claim(second)
    assert store.clock.boot() == before


def test_who_was_rung_in_vain_can_be_rung_again(store: Store) -> None:
    first, second, putter = store.bell(), store.bell(), store.bell()
    assert not store.wait(first)
    store.put(putter)
    assert store.claim(second) == 1  # it was faster
    assert not store.wait(first, POLL)
    store.put(putter)
    before = store.clock.boot()
    assert store.wait(first, POLL)
    assert store.clock.boot() == before


def test_as_many_are_rung_as_there_are_jobs(store: Store) -> None:
    for _ in range(5):
        assert not store.wait(store.bell())
    store.put(store.bell(), 3)
    assert store.announced() == 2
    store.put(store.bell(), 1000)
    assert store.announced() == 0


def test_only_who_waits_for_that_queue_is_rung(store: Store) -> None:
    mails, films, both = store.bell(), store.bell(), store.bell()
    for bell, queues in ((films, ["films"]), (mails, ["mails"]), (both, ["films", "mails"])):
        assert not store.wait(bell, 0, queues)
    store.bell().ring(["mails"], 9)
    assert [waits for waits, _ in store.board.rows.values()] == [frozenset(["films"])]


def test_who_finds_a_job_unrung_withdraws_before_it_claims(store: Store) -> None:
    waiter = store.bell()
    assert not store.wait(waiter)
    store.jobs = 1
    assert store.wait(waiter, POLL)
    assert store.announced() == 0


def test_who_claims_without_having_waited_to_the_end_withdraws_too(store: Store) -> None:
    waiter = store.bell()
    assert not store.wait(waiter)
    store.jobs = 1
    assert store.claim(waiter) == 1
    assert store.announced() == 0


# -- a ring that met somebody at work


def test_who_sees_more_than_it_takes_rings_on(store: Store) -> None:
    first, second, putter = store.bell(), store.bell(), store.bell()
    assert not store.wait(first)
    assert not store.wait(second)
    store.put(putter)
    store.jobs += 1  # of a put whose ring met nobody
    assert store.announced() == 1
    assert store.wait(first, POLL)
    assert store.claim(first) == 1
    assert store.announced() == 0  # the second was rung
    assert second.waiter().place.wait(5)


def test_an_engine_with_a_waiting_loop_of_its_own_rings_on_too(store: Store) -> None:
    first, second = store.bell(), store.bell()
    assert not store.wait(second)
    waiter = first.waiter()
    first.announce(waiter, ["mails"])
    assert first.withdraw(waiter)
    store.jobs = 2
    assert store.claim(first) == 1
    assert second.waiter().place.wait(5)


def test_it_rings_on_once_a_wait(store: Store) -> None:
    waiter = store.bell()
    store.jobs = 5
    assert store.wait(waiter, POLL)
    store.board.calls.clear()
    for _ in range(3):
        assert store.claim(waiter) == 1
    assert store.board.calls == ["waiting"]


def test_who_goes_to_work_after_it_was_rung_for_another_job_passes_the_ring_on(store: Store) -> None:
    first, second, putter = store.bell(), store.bell(), store.bell()
    assert not store.wait(first)
    assert not store.wait(second)
    store.jobs = 1
    assert store.claim(putter) == 1  # somebody else's
    store.jobs = 1
    with store._lock:
        store.jobs -= 1  # the first takes this one by a look of its own,
    store.put(putter)  # and is rung, before it says so, for another
    assert store.announced() == 1
    first.claimed(["mails"], 1, more=False)
    assert store.announced() == 0
    assert second.waiter().place.wait(5)


def test_a_stranger_wakes_but_finds_nothing_to_break(store: Store) -> None:
    waiter = store.bell()
    assert not store.wait(waiter)
    UdpRinger().ring([waiter.waiter().address.partition("@")[0]], 1)
    assert not store.wait(waiter, POLL)
    assert store.announced() == 1  # announced anew, since it cannot know who rang
    store.put(store.bell())
    assert store.wait(waiter, POLL)


# -- the cost


def test_waiting_again_and_again_asks_the_board_once_a_minute(store: Store) -> None:
    waiter = store.bell()
    for _ in range(240):
        assert not store.wait(waiter, 2.5)
    assert len(store.board.calls) <= 1 + 600 / (LIFETIME / 2)
    assert set(store.board.calls) == {"announce"}


def test_a_job_costs_the_board_one_announcement_and_one_ring(store: Store) -> None:
    waiter, putter = store.bell(), store.bell()

    def look() -> float:
        seen = store.look()
        if store.looks % 2:
            store.put(putter)
        return seen

    for _ in range(10):
        assert waiter.wait(["mails"], POLL, look, POLL)
        assert store.claim(waiter) == 1
    assert store.board.calls == ["announce", "waiting", "withdraw"] * 10


def test_a_put_asks_the_board_once_when_nobody_waits(store: Store) -> None:
    store.put(store.bell(), 10_000)
    assert store.board.calls == ["waiting"]


def test_an_announcement_is_renewed_in_time(store: Store) -> None:
    waiter, until = store.bell(), 10 * LIFETIME
    assert not waiter.wait(["mails"], until, store.look, until)
    assert store.board.waiting(["mails"], 9)
    assert store.board.calls.count("announce") == 21


def test_other_queues_are_announced_at_once(store: Store) -> None:
    waiter = store.bell()
    assert not store.wait(waiter)
    assert not store.wait(waiter, 0, ["films"])
    assert [waits for waits, _ in store.board.rows.values()] == [frozenset(["films"])]


def test_the_boards_of_the_tests_are_boards() -> None:
    board: Board = MemoryBoard()
    assert board.withdraw("x") is False
