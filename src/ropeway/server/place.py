"""Where a server may stand: the address, and what an address asks for before anything is opened there."""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

from ..errors import ConfigError
from ..names import shown

PORT = 8765
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]/\s]+))?(?::(\d{1,5}))?\Z", re.ASCII)


class Address(Struct, frozen=True):
    """Host and port, or the path of a unix socket."""

    host: str = "127.0.0.1"
    port: int = PORT
    path: str = ""

    @property
    def loopback(self) -> bool:
        """Whether nobody outside this machine can reach it."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """HOST:PORT, HOST, :PORT, [IPv6]:PORT or unix:PATH. Raises ConfigError."""
    if text.startswith("unix:"):
        if len(text) < 6 or "\0" in text:
            raise ConfigError(f"{shown(text)} is no address: unix: needs the path of a socket; nothing was started")
        return Address(path=text[5:])
    found = _ADDRESS.match(text)
    if not found or not text or int(found[3] or 0) > 65535:
        raise ConfigError(f"{shown(text)} is no address; nothing was started. Write HOST:PORT, [IPv6]:PORT or unix:PATH")
    return Address(found[1] or found[2] or "127.0.0.1", PORT if found[3] is None else int(found[3]))


def check(at: Address, *, token_file: str, cert: str, key: str, behind_proxy: bool, no_auth: bool) -> None:
    """Refuse what would leave a door open: ConfigError that says what is missing."""
    if bool(cert) != bool(key):
        raise ConfigError("--cert and --key belong together; nothing was started")
    if no_auth and (not at.loopback or token_file):
        why = "--token-file says otherwise" if token_file else f"anyone who reaches {at} could do everything"
        raise ConfigError(f"--no-auth is for loopback and unix sockets: {why}; nothing was started")
    if at.loopback:
        return
    missing = ([] if token_file else ["--token-file"]) + (
        [] if (cert and key) or behind_proxy else ["--cert and --key (or --behind-proxy)"]
    )
    if missing:
        raise ConfigError(
            f"{at} can be reached from other machines, so it needs {' and '.join(missing)}; nothing was started. "
            "For this machine alone: -b 127.0.0.1:8765"
        )


def hosts(at: Address, names: tuple[str, ...]) -> frozenset[str]:
    """What a Host header may be at this address, with the names it is known by beside its own."""
    if at.path and not names:
        return frozenset()
    own = ["127.0.0.1", "localhost", "[::1]"] if at.loopback else [f"[{at.host}]" if ":" in at.host else at.host]
    out = set()
    for name in (*own, *(name.lower() for name in names)):
        out.add(name if re.search(r":\d+\Z", name) else f"{name}:{at.port}")
        out.add(name)  # behind a proxy, or on the port that the scheme means
    return frozenset(out)
