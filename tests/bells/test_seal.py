"""The seal of a ring: only who has the secret can make one, for one address, for some seconds, once."""

from __future__ import annotations

import pytest

from ropeway.bells import seal
from ropeway.bells.seal import SIZE, WINDOW, Seal
from ropeway.testing.clock import FakeClock

HERE = "192.0.2.7:4711"
SECRET = b"correct horse battery"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_ring_is_good_once(clock: FakeClock) -> None:
    sleeper, ring = Seal(SECRET, clock), Seal(SECRET, clock).make(HERE)
    assert len(ring) == SIZE
    assert sleeper.proves(ring, HERE)
    assert not sleeper.proves(ring, HERE)
    clock.advance(WINDOW * 3)
    assert not sleeper.proves(ring, HERE)


def test_no_two_rings_are_alike(clock: FakeClock) -> None:
    ringer, sleeper = Seal(SECRET, clock), Seal(SECRET, clock)
    rings = {ringer.make(HERE) for _ in range(100)}
    assert len(rings) == 100
    assert all(sleeper.proves(ring, HERE) for ring in rings)


def test_it_is_good_at_its_address_only(clock: FakeClock) -> None:
    ring = Seal(SECRET, clock).make(HERE)
    assert not Seal(SECRET, clock).proves(ring, "192.0.2.8:4711")
    assert not Seal(SECRET, clock).proves(ring, "192.0.2.7:47110")


def test_it_is_good_with_its_secret_only(clock: FakeClock) -> None:
    assert not Seal(SECRET, clock).proves(Seal(SECRET + b"!", clock).make(HERE), HERE)


@pytest.mark.parametrize(("passed", "good"), [(WINDOW - 1, True), (WINDOW + 1.5, False), (-WINDOW + 1, True), (-WINDOW - 1.5, False)])
def test_clocks_may_differ_by_some_seconds(clock: FakeClock, passed: float, good: bool) -> None:
    ring = Seal(SECRET, clock).make(HERE)
    clock.step(passed)
    assert Seal(SECRET, clock).proves(ring, HERE) is good


def test_a_repeated_ring_is_known_for_as_long_as_it_would_be_good(clock: FakeClock) -> None:
    sleeper = Seal(SECRET, clock)
    clock.step(WINDOW - 1)
    early = Seal(SECRET, clock).make(HERE)  # by a clock that is ahead
    clock.step(1 - WINDOW)
    assert sleeper.proves(early, HERE)
    for _ in range(int(2 * WINDOW)):
        clock.advance(1)
        assert sleeper.proves(Seal(SECRET, clock).make(HERE), HERE)
        assert not sleeper.proves(early, HERE)


@pytest.mark.parametrize("at", range(SIZE))
def test_each_byte_is_under_the_seal(clock: FakeClock, at: int) -> None:
    ring = bytearray(Seal(SECRET, clock).make(HERE))
    ring[at] ^= 1
    assert not Seal(SECRET, clock).proves(bytes(ring), HERE)


@pytest.mark.parametrize("data", [b"", b"\1", bytes(SIZE), b"\1" * SIZE, b"\xff" * SIZE, bytes(SIZE + 1), b"\1" + bytes(65_000)], ids=len)
def test_garbage_proves_nothing(clock: FakeClock, data: bytes) -> None:
    assert not Seal(SECRET, clock).proves(data, HERE)


def test_a_ring_cut_or_lengthened_proves_nothing(clock: FakeClock) -> None:
    ring = Seal(SECRET, clock).make(HERE)
    assert not Seal(SECRET, clock).proves(ring[:-1], HERE)
    assert not Seal(SECRET, clock).proves(ring + b"\0", HERE)


def test_what_is_remembered_has_an_end(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "REMEMBERED", 10)
    sleeper, ringer = Seal(SECRET, clock), Seal(SECRET, clock)
    rings = [ringer.make(HERE) for _ in range(30)]
    assert all(sleeper.proves(ring, HERE) for ring in rings)
    assert len(sleeper._seen) == 10
    assert not any(sleeper.proves(ring, HERE) for ring in rings[-10:])
    clock.advance(3 * WINDOW)
    assert sleeper.proves(ringer.make(HERE), HERE)
    assert len(sleeper._seen) == 1


def test_strangers_fill_no_memory(clock: FakeClock) -> None:
    sleeper, stranger = Seal(SECRET, clock), Seal(b"some other secret", clock)
    assert not any(sleeper.proves(stranger.make(HERE), HERE) for _ in range(1000))
    assert not sleeper._seen


def test_the_secret_is_not_shown() -> None:
    assert "correct" not in repr(Seal(SECRET, FakeClock()))
