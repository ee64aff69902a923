"""Sleeping on a UDP socket and ringing it: real sockets, second processes, and what strangers send."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from ropeway.bells.address import Address
from ropeway.bells.seal import Seal
from ropeway.bells.udp import DEAF, DEAFEST, MOST, UdpRinger, UdpSleeper
from ropeway.errors import ConfigError
from ropeway.testing.clock import FakeClock

from .conftest import Start

SECRET = b"correct horse battery"
SOON = 5.0  # real seconds for what is on its way
Open = Callable[..., UdpSleeper]


@pytest.fixture
def sleeper() -> Iterator[Open]:
    kept: list[UdpSleeper] = []

    def _open(*args: object, **more: object) -> UdpSleeper:
        kept.append(UdpSleeper(*args, **more))  # type: ignore[arg-type]
        return kept[-1]

    yield _open
    for place in kept:
        place.close()


@pytest.fixture
def stranger() -> Iterator[Callable[..., socket.socket]]:
    """Send anything to an address; the socket is answered."""
    kept: list[socket.socket] = []

    def _send(address: str, *contents: bytes) -> socket.socket:
        host, _, port = address.rpartition(":")
        kept.append(socket.socket(socket.AF_INET6 if "[" in host else socket.AF_INET, socket.SOCK_DGRAM))
        for content in contents:
            kept[-1].sendto(content, (host.strip("[]"), int(port)))
        return kept[-1]

    yield _send
    for out in kept:
        out.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("secret", [b"", SECRET])
def test_a_ring_wakes_once(sleeper: Open, host: str, secret: bytes) -> None:
    place = sleeper(host, secret=secret)
    assert UdpRinger(secret).ring([place.address], 1) == 1
    assert place.wait(SOON)
    place.found()
    assert not place.was_woken()
    assert not place.wait(0)


def test_a_second_process_rings_and_is_rung(sleeper: Open, start: Start) -> None:
    place = sleeper()
    assert start("ring", place.address).communicate(timeout=30)[0] == "1\n"
    assert place.wait(SOON)
    child = start("sleep", "127.0.0.1", 0, 30)
    assert child.stdout is not None
    assert UdpRinger().ring([child.stdout.readline().strip()], 1) == 1
    assert child.communicate(timeout=30)[0] == "True\n"


# -- where it listens


def test_the_processes_of_a_host_share_a_port_by_taking_the_next_free_one(sleeper: Open, start: Start) -> None:
    first = sleeper()
    port = int(first.address.rpartition(":")[2])
    child = start("sleep", "127.0.0.1", port, 30)
    assert child.stdout is not None
    host, _, other = child.stdout.readline().strip().rpartition(":")
    assert host == "127.0.0.1"
    assert port < int(other) <= port + 8
    third = sleeper("127.0.0.1", port, port + 8)
    assert third.address not in (first.address, f"127.0.0.1:{other}")
    UdpRinger().ring([f"127.0.0.1:{other}"], 1)
    assert child.communicate(timeout=30)[0] == "True\n"
    assert not first.wait(0)
    assert not third.wait(0)


def test_no_free_port_is_said(sleeper: Open) -> None:
    port = int(sleeper().address.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"no port of 127.0.0.1 from {port} to {port} is free .* Give a wider range"):
        UdpSleeper("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.77", "2001:db8::77:77"])
def test_an_address_of_another_host_is_said(host: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be listened on|no socket for"):
        UdpSleeper(host)


def test_a_name_that_nobody_knows_is_said() -> None:
    with pytest.raises(ConfigError, match="nobody knows that name"):
        UdpSleeper("nobody.invalid")


def test_a_name_that_means_this_host_alone_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("_socket.getaddrinfo", lambda *_: [(2, 2, 17, "", ("127.0.1.1", 0))])
    with pytest.raises(ConfigError, match=r"means 127.0.1.1 here"):
        UdpSleeper("worker-1")


def test_a_failed_opening_leaves_nothing_open() -> None:
    import os

    before = len(os.listdir("/proc/self/fd"))
    for host in ("203.0.113.77", "nobody.invalid"):
        with pytest.raises(ConfigError):
            UdpSleeper(host)
    assert len(os.listdir("/proc/self/fd")) == before


# -- what strangers send


GARBAGE = (b"", b"\0", b"\xff" * 16, b"\1" * 37, b"GET / HTTP/1.1\r\n\r\n", bytes(1400), bytes(65_507))


def test_whatever_is_sent_is_at_most_a_ring(sleeper: Open, stranger: Callable[..., socket.socket]) -> None:
    place = sleeper()
    for content in GARBAGE:
        stranger(place.address, content)
        assert place.wait(SOON)
        place.found()
        assert not place.wait(0)


def test_with_a_secret_a_stranger_wakes_nobody(sleeper: Open, stranger: Callable[..., socket.socket]) -> None:
    place = sleeper(secret=SECRET)
    ring = Seal(SECRET, place._clock).make(place.address)
    for content in (
        *GARBAGE,
        ring[:-1],
        ring + b"\0",
        ring[:-1] + bytes([ring[-1] ^ 1]),
        Seal(b"x" * 16, place._clock).make(place.address),
    ):
        stranger(place.address, content)
        assert not place.wait(0.01), content[:40]
        place._deaf_until = 0.0


def test_a_ring_that_was_overheard_wakes_once_and_its_addressee_only(sleeper: Open, stranger: Callable[..., socket.socket]) -> None:
    place, other = sleeper(secret=SECRET), sleeper(secret=SECRET)
    ring = Seal(SECRET, place._clock).make(place.address)
    stranger(other.address, ring)
    assert not other.wait(0.01)
    stranger(place.address, ring)
    assert place.wait(SOON)
    for _ in range(3):
        stranger(place.address, ring, ring)
        place._deaf_until = 0.0
        assert not place.wait(0.01)


def test_a_ring_between_garbage_is_heard(sleeper: Open, stranger: Callable[..., socket.socket]) -> None:
    place = sleeper(secret=SECRET)
    ring = Seal(SECRET, place._clock).make(place.address)
    stranger(place.address, b"x", b"y" * 37, ring, b"z" * 100)
    assert place.wait(SOON)


@pytest.mark.parametrize("secret", [b"", SECRET])
def test_nobody_is_answered(sleeper: Open, stranger: Callable[..., socket.socket], secret: bytes) -> None:
    place = sleeper(secret=secret)
    out = stranger(place.address, *GARBAGE, Seal(SECRET, place._clock).make(place.address))
    place.wait(0.05)
    out.settimeout(0)
    with pytest.raises(BlockingIOError):
        out.recv(1)


def test_looks_in_vain_grow_rare(sleeper: Open, stranger: Callable[..., socket.socket]) -> None:
    clock = FakeClock(autojump=False)
    place = sleeper(clock=clock)
    pause, pauses = DEAF, []
    for _ in range(8):
        stranger(place.address, b"", b"", b"")
        assert place.wait(SOON)
        stranger(place.address, b"")
        clock.advance(pause * 0.98)
        assert not place.wait(0)  # deaf: what came is not even read
        clock.advance(pause * 0.04)
        assert place.wait(SOON)  # and not lost
        pauses.append(pause := min(2 * pause, DEAFEST))
        clock.advance(pause * 1.01)
        pause = min(2 * pause, DEAFEST)
    assert pauses[-1] == DEAFEST


def test_a_look_that_finds_something_ends_that(sleeper: Open) -> None:
    clock = FakeClock(autojump=False)
    place = sleeper(clock=clock)
    for _ in range(20):
        UdpRinger().ring([place.address], 1)
        assert place.wait(SOON)
        place.found()


def test_and_so_does_some_quiet(sleeper: Open) -> None:
    clock = FakeClock(autojump=False)
    place = sleeper(clock=clock)
    for _ in range(6):
        UdpRinger().ring([place.address], 1)
        assert place.wait(SOON)
        clock.advance(place._deaf_for * 1.01)
    assert place._deaf_for == DEAFEST
    clock.advance(2 * DEAFEST)
    UdpRinger().ring([place.address], 1)
    assert place.wait(SOON)
    assert place._deaf_for == DEAF


def test_a_deaf_sleeper_can_be_woken(sleeper: Open) -> None:
    place = sleeper(clock=FakeClock(autojump=False))
    UdpRinger().ring([place.address], 1)
    assert place.wait(SOON)
    assert not place.wait(0.01)
    place.wake()
    assert place.wait(60)
    assert place.was_woken()


# -- who is rung


def test_each_is_rung_once_and_no_more_than_wanted(sleeper: Open) -> None:
    places = [sleeper() for _ in range(4)]
    names = [place.address for place in places]
    assert UdpRinger().ring([names[0], names[0], *names], 3) == 3
    assert [place.wait(0.05) for place in places] == [True, True, True, False]
    assert UdpRinger().ring(names, 0) == 0
    assert UdpRinger().ring(names, -1) == 0
    assert UdpRinger().ring([], 5) == 0


def test_one_who_stands_there_twice_is_rung_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(UdpRinger, "_send", lambda _, address: sent.append(str(address)) or True)  # type: ignore[func-returns-value]
    assert UdpRinger().ring(["[::1]:9", "[0::1]:9", "[::1]:9", "127.0.0.1:9"], 9) == 2
    assert sent == ["[::1]:9", "127.0.0.1:9"]


def test_no_call_rings_more_than_64(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Address] = []
    ringer = UdpRinger()
    monkeypatch.setattr(ringer, "_send", lambda address: sent.append(address) or True)  # type: ignore[func-returns-value]
    assert ringer.ring((f"127.0.0.1:{port}" for port in range(1, 10_000)), 5_000) == MOST == len(sent)
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "255.255.255.255:1"

    assert ringer.ring(endless(), 10) == 0
    assert read < 1000


def test_where_certainly_nobody_is_another_takes_the_turn(sleeper: Open) -> None:
    gone = UdpSleeper()
    gone.close()
    place = sleeper()
    assert UdpRinger().ring([gone.address, place.address], 1) == 1
    assert place.wait(SOON)
    assert UdpRinger().ring([gone.address], 1) == 0


def test_what_is_no_address_is_passed_over(sleeper: Open) -> None:
    place = sleeper()
    names = ["", "x" * 10_000, "localhost:1", "255.255.255.255:1", "224.0.0.1:1", "0.0.0.0:1", "[::]:1", None, 7, b"x", place.address]
    for far in (False, True):
        assert UdpRinger(far=far).ring(names, 1) == 1  # type: ignore[arg-type]
        assert place.wait(SOON)
        place.found()


def test_beyond_loopback_only_when_told() -> None:
    """A second address of this host stands for another host: the packets stay here, the rule does not know that."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))
        own = probe.getsockname()[0]
    except OSError:
        own = "127.0.0.1"
    finally:
        probe.close()
    if own.startswith("127."):
        pytest.skip("this host has no address but loopback")
    place = UdpSleeper(own)
    try:
        assert place.far
        assert UdpRinger().ring([place.address], 1) == 0
        assert not place.wait(0.02)
        assert UdpRinger(far=True).ring([place.address], 1) == 1
        assert place.wait(SOON)
        shown = UdpSleeper("0.0.0.0")
        assert shown.address.startswith(f"{own}:")
        shown.close()
    finally:
        place.close()


def test_a_ringer_keeps_no_socket(sleeper: Open) -> None:
    import os

    place = sleeper()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        UdpRinger(far=True).ring([place.address, "127.0.0.1:1", "192.0.2.255:9"], 3)
    assert len(os.listdir("/proc/self/fd")) == before


def test_nothing_fails_when_there_is_no_socket_to_be_had(sleeper: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sleeper()

    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("_socket.socket", refuse)
    assert UdpRinger().ring([place.address], 1) == 0
