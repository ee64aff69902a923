"""A flood of datagrams: it costs next to no processor time, few looks, no answer, and no ring that matters."""

from __future__ import annotations

import socket
import time

import pytest

from ropeway.bells.seal import Seal
from ropeway.bells.udp import UdpSleeper
from ropeway.clock import SYSTEM

from .conftest import Start

SECRET = b"correct horse battery"
SECONDS = 1.0
RATE = 10_000
DEAR = 10  # times what reading them one by one would cost


def reading(content: bytes) -> float:
    """Seconds of a core that one such datagram takes to be read, and nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        place.bind(("127.0.0.1", 0))
        spent = 0.0
        for _ in range(100):
            for _ in range(20):
                out.sendto(content, place.getsockname())
            began = time.thread_time()
            for _ in range(20):
                place.recv(2048)
            spent += time.thread_time() - began
    return spent / 2000


@pytest.mark.parametrize("kind", ["empty", "forged", "large"])
@pytest.mark.parametrize("secret", [b"", SECRET], ids=["without", "with"])
def test_a_flood_costs_next_to_nothing(start: Start, secret: bytes, kind: str) -> None:
    place = UdpSleeper(secret=secret)
    try:
        forged = Seal(b"some other secret", SYSTEM).make(place.address)  # all right but for the mark: the dearest to refuse
        content = {"empty": b"", "forged": forged, "large": bytes(1400)}[kind]
        child = start("flood", *place.address.split(":"), RATE, SECONDS, content.hex())
        worked, looks = time.thread_time(), 0
        while child.poll() is None:
            looks += place.wait(0.1)
        used = time.thread_time() - worked
        sent, answers = map(int, child.communicate(timeout=30)[0].split())
        read = sent * reading(content)
        print(f"{sent} datagrams in {SECONDS} s: {used * 1000:.1f} ms of a core, {looks} looks; to read them takes {read * 1000:.1f}")
        assert sent > RATE * SECONDS / 20
        assert answers == 0
        assert looks == 0 if secret else 1 <= looks <= 8
        assert used < DEAR * read
    finally:
        place.close()
