"""A flood of datagrams: it costs next to no processor time, few looks, no answer, and no ring that matters."""

from __future__ import annotations

import time

import pytest

from ropeway.bells.seal import Seal
from ropeway.bells.udp import UdpSleeper
from ropeway.clock import SYSTEM

from .conftest import Start

SECRET = b"correct horse battery"
SECONDS = 1.0
RATE = 10_000
SHARE = 0.05  # of one core, at RATE datagrams a second


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
        used = (time.thread_time() - worked) / SECONDS
        sent, answers = map(int, child.communicate(timeout=30)[0].split())
        print(f"{sent} datagrams in {SECONDS} s: {used:.2%} of a core, {looks} looks")
        assert sent > RATE * SECONDS / 4
        assert answers == 0
        assert looks == 0 if secret else 1 <= looks <= 8
        assert used < SHARE
    finally:
        place.close()
