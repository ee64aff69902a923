"""The bell of a store where it fails: dead, far and hostile addresses, a board out of reach, no port; off; and many threads in earnest."""

from __future__ import annotations

import threading

import pytest

from ropeway.bells.choice import BellChoice
from ropeway.bells.udp import MOST, UdpRinger, UdpSleeper
from ropeway.errors import ConfigError, StoreError

from .keeping import NEVER, POLL, SECRET, Store, until

# -- who can be reached


def test_the_dead_are_passed_over_and_taken_off(store: Store) -> None:
    waiter = store.bell()
    for _ in range(5):
        gone = UdpSleeper()
        store.board.rows[gone.address + waiter._host] = (frozenset(["mails"]), NEVER)
        gone.close()
    assert not store.wait(waiter)
    store.put(store.bell())
    assert store.announced() == 0
    assert store.wait(waiter, POLL)


def test_loopback_of_another_host_is_left_to_it(store: Store) -> None:
    here = UdpSleeper()
    try:
        for name in (f"{here.address}@otherhost", here.address):
            store.board.rows[name] = (frozenset(["mails"]), NEVER)
        store.put(store.bell(), 9)
        assert store.announced() == 2
        assert not here.wait(0.01)
    finally:
        here.close()


def test_far_addresses_are_left_alone_by_who_stays_on_its_host(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    monkeypatch.setattr(UdpRinger, "_send", lambda _, address: sent.append(str(address)) or True)  # type: ignore[func-returns-value]
    store.board.rows["203.0.113.7:4711"] = (frozenset(["mails"]), NEVER)
    store.put(store.bell())
    assert (sent, store.announced()) == ([], 1)
    store.put(store.bell(BellChoice("udp", "0.0.0.0", far=True)))
    assert (sent, store.announced()) == (["203.0.113.7:4711"], 0)


@pytest.mark.parametrize("name", ["", "x", "255.255.255.255:9", "localhost:9", "127.0.0.1:9@" * 50, "@", "224.0.0.1:9@", "\0", "ä:1"])
def test_a_hostile_board_is_harmless(store: Store, name: str) -> None:
    waiter = store.bell()
    store.board.rows[name] = (frozenset(["mails"]), NEVER)
    assert not store.wait(waiter)
    store.put(store.bell())
    assert store.wait(waiter, POLL)


def test_another_secret_wakes_nobody_and_the_poll_finds_the_job(store: Store) -> None:
    waiter, putter = store.bell(BellChoice(secret=SECRET)), store.bell(BellChoice(secret=SECRET[::-1]))
    assert not store.wait(waiter)
    store.put(putter)
    assert not waiter.waiter().place.wait(0.01)
    store.clock.advance(POLL)
    assert store.wait(waiter, POLL)


def test_a_put_rings_64_at_most_and_reads_a_table_full_of_garbage_to_its_bound(store: Store) -> None:
    for number in range(10_000):
        store.board.rows[f"203.0.113.{number}:99"] = (frozenset(["mails"]), NEVER)
    store.put(store.bell(), 500)
    assert store.board.calls == ["waiting", "waiting"]
    assert store.announced() == 10_000  # others' to clean up
    store.board.rows = {f"127.0.0.1:{n}{store.bells[0]._host}": (frozenset(["mails"]), NEVER) for n in range(20_000, 20_500)}
    store.board.calls.clear()
    sent: list[str] = []
    store.bells[0]._ringer.ring = lambda addresses, wanted: sent.extend(addresses) or 1  # type: ignore[func-returns-value,method-assign,assignment]
    store.put(store.bells[0], 500)
    assert len(sent) == MOST


# -- what fails


def test_a_board_out_of_reach_costs_a_poll(store: Store) -> None:
    waiter, putter = store.bell(), store.bell()
    store.board.broken = True
    before = store.clock.boot()
    assert not store.wait(waiter, POLL)
    assert store.clock.boot() - before == pytest.approx(POLL)
    store.put(putter)
    assert store.wait(waiter, POLL)
    assert store.claim(waiter) == 1
    store.board.broken = False
    assert not store.wait(waiter, POLL)  # and is told again once it is back
    assert store.announced() == 1
    store.board.broken = True
    waiter.close()


def test_what_the_look_raises_is_raised(store: Store) -> None:
    def look() -> float:
        raise StoreError("gone")

    with pytest.raises(StoreError, match="gone"):
        store.bell().wait(["mails"], POLL, look, POLL)


def test_a_wrong_address_is_said_at_the_first_wait(store: Store) -> None:
    with pytest.raises(ConfigError):
        store.wait(store.bell(BellChoice("udp", "203.0.113.77", far=True)))


def test_a_thread_without_a_port_of_its_own_has_the_poll(store: Store) -> None:
    probe = UdpSleeper()
    port = int(probe.address.rpartition(":")[2])
    probe.close()
    bell = store.bell(BellChoice("udp", "127.0.0.1", port, port))
    assert not store.wait(bell)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(store.wait(bell, POLL)))
    thread.start()
    thread.join(30)
    assert answers == [False]
    assert store.announced() == 1


