"""Where a door of ours may stand, and how it is opened: an address to listen at, by TCP or in the file system."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat

from msgspec import Struct

from .errors import ConfigError
from .names import shown

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]/\s]+))?(?::(\d{1,5}))?\Z", re.ASCII)


class Address(Struct, frozen=True):
    """Host and port (0: any that is free), or the path of a unix socket. `fd`: it is open already, and listens."""

    host: str = "127.0.0.1"
    port: int = 0
    path: str = ""
    fd: int = -1

    @property
    def loopback(self) -> bool:
        """Whether nobody outside this machine can reach it."""
        return bool(self.path) or is_loopback(self.host)

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str, port: int = 0) -> Address:
    """HOST:PORT, HOST, :PORT, [IPv6]:PORT or unix:PATH; `port` is meant where none is named. Raises ConfigError."""
    if text.startswith("unix:"):
        if len(text) < 6 or "\0" in text:
            raise ConfigError(f"{shown(text)} is no address: unix: needs the path of a socket; nothing was started")
        return Address(path=os.path.abspath(text[5:]))
    found = _ADDRESS.match(text)
    if not found or not text or int(found[3] or 0) > 65535:
        raise ConfigError(f"{shown(text)} is no address; nothing was started. Write HOST:PORT, [IPv6]:PORT or unix:PATH")
    return Address(found[1] or found[2] or "127.0.0.1", port if found[3] is None else int(found[3]))


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine alone."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def hosts(at: Address, names: tuple[str, ...]) -> frozenset[str]:
    """What a Host header may be at this address, with the names it is known by beside its own."""
    if at.path and not names:
        return frozenset()
    own = ["127.0.0.1", "localhost", "[::1]"] if at.loopback else [f"[{at.host}]" if ":" in at.host else at.host]
    out = set()
    for name in (*own, *(name.lower() for name in names)):
        out |= {name} if re.search(r":\d+\Z", name) else {name, f"{name}:{at.port}"}  # without: on the port that the scheme means
    return frozenset(out)


def listen(at: Address, backlog: int) -> socket.socket:
    """The socket, listening. One in the file system is for its owner alone, and so is a folder that is made for it; one that a dead process
    has left is taken over. Raises ConfigError."""
    if at.fd >= 0:
        return socket.socket(fileno=at.fd)
    try:
        if at.path:
            os.makedirs(os.path.dirname(at.path), mode=0o700, exist_ok=True)
            _clear(at.path)
            door = socket.socket(socket.AF_UNIX)
            try:
                _bind(door, at.path)
                door.listen(backlog)
            except OSError:
                door.close()
                raise
            return door
        family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
        return socket.create_server((at.host, at.port), family=family, backlog=backlog)
    except OSError as error:
        raise ConfigError(f"{at} cannot be opened: {error.strerror or error}; nothing was started. Choose another address") from None


def _bind(door: socket.socket, path: str) -> None:
    """With its mode from the first moment on: bound under a name of its own in a folder that nobody else enters, then moved."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix=".ropeway-", dir=os.path.dirname(path)) as private:
        door.bind(f"{private}/s")
        os.chmod(f"{private}/s", 0o600)
        os.rename(f"{private}/s", path)


def _clear(path: str) -> None:
    """Remove the socket that a dead process has left there. ConfigError for one that lives, and for what is no socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError as error:
            if not stat.S_ISSOCK(os.lstat(path).st_mode):  # the kernel says the same of a plain file
                raise ConfigError(f"{path} is there, and is no socket; nothing was started. Choose another address") from error
            os.unlink(path)
            return
        except OSError as error:
            raise ConfigError(f"{path} is no socket of ours ({error.strerror}); nothing was started") from None
    raise ConfigError(f"another process listens at {path}; nothing was started")
