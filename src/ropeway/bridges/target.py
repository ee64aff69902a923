"""Where webhooks go: one address that the operator has named, and the hosts and networks that it may lead to.

A name is resolved for each new connection, each address that it leads to is judged, and the connection goes to the very address that was
judged: so a name that answers differently the next time (DNS rebinding) leads nowhere else. Without a list only public addresses are
reached. A host on the list may be private or this machine itself; what is link-local, where clouds keep their credentials, only by address.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from ..errors import ConfigError, NotAllowed
from ..names import shown

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

PORTS = {"http": 80, "https": 443}
LONGEST = 8192  # characters of a URL
TRIES = 4  # addresses of a name that are tried, at most

_URL = re.compile(r"(https?)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?(/[!-~]*|\?[!-~]*)?\Z", re.ASCII)
_ALLOWED = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?\Z", re.ASCII)
_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")


class Allowed(NamedTuple):
    """One entry of the list: a host by its name, or a network; on that port, or on any (0)."""

    host: str
    network: Network | None
    port: int


class Target:
    """The address, and what it may lead to. `allow`: HOST, HOST:PORT, ADDRESS or NETWORK/BITS; with any, nothing else is reached. `resolve`
    answers the addresses of a name. Raises ConfigError."""

    def __init__(self, url: str, allow: Sequence[str] = (), resolve: Resolve | None = None) -> None:
        found = _URL.match(url) if len(url) <= LONGEST else None
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise ConfigError("a webhook's URL holds no user and password: others see the command line; nothing was started")
        if not found or not 0 <= int(found[4] or 0) <= 65535 or found[4] == "0" or "#" in url:
            raise ConfigError(
                "a webhook goes to a URL such as https://shop.example.org/hooks, of visible ASCII characters (escape others "
                "with %), and this one is not; nothing was started"
            )
        self.scheme: str = found[1]
        self.host: str = (found[2] or found[3]).lower()
        self.port = int(found[4] or PORTS[self.scheme])
        path = found[5] or "/"
        self.path: str = path if path.startswith("/") else f"/{path}"
        self._allow = tuple(map(_entry, allow))
        self._resolve = resolve or _resolved
        self._tls = ssl.create_default_context() if self.scheme == "https" else None
        if self.scheme == "http" and not self._named() and not any(entry.network for entry in self._allow):
            raise ConfigError(
                f"http:// can be read and changed on the way; nothing was started. Take https://, or say --allow {self.host_header}"
            )
        if _literal(self.host) is not None:
            self._judged([self.host], ConfigError)

    @property
    def host_header(self) -> str:
        """The host as requests name it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """As it may be shown: the path of many a webhook is its password."""
        return f"{self.scheme}://{self.host_header}" + ("/..." if self.path != "/" else "")

    def check(self) -> None:
        """Look whether it leads to where it may, as far as that can be told now. Raises ConfigError when it does not."""
        try:
            addresses = self._resolve(self.host, self.port)
        except OSError:
            return  # the name may be known later
        self._judged(addresses, ConfigError)

    def addresses(self) -> list[str]:
        """Where to connect to, judged just now. Raises NotAllowed, or OSError when the name cannot be resolved."""
        return self._judged(self._resolve(self.host, self.port), NotAllowed)

    def connect(self, left: Callable[[], float]) -> socket.socket:
        """A connection to a judged address. `left`: how many seconds there are. Raises NotAllowed, OSError and TimeoutError."""
        failed: OSError | None = None
        for address in self.addresses():
            try:
                return self._connected(address, left)
            except TimeoutError:
                raise
            except OSError as error:
                failed = error
        raise failed or OSError(f"{shown(self.host)} has no address")

    def _connected(self, address: str, left: Callable[[], float]) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left())
            sock.connect((address, self.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return sock
            sock.settimeout(left())
            return self._tls.wrap_socket(sock, server_hostname=self.host)
        except BaseException:
            sock.close()
            raise

    def _judged(self, addresses: Sequence[str], error: type[ConfigError] | type[NotAllowed]) -> list[str]:
        """Those that may be reached, each once. Raises `error` when there is none."""
        good = [text for text in dict.fromkeys(addresses) if self._may(text)]
        if good or not addresses:
            return good[:TRIES]
        if self._allow:
            raise error(f"{self.host_header} is not on the list of --allow, or leads to an address that is not; nothing was sent")
        raise error(
            f"{self.host_header} is no public address, or leads to none; nothing was sent. If that is meant, say --allow {self.host_header}"
        )

    def _may(self, text: str) -> bool:
        address = _literal(text)
        if address is None:
            return False
        if any(entry.network is not None and address in entry.network and entry.port in (0, self.port) for entry in self._allow):
            return True
        if self._allow:
            return self._named() and not _untouchable(address)
        return _public(address)

    def _named(self) -> bool:
        return any(entry.host == self.host and entry.port in (0, self.port) for entry in self._allow)


def _entry(text: str) -> Allowed:
    """What one --allow says. Raises ConfigError."""
    try:
        if "/" in text:
            return Allowed("", ip_network(text, strict=False), 0)
        if text.count(":") > 1 and not text.startswith("["):
            return Allowed("", ip_network(text), 0)
        found = _ALLOWED.match(text)
        if found is None or int(found[3] or 0) > 65535:
            raise ValueError
        host, port = (found[1] or found[2]).lower(), int(found[3] or 0)
        return Allowed("", ip_network(host), port) if _literal(host) is not None else Allowed(host, None, port)
    except ValueError:
        raise ConfigError(
            f"{shown(text)} is nothing to allow; nothing was started. Write HOST, HOST:PORT, an address, or a network such as 10.0.0.0/8"
        ) from None


def _literal(text: str) -> Address | None:
    """The address that this text is; what is wrapped into an IPv6 address counts as what is in it."""
    try:
        address: Address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and (address in _NAT64 or (address in _COMPATIBLE and int(address) > 1)):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


def _untouchable(address: Address) -> bool:
    """What no name leads to, listed or not."""
    return address.is_link_local or address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_loopback)


def _public(address: Address) -> bool:
    local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not local and not address.is_private and not _untouchable(address)


def _resolved(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
