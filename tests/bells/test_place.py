"""A sleeping place: woken from a thread or a signal handler, by whoever calls `wake`, also when nobody sleeps yet."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from ropeway.bells.datagram import Sleeper
from ropeway.bells.place import SleepingPlace
from ropeway.bells.udp import UdpSleeper

Kept = Callable[[SleepingPlace], SleepingPlace]
KINDS = [SleepingPlace, Sleeper, UdpSleeper]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_wakes_it(kind: type[SleepingPlace], open_place: Kept) -> None:
    place = open_place(kind())
    began = time.monotonic()
    assert not place.wait(0.02)
    assert time.monotonic() - began >= 0.02
    assert not place.was_woken()


@pytest.mark.parametrize("kind", KINDS)
def test_woken_before_it_sleeps(kind: type[SleepingPlace], open_place: Kept) -> None:
    place = open_place(kind())
    place.wake()
    place.wake()
    assert place.wait(60)
    assert place.was_woken()
    assert not place.was_woken()
    assert not place.wait(0)


@pytest.mark.parametrize("kind", KINDS)
def test_woken_by_a_thread(kind: type[SleepingPlace], open_place: Kept) -> None:
    place = open_place(kind())
    timer = threading.Timer(0.02, place.wake)
    timer.start()
    assert place.wait(60)
    timer.join()


@pytest.mark.parametrize("kind", KINDS)
def test_woken_by_a_signal(kind: type[SleepingPlace], open_place: Kept) -> None:
    place = open_place(kind())
    before = signal.signal(signal.SIGALRM, lambda *_: place.wake())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert place.wait(60)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", KINDS)
def test_closed_twice_and_woken_after(kind: type[SleepingPlace]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    place = kind()
    place.close()
    place.close()
    place.wake()
    assert len(os.listdir("/proc/self/fd")) == before


def test_it_works_without_an_eventfd(monkeypatch: pytest.MonkeyPatch, open_place: Kept) -> None:
    monkeypatch.delattr(os, "eventfd")
    place = open_place(SleepingPlace())
    place.wake()
    assert place.wait(60)
    assert not place.wait(0)
