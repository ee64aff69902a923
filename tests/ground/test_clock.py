"""The fake clock of the testing kit: it jumps, it stands still, and it never hangs a test."""

from __future__ import annotations

import threading
import time

import pytest

from ropeway.clock import SYSTEM, Clock
from ropeway.errors import Timeout
from ropeway.testing.clock import FakeClock


class Bell:
    """Something to sleep on: an event that is cleared by its ring."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        self._event.set()

    def wait(self, timeout: float) -> bool:
        rung = self._event.wait(timeout)
        self._event.clear()
        return rung


def test_time_moves_only_when_it_is_moved() -> None:
    clock: Clock = FakeClock(now=100.0, boot=7.0)
    assert (clock.now(), clock.boot()) == (100.0, 7.0)
    assert (clock.now(), clock.boot()) == (100.0, 7.0)


def test_advance_moves_both_and_step_the_wall_alone() -> None:
    clock = FakeClock(now=100.0, boot=7.0)
    clock.advance(2.5)
    assert (clock.now(), clock.boot()) == (102.5, 9.5)
    clock.step(-50)
    assert (clock.now(), clock.boot()) == (52.5, 9.5)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_a_sleep_jumps_and_costs_no_time() -> None:
    clock = FakeClock(now=100.0, boot=7.0)
    begun = time.monotonic()
    assert clock.sleep(Bell(), 3600.0) is False
    assert time.monotonic() - begun < 60
    assert (clock.now(), clock.boot()) == (3700.0, 3607.0)


def test_a_rung_sleeper_does_not_jump() -> None:
    clock, bell = FakeClock(boot=7.0), Bell()
    bell.ring()
    assert clock.sleep(bell, 3600.0) is True
    assert clock.boot() == 7.0
    assert clock.sleep(bell, 1.0) is False


def test_a_negative_sleep_is_none() -> None:
    clock = FakeClock(boot=7.0)
    assert clock.sleep(Bell(), -5.0) is False
    assert clock.boot() == 7.0


@pytest.fixture
def still() -> FakeClock:
    return FakeClock(boot=7.0, autojump=False, patience=5.0)


def in_a_thread(clock: FakeClock, bell: Bell, seconds: float) -> tuple[threading.Thread, list[bool]]:
    out: list[bool] = []
    thread = threading.Thread(target=lambda: out.append(clock.sleep(bell, seconds)))
    thread.start()
    clock.until_asleep()
    return thread, out


def test_without_jumping_a_sleeper_waits_for_its_bell(still: FakeClock) -> None:
    bell = Bell()
    thread, out = in_a_thread(still, bell, 60.0)
    bell.ring()
    thread.join(60)
    assert out == [True]
    assert still.boot() == 7.0


def test_without_jumping_a_sleeper_waits_for_the_time(still: FakeClock) -> None:
    thread, out = in_a_thread(still, Bell(), 60.0)
    still.advance(59)
    assert not out
    still.advance(1)
    thread.join(60)
    assert out == [False]


def test_a_test_that_would_hang_fails_instead() -> None:
    clock = FakeClock(autojump=False, patience=0.05)
    with pytest.raises(Timeout, match="nobody moved"):
        clock.sleep(Bell(), 60.0)
    with pytest.raises(Timeout, match="0 of 1"):
        clock.until_asleep()


def test_many_threads_may_move_it() -> None:
    clock = FakeClock(now=0.0, boot=0.0)
    threads = [threading.Thread(target=lambda: [clock.advance(1) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (clock.now(), clock.boot()) == (8000.0, 8000.0)


def test_the_real_clock() -> None:
    now, boot = SYSTEM.now(), SYSTEM.boot()
    assert abs(now - time.time()) < 1
    bell = Bell()
    assert SYSTEM.sleep(bell, 0.01) is False
    bell.ring()
    assert SYSTEM.sleep(bell, 10) is True
    assert 0.01 <= SYSTEM.boot() - boot < 5
