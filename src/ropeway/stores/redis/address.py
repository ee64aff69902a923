"""Where the server is and how it is reached: a Redis URL taken apart, in the forms that users of redis-py know.

    redis://[[user]:password@]host[:6379][/db]               one server; rediss:// the same over TLS
    redis+sentinel://[[user]:password@]h1[:26379],h2/service[/db]     the master of that service, as the sentinels name it
    redis+cluster://[[user]:password@]h1[:6379],h2           a cluster, found through any of these nodes

`rediss+sentinel:` and `rediss+cluster:` are the same over TLS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from msgspec import Struct

from ...errors import ConfigError
from ...names import shown
from ...url import StoreUrl

_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?\Z", re.ASCII)
_LOCAL = re.compile(r"(localhost|127\.[0-9.]+|::1)\Z", re.ASCII)


class Address(Struct, frozen=True):
    """How to connect. `service` is the sentinels' name of the master; `replicas`: how many must have a put before it answers."""

    kind: str  # redis, sentinel, cluster
    hosts: tuple[tuple[str, int], ...]
    tls: bool = False
    username: str | None = None
    password: str | None = None
    db: int = 0
    service: str = ""
    replicas: int = 0
    options: Mapping[str, str] = {}

    @property
    def local(self) -> bool:
        """Whether nothing of it leaves this machine."""
        return all(_LOCAL.match(host) for host, _ in self.hosts)


def read_address(url: StoreUrl) -> Address:
    """Raises ConfigError, naming what cannot be understood, without secrets."""
    if url.bell.startswith("udp:"):
        raise _bad(url, "the bell here is the server's own: bell=on, or bell=off")
    scheme, _, kind = url.scheme.partition("+")
    kind = kind or "redis"
    if not url.rest.startswith("//"):
        raise _bad(url, f"write {url.scheme}://HOST")
    place, _, path = url.rest[2:].partition("/")
    login, at, hosts = place.rpartition("@")
    user, colon, password = login.partition(":")
    parts = [unquote(part) for part in path.split("/")] if path else []
    service = parts.pop(0) if kind == "sentinel" and parts else ""
    if kind == "sentinel" and not service:
        raise _bad(url, f"name the service behind the sentinels: {url.scheme}://HOST:26379/mymaster")
    db = url.more.get("db", "")
    if parts and parts[0]:
        if db:
            raise _bad(url, "the database is given twice")
        db = parts[0]
    if len(parts) > 1 or not re.fullmatch(r"[0-9]{0,6}", db, re.ASCII):
        raise _bad(url, "the database is a number: /0")
    if kind == "cluster" and int(db or 0):
        raise _bad(url, "a cluster has only database 0")
    return Address(
        kind,
        tuple(_host(url, host, 26379 if kind == "sentinel" else 6379) for host in hosts.split(",")),
        tls=scheme == "rediss",
        username=unquote(user) or None if at else None,
        password=unquote(password) if at and colon else None,
        db=int(db or 0),
        service=service,
        replicas=_number(url, "wait"),
        options=_tls(url, scheme),
    )


def _host(url: StoreUrl, text: str, port: int) -> tuple[str, int]:
    found = _HOST.match(text or "localhost")
    if not found or int(found[2] or port) not in range(1, 65536):
        raise _bad(url, f"{shown(text)} is no host:port")
    return found[1].strip("[]"), int(found[2] or port)


def _number(url: StoreUrl, name: str) -> int:
    text = url.more.get(name, "0")
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII):
        raise _bad(url, f"{name}={shown(text)} is no number of replicas")
    return int(text)


def _tls(url: StoreUrl, scheme: str) -> dict[str, str]:
    found = {name: value for name, value in url.more.items() if name.startswith(("ssl_", "sentinel_"))}
    if scheme != "rediss" and any(name.startswith("ssl_") for name in found):
        raise _bad(url, "options of TLS need rediss://")
    if not url.scheme.endswith("+sentinel") and any(name.startswith("sentinel_") for name in found):
        raise _bad(url, "options of sentinels need redis+sentinel://")
    if found.get("ssl_cert_reqs", "required") not in ("required", "optional", "none"):
        raise _bad(url, "ssl_cert_reqs is required, optional or none")
    if found.get("ssl_check_hostname", "true").lower() not in ("true", "false"):
        raise _bad(url, "ssl_check_hostname is true or false")
    return found


def _bad(url: StoreUrl, what: str) -> ConfigError:
    return ConfigError(f"{url.text}: {what}; nothing was opened")
