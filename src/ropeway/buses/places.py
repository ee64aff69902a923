"""Where a listening process can be reached: a socket in a folder beside the store, or a port, on the loopback of this host or beyond."""

from __future__ import annotations

import os
import re
import socket
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from .. import living
from ..bells.address import is_wildcard, read_address
from ..bells.choice import BellChoice
from ..bells.datagram import world
from ..bells.udp import bind_first, outgoing, resolved
from ..errors import StoreError
from .frames import GREETING

BACKLOG = 128
YOUNG = 20_000_000  # ns: a folder that was changed so lately may change once more without showing it
STALE = 60.0  # seconds after which a socket that nobody listens on is removed

_UNIX = re.compile(r"unix:([0-9a-f]{32})@([0-9a-f]{12})\Z", re.ASCII)


class Refused(Exception):
    """Nobody listens at that address any more, and nobody ever will."""


class Place(Protocol):
    """How addresses are made and reached."""

    greeting: int
    """Bytes that a listener says first."""

    @property
    def tells(self) -> bool:
        """Whether a change of what is announced is seen by all who may reach it."""
        ...

    def listen(self, name: str) -> tuple[socket.socket, str]:
        """A listening socket, and its address. Raises StoreError, ConfigError."""
        ...

    def reach(self, address: str) -> socket.socket | None:
        """A socket on its way to there; None when it is not to be reached from here, or not from here alone to be judged. Raises Refused
        when it is gone for good, BlockingIOError when it has no room for one more just now, OSError for other troubles."""
        ...

    def changed(self) -> None:
        """What is announced has changed."""
        ...

    def version(self) -> int | None:
        """A number that differs once something was announced; None when that cannot be told."""
        ...

    def leave(self, address: str) -> None:
        """Nobody listens there any more."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Folder:
    """Unix sockets in a folder of the store's own. `open_folder` makes it and opens it. `local`: no other host sees it."""

    greeting = 0

    def __init__(self, open_folder: Callable[[], tuple[int, int]], local: Callable[[], bool]) -> None:
        self._open_folder = open_folder
        self._local = local
        self._fd = -1
        self._mode = 0o600

    @property
    def tells(self) -> bool:
        return self._local()

    def _folder(self) -> int:
        if self._fd < 0:
            self._fd, self._mode = self._open_folder()
        return self._fd

    def _path(self, name: str) -> str:
        return f"/proc/self/fd/{self._folder()}/{name}"  # an address holds 107 bytes, less than many a path

    def listen(self, name: str) -> tuple[socket.socket, str]:
        ear = None
        try:
            self._sweep()
            ear = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            ear.settimeout(0.0)
            ear.bind(self._path(name))
            os.chmod(name, self._mode, dir_fd=self._folder())
            ear.listen(BACKLOG)
        except OSError as error:
            if ear is not None:
                ear.close()
            raise StoreError(
                f"no socket can be made beside the store ({error.strerror or error}), so nobody could tell us of a topic; nothing was done",
                definite=True,
            ) from None
        return ear, f"unix:{name}@{living.boot()}"

    def reach(self, address: str) -> socket.socket | None:
        found = _UNIX.match(address)
        if not found:
            return None
        if found[2] != living.boot():
            if self._local():
                raise Refused
            return None
        out = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            out.settimeout(0.0)
            out.connect(self._path(found[1]))
        except (ConnectionRefusedError, FileNotFoundError):
            out.close()
            self._unlink(found[1])
            raise Refused from None
        except BaseException:
            out.close()
            raise
        return out

    def changed(self) -> None:
        os.utime(self._folder())

    def version(self) -> int | None:
        if not self._local():
            return None
        changed = os.fstat(self._folder()).st_mtime_ns
        return changed if time.time_ns() - changed > YOUNG else None

    def leave(self, address: str) -> None:
        found = _UNIX.match(address)
        if found:
            self._unlink(found[1])

    def _unlink(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self._folder())

    def _sweep(self) -> None:
        """Remove the sockets of processes that have died."""
        for name in os.listdir(self._folder()):
            with suppress(OSError, Refused):
                info = os.stat(name, dir_fd=self._folder(), follow_symlinks=False)
                if stat.S_ISSOCK(info.st_mode) and time.time() - info.st_mtime > STALE and self._local():
                    out = self.reach(f"unix:{name}@{living.boot()}")
                    if out is not None:
                        out.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Port:
    """TCP, as far as the bell of the URL may ring. `toward` is the host of the store's server."""

    greeting = GREETING
    tells = False

    def __init__(self, choice: BellChoice, toward: str) -> None:
        self._choice = choice if choice.kind == "udp" else BellChoice()
        self._toward = toward
        self._here = f"@{world() or os.uname().nodename}"[:40]

    def listen(self, name: str) -> tuple[socket.socket, str]:  # noqa: ARG002 - a port has no name
        host = resolved(self._choice.host)
        ear = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            ear.settimeout(0.0)
            if ear.family == socket.AF_INET6:
                ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            port = bind_first(ear, host, self._choice.first, self._choice.last)
            ear.listen(BACKLOG)
            own = outgoing(ear.family, self._toward) if is_wildcard(host) else host
        except BaseException:
            ear.close()
            raise
        found = read_address(f"[{own}]:{port}" if ":" in own else f"{own}:{port}")
        if found is None:
            ear.close()
            raise StoreError(f"{own} is no address at which others reach this process; nothing was done", definite=True)
        return ear, f"{found}{self._here if found.loopback else ''}"

    def reach(self, address: str) -> socket.socket | None:
        text, mark, host = address.partition("@")
        found = read_address(text)
        if found is None or not (self._choice.far or found.loopback) or found.loopback != bool(mark) or mark + host not in ("", self._here):
            return None
        out = socket.socket(found.family, socket.SOCK_STREAM)
        try:
            out.settimeout(0.0)
            out.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(BlockingIOError):  # on its way
                out.connect((found.host, found.port))
        except ConnectionRefusedError:
            out.close()
            if found.loopback:
                raise Refused from None
            raise
        except BaseException:
            out.close()
            raise
        return out

    def changed(self) -> None:
        """Nobody can tell."""

    def version(self) -> int | None:
        return None

    def leave(self, address: str) -> None:
        """The port is free again by itself."""

    def close(self) -> None:
        """There is nothing to let go of."""
