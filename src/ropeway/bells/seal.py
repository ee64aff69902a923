"""The seal of a ring: proof that a datagram comes from somebody who has the secret, is meant for this address, is fresh and is new.

    byte 0       version, 1
    bytes 1-8    when it was sealed: whole seconds since 1970, big-endian
    bytes 9-20   random: no two rings are alike
    bytes 21-36  the first 16 bytes of HMAC-SHA256 over "ropeway bell", the bytes above and the address that is rung, as text

Another version is not understood and rings nobody: a format to come needs a number of its own, and putters that send both for a while.
The address is under the seal so that a ring which was overheard cannot be sent on to others. Nothing is hidden: there is nothing to hide.
"""

from __future__ import annotations

import hmac
import os
import struct

from ..clock import Clock

SIZE = 37
WINDOW = 10.0  # seconds that a ring is good for, before and after: how far the clocks of two hosts may differ
REMEMBERED = 8192  # rings remembered at most; beyond it the oldest is forgotten, and may be repeated until its window is over

_HEAD = struct.Struct(">BQ12s")
_VERSION = 1


class Seal:
    """Makes and proves rings with one secret. The memory of those seen is its own: one for each sleeping place."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._seen: dict[bytes, float] = {}  # the random part, and until when it must be remembered; the oldest first

    def __repr__(self) -> str:
        return "<a seal>"

    def make(self, address: str) -> bytes:
        """A ring for that address, good once."""
        head = _HEAD.pack(_VERSION, int(self._clock.now()), os.urandom(12))
        return head + self._mark(head, address)

    def proves(self, data: bytes, address: str) -> bool:
        """Whether this is a ring for that address, fresh, and not seen before. The cheap questions first: most is a flood or garbage."""
        if len(data) != SIZE or data[0] != _VERSION:
            return False
        _, when, nonce = _HEAD.unpack_from(data)
        now = self._clock.now()
        if abs(when - now) > WINDOW or nonce in self._seen:
            return False
        if not hmac.compare_digest(data[_HEAD.size :], self._mark(data[: _HEAD.size], address)):
            return False
        self._remember(nonce, when + WINDOW, now)
        return True

    def _mark(self, head: bytes, address: str) -> bytes:
        return hmac.digest(self._secret, b"ropeway bell" + head + address.encode(), "sha256")[: SIZE - _HEAD.size]

    def _remember(self, nonce: bytes, until: float, now: float) -> None:
        while self._seen:  # only what was proved is remembered, so a flood cannot fill this
            oldest = next(iter(self._seen))
            if self._seen[oldest] >= now and len(self._seen) < REMEMBERED:
                break
            del self._seen[oldest]
        self._seen[nonce] = until
