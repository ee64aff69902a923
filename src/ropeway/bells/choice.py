"""Which bell a URL asks for: `bell=on`, `bell=off` or `bell=udp://HOST:PORT`, and the secret that rings over UDP carry.

HOST is where waiting processes listen: an IP address, a name, or 0.0.0.0 or [::] for all addresses of the host. It also says how far a
ring may go: with a loopback address, or `bell=on`, never beyond the host. PORT is one port (a process that finds it taken takes the
next free one), a range such as 4711-4750, or 0 for any, which is what a missing PORT means.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ..errors import BadValue
from ..names import shown

SPAN = 64  # ports tried from a single one on: so many processes of a host may wait at once
SHORTEST_SECRET = 16  # characters: a ring that was seen on the wire can be tried against guesses without end
LONGEST_SECRET = 1024

_UDP = re.compile(r"udp://(\[[^\]/]*\]|[^:/\[\]]+)(?::([0-9]{1,5})(?:-([0-9]{1,5}))?)?/?\Z", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?\Z", re.ASCII)


class BellChoice(Struct, frozen=True):
    """The bell that was chosen. `kind`: on (the engine's own), off or udp. `far`: whether rings may leave the host.

    `first` and `last` are the ports to listen on, 0 for any. `secret` is never shown: not by repr, not in an error.
    """

    kind: str = "on"
    host: str = "127.0.0.1"
    first: int = 0
    last: int = 0
    far: bool = False
    secret: bytes = b""

    def __repr__(self) -> str:
        where = f" {self.host} {self.first}-{self.last}" if self.kind == "udp" else ""
        return f"<bell {self.kind}{where}{' with a secret' if self.secret else ''}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("bell", repr(self))]


def read_choice(options: Mapping[str, str]) -> BellChoice:
    """The choice that the options of a URL make, the secret from $ROPEWAY_BELL_SECRET when they name none. BadValue says what is wrong."""
    text = options.get("bell", "on")
    secret = _secret(options)
    if text in ("on", "off"):
        return BellChoice(text, secret=secret)
    found = _UDP.match(text)
    if not found:
        raise BadValue(f"bell={shown(text)} is not possible, choose one of: on off udp://HOST:PORT; nothing was opened")
    host, far = _host(found[1])
    first, last = _ports(found[2], found[3], text)
    return BellChoice("udp", host, first, last, far, secret)


def _host(text: str) -> tuple[str, bool]:
    from .address import is_wildcard, read_address, read_host  # not needed by those who ring no UDP

    literal = read_host(text.strip("[]"))
    if literal is not None and (":" in literal) == text.startswith("["):
        if is_wildcard(literal):
            return literal, True
        address = read_address(f"{text}:1")
        if address is not None:
            return address.host, not address.loopback
    if text == "localhost":
        return "127.0.0.1", False
    if not _NAME.match(text) or text.replace(".", "").isdigit():
        raise BadValue(
            f"{shown(text)} in bell=udp://HOST:PORT is no host: give an IP address (IPv6 in brackets), a name, or 0.0.0.0 for all "
            "addresses of this host; nothing was opened"
        )
    return text, True


def _ports(first: str | None, last: str | None, text: str) -> tuple[int, int]:
    low = int(first or 0)
    high = int(last) if last is not None else min(low + SPAN - 1, 65535) if low else 0
    if high > 65535 or high < low or (last is not None and not low):
        raise BadValue(f"bell={shown(text)}: ports go from 1 to 65535, a range from low to high, 0 means any; nothing was opened")
    return low, high


def _secret(options: Mapping[str, str]) -> bytes:
    name = "bell_secret" if "bell_secret" in options else "$ROPEWAY_BELL_SECRET"
    secret = options["bell_secret"] if "bell_secret" in options else os.environ.get("ROPEWAY_BELL_SECRET", "")
    if name[0] == "$" and not secret:
        return b""
    if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
        raise BadValue(
            f"{name} has {len(secret)} characters; a secret has {SHORTEST_SECRET} to {LONGEST_SECRET}, the same for all who share the "
            "queues; nothing was opened"
        )
    return secret.encode("utf-8", "surrogateescape")