# -- off, wake, close


def test_without_a_bell_there_is_the_poll(store: Store) -> None:
    bell = store.bell(BellChoice("off"))
    before = store.clock.boot()
    assert not store.wait(bell, 4 * POLL)
    assert store.clock.boot() - before == pytest.approx(4 * POLL)
    assert store.looks == 5
    store.put(bell)
    assert store.wait(bell, POLL)
    assert store.claim(bell) == 1
    assert store.board.calls == []


@pytest.mark.parametrize("kind", ["on", "off"])
def test_wake_ends_the_wait_or_the_next_one(store: Store, kind: str) -> None:
    bell = store.bell(BellChoice(kind))
    before = store.clock.boot()
    bell.wake()
    assert not store.wait(bell, POLL)
    assert store.clock.boot() == before
    assert not store.wait(bell, POLL)
    assert store.clock.boot() == before + POLL


def test_a_child_leaves_the_places_of_its_parent_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bell = store.bell()
    assert not store.wait(bell)
    parents = bell.waiter()
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: -1)
        bell.wake()
        assert bell.waiter() is not parents
        bell.close()
    assert store.announced() == 1
    assert not parents.place.wait(0)


def test_close_takes_the_announcements_off_and_wakes() -> None:
    store = Store(real=True)
    bell = store.bell()
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(store.wait(bell, 60))) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: store.announced() == 3)
    bell.close()
    bell.close()
    for thread in threads:
        thread.join(30)
    assert answers == [False] * 3
    assert store.announced() == 0


# -- in earnest


@pytest.mark.parametrize("secret", [b"", SECRET], ids=["without", "with"])
def test_no_ring_is_lost_among_many(secret: bytes) -> None:
    """Threads that wait with a poll of an hour, threads that put: one lost wake-up, and it would stand still."""
    store = Store(BellChoice(secret=secret), real=True)
    wanted, done = 3 * 150, [0]
    ended = threading.Event()

    def work() -> None:
        bell = store.bell()
        while not ended.is_set():
            if bell.wait(["mails"], 3600, store.look, 3600):
                while store.claim(bell):
                    with store._lock:
                        done[0] += 1

    def put(number: int) -> None:
        bell = store.bell()
        for turn in range(150):
            store.put(bell)
            if turn % (1, 3, 10)[number] == 0:
                until(lambda: not store.jobs)

    workers = [threading.Thread(target=work) for _ in range(4)]
    putters = [threading.Thread(target=put, args=(number,)) for number in range(3)]
    try:
        for thread in (*workers, *putters):
            thread.start()
        until(lambda: done[0] == wanted)
    finally:
        ended.set()
        for bell in list(store.bells):
            bell.close()
        for thread in (*workers, *putters):
            thread.join(30)
    assert (store.jobs, store.announced()) == (0, 0)
