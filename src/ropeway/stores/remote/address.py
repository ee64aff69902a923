"""Where the server is and who asks: the URL of an http: store taken apart, and the token found."""

from __future__ import annotations

import os
import stat
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from ...errors import ConfigError
from ...url import StoreUrl

LOCAL = ("127.0.0.1", "localhost", "::1")


class Address(Struct, frozen=True):
    """A server, and the token for it; "" for none."""

    host: str
    port: int
    tls: bool
    token: str
    ca: str = ""

    @property
    def bracketed(self) -> str:
        """The host, an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def origin(self) -> str:
        """As a Host header names it."""
        host = self.bracketed
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def address(url: StoreUrl) -> Address:
    """The token is its password, or in the file that `token_file=` names, or, for a server on this
    machine, where its first start has left it. Raises ConfigError."""
    parts = urlsplit(f"{url.scheme}:{url.rest}")
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"{url.text}: {error}; nothing was opened") from None
    if not host or parts.path not in ("", "/") or parts.fragment:
        raise ConfigError(f"{url.text} names no server; nothing was opened. Write http://HOST:PORT or https://:TOKEN@HOST")
    tls = url.scheme == "https"
    if url.more.get("autostart") and (tls or host not in LOCAL):
        raise ConfigError(f"{url.text}: only a server on this machine can be started, at http://127.0.0.1:PORT; nothing was opened")
    return Address(host, port or (443 if tls else 8765), tls, _token(url, parts.password, host), url.more.get("ca", ""))


def state_folder() -> str:
    """Where ropeway keeps what is the user's own; as config.state_folder, which stands above the engines. It need not be there."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return f"{base if os.path.isabs(base) else os.path.expanduser('~/.local/state')}/ropeway"


def _token(url: StoreUrl, given: str | None, host: str) -> str:
    if given:
        return unquote(given)
    if path := url.more.get("token_file"):
        return _read(path, url.text)
    if host in LOCAL:
        own = f"{state_folder()}/server-token"
        if os.path.exists(own):
            return _read(own, url.text)
    return ""


def _read(path: str, text: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(f"{text}: the token file {path} can be read by others; nothing was opened. Type: chmod 600 {path}")
            return file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{text}: the token file {path} cannot be read: {error}; nothing was opened") from None
