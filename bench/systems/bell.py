"""The floors' wake-up on one machine: a datagram to a name made of the place."""

from __future__ import annotations

import socket
from hashlib import sha256


class Bell:
    """One side rings, the other waits; which is which shows at the first call."""

    def __init__(self, place: str) -> None:
        self._address = f"\0bench.{sha256(place.encode()).hexdigest()[:16]}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def ring(self, what: bytes = b"!") -> None:
        self._socket.sendto(what, self._address)

    def listen(self) -> None:
        self._socket.bind(self._address)

    def wait(self) -> bytes:
        return self._socket.recv(64)

    def close(self) -> None:
        self._socket.close()
