"""Addresses that can be rung over UDP: text out of a table that others may write, so only literal IP addresses of one host pass.

    192.0.2.7:4711      [2001:db8::7]:4711      127.0.0.1:4711

Names are not looked up: whoever can write an address must not make every putter ask a name server. Broadcast, multicast, link-local
(a cloud's metadata service lives there), reserved, unspecified and mapped addresses are no address of a waiting process.
"""

from __future__ import annotations

import _socket
import re
from typing import NamedTuple

LONGEST = 96  # characters of an address as it is announced, with the mark of its host: what a table must hold

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})):([1-9][0-9]{0,4})\Z", re.ASCII)


class Address(NamedTuple):
    """Where one waiting process listens. `host` is spelled as the system spells it, so that two spellings are one address."""

    family: int
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(text: object) -> Address | None:
    """The address that the text says; None for anything else, and for an address that must not be rung. Never raises."""
    found = _ADDRESS.match(text) if isinstance(text, str) else None
    if not found or int(found[3]) > 65535:
        return None
    host = read_host(found[1] or found[2])
    if host is None or not _is_one_host(host) or (":" in host) != bool(found[1]):
        return None
    return Address(_socket.AF_INET6 if ":" in host else _socket.AF_INET, host, int(found[3]))


def read_host(text: str) -> str | None:
    """A literal IP address as the system spells it; None for what is none."""
    family = _socket.AF_INET6 if ":" in text else _socket.AF_INET
    try:
        return _socket.inet_ntop(family, _socket.inet_pton(family, text))
    except (OSError, ValueError):
        return None


def is_loopback(host: str) -> bool:
    """Whether a literal address stays on its host."""
    return host == "::1" or (":" not in host and host.startswith("127."))


def is_wildcard(host: str) -> bool:
    """Whether a literal address means all addresses of the host."""
    return host in ("0.0.0.0", "::")


def _is_one_host(host: str) -> bool:
    if ":" in host:
        packed = _socket.inet_pton(_socket.AF_INET6, host)
        local = packed[0] == 0xFE and packed[1] & 0xC0 == 0x80
        return host == "::1" or not (packed[0] == 0xFF or local or packed[:10] == bytes(10))  # the last: ::, mapped and compatible ones
    first, second = _socket.inet_pton(_socket.AF_INET, host)[:2]
    return 0 < first < 224 and (first, second) != (169, 254)
