"""The hand and the inbox: nothing is lost between a giver and a sleeper, whatever the threads do."""

from __future__ import annotations

import random
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any, cast

from ropeway.clock import SYSTEM
from ropeway.job import Job
from ropeway.link import Link
from ropeway.store import Lent
from ropeway.testing.clock import FakeClock
from ropeway.worker.hand import Hand
from ropeway.worker.inbox import Inbox
from ropeway.worker.pools.pool import expired
from ropeway.worker.run import Run, Shift

ROUNDS = 10_000


def test_every_run_given_is_taken_once_and_no_slot_sleeps_through_it() -> None:
    """The lost wake-up: a slot that sleeps while there is something in the hand would leave the giver waiting for its answer."""
    hand = Hand(lambda: None)
    taken: list[Any] = []
    done = threading.Semaphore(0)

    def slot() -> None:
        chance = random.Random(threading.get_ident())
        while True:
            try:
                run = hand.take()
            except IndexError:
                if chance.random() < 0.1:
                    time.sleep(0)
                if not hand.wait():
                    return
                continue
            taken.append(run)
            done.release()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    slots = [threading.Thread(target=slot, daemon=True) for _ in range(3)]
    try:
        for thread in slots:
            thread.start()
        given = 0
        while given < ROUNDS:
            count = 1 + given % 3
            hand.give(cast("list[Run]", range(given, given + count)))
            given += count
            for _ in range(count):
                assert done.acquire(timeout=40), f"a wake-up was lost after {given} runs"
    finally:
        hand.close(len(slots))
        for thread in slots:
            thread.join(60)
        sys.setswitchinterval(interval)
    assert sorted(taken) == list(range(given))
    assert not any(thread.is_alive() for thread in slots)


def test_every_report_wakes_the_ferry() -> None:
    """The other direction: with nothing but reports to wake it, the ferry's sleeps must never run to their end."""
    inbox = Inbox(SYSTEM)
    answered = threading.Semaphore(0)
    late: list[int] = []

    def ferry() -> None:
        seen = 0
        while seen < ROUNDS:
            while inbox.outcomes:
                inbox.outcomes.popleft()
                seen += 1
                answered.release()
            if seen < ROUNDS:
                start = time.monotonic()
                inbox.sleep(5.0)
                if time.monotonic() - start > 4:
                    late.append(seen)
                    return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=ferry, daemon=True)
    try:
        thread.start()
        for n in range(ROUNDS):
            inbox.report(cast("Run", SimpleNamespace(caller=None)))
            assert answered.acquire(timeout=40), f"a report was not seen: {n}"
        thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert not thread.is_alive()
    assert not late


def test_recall_empties_it_from_the_far_end() -> None:
    hand = Hand(lambda: None)
    hand.give(cast("list[Run]", [1, 2, 3]))
    assert hand.take() == cast("Run", 1)
    assert hand.recall() == cast("list[Run]", [3, 2])
    assert len(hand) == 0


def test_the_last_slot_to_find_nothing_says_so() -> None:
    asked: list[int] = []
    hand = Hand(lambda: asked.append(1))
    thread = threading.Thread(target=hand.wait, daemon=True)
    thread.start()
    while not asked:
        time.sleep(0.001)
    assert hand.idle == 1
    hand.close(1)
    thread.join(60)
    assert not thread.is_alive()


def test_ringing_twice_is_ringing_once_and_never_lost() -> None:
    inbox = Inbox(SYSTEM)
    inbox.ring()
    inbox.ring()
    start = time.monotonic()
    inbox.sleep(60.0)
    assert time.monotonic() - start < 30
    start = time.monotonic()
    inbox.sleep(0.01)
    assert time.monotonic() - start >= 0.009


def test_a_sleep_in_the_store_is_woken_by_the_store() -> None:
    inbox = Inbox(SYSTEM)
    woken = threading.Event()
    inside = threading.Event()

    def wait() -> bool:
        inside.set()
        assert woken.wait(40)
        return False

    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(inbox.sleep_in(wait, woken.set)), daemon=True)
    thread.start()
    assert inside.wait(40)
    inbox.report(cast("Run", SimpleNamespace(caller=None)))
    thread.join(60)
    assert answers == [False]
    assert not inbox.sleep_in(lambda: True, woken.set)  # an outcome is there: no sleep at all
    inbox.outcomes.clear()
    assert inbox.sleep_in(lambda: True, woken.set)
    inbox.ring()
    assert not inbox.sleep_in(lambda: True, woken.set)  # rung before


def lent(until: float, ttl: float = 0.0, created: float = 0.0) -> Lent:
    return Lent(Job("0" * 32, "q", ttl=ttl, created=created), "r", 1, 0, until)


def test_what_has_too_little_lease_left_does_not_start() -> None:
    """A process that stood still with jobs in its hand starts none of them."""
    clock = FakeClock()
    shift = Shift(Link("memory:", clock), 30.0)
    for left, stale in ((30, False), (11, False), (9, True), (0, True), (-100, True)):
        run = Run(lent(clock.boot() + left), shift, clock.boot())
        assert expired(run, clock.boot(), shift.lease / 3) is stale
        assert run.stale is stale
        assert (run.handback is not None and run.handback.restore) is stale


def test_what_outlived_its_ttl_in_the_hand_goes_back_for_the_store_to_decide() -> None:
    clock = FakeClock()
    shift = Shift(Link("memory:", clock), 30.0)
    run = Run(lent(clock.boot() + 30, ttl=1.5, created=clock.now()), shift, clock.boot())
    clock.advance(1.2)
    assert not expired(run, clock.boot(), 10)
    clock.advance(0.5)
    assert expired(run, clock.boot(), 10)
    clock.step(-86400)
    fresh = Run(lent(clock.boot() + 30, ttl=1.5, created=clock.now() - 1000), shift, clock.boot())
    assert not expired(fresh, clock.boot(), 10), "the store handed it out just now: our clock has no say"
    short = Run(lent(clock.boot() + 30, ttl=0.3, created=clock.now()), shift, clock.boot())  # a call that is waited for so long
    clock.advance(0.2)
    assert not expired(short, clock.boot(), 10)
    clock.advance(0.15)
    assert expired(short, clock.boot(), 10)


def test_a_call_that_another_took_for_its_own_is_seen_by_the_look() -> None:
    """Two wait in one store object: the ring for the ferry came while it was on its way into the store, and woke the other."""
    inbox = Inbox(SYSTEM)
    looks: list[bool] = []

    def wait() -> bool:
        inbox.ring()  # nobody sleeps yet; the other one is woken by it
        looks.append(inbox.stirred())
        return looks[-1]

    assert not inbox.sleep_in(wait, lambda: None)  # no claim for that
    assert looks == [True]
    assert not inbox.stirred()
    inbox.post(Job("0" * 32, "_reply." + "a" * 32))
    assert inbox.stirred()
