"""The page of this process: opened by `introspect`, written to by the program, closed at its end."""

from __future__ import annotations

import atexit
import faulthandler
import os
import secrets
import signal
import ssl
import sys
import threading
from types import TracebackType
from typing import IO, Any

from ..door import Address, address, hosts, listen
from ..errors import ConfigError
from ..living import identity
from ..sight.flame import Flame
from ..sight.garbage import Pauses
from ..sight.here import here
from ..sight.output import Output
from ..sight.records import Records
from ..sight.secrets import command_line
from . import places
from .address import check
from .gate import Gate
from .routes import Routes
from .serving import Serving

ANY = "127.0.0.1:0"
BACKLOG = 64
_SIGNAL = 7  # of the real-time signals: this one has the process write down its stacks, even where the interpreter stands still

_page: Page | None = None
_lock = threading.Lock()


def introspect(
    addr: str = ANY,
    *,
    token: str | None = None,
    no_auth: bool = False,
    cert: str = "",
    key: str = "",
    behind_proxy: bool = False,
    host_names: tuple[str, ...] = (),
    output: str = "auto",
) -> Page:
    """Open the introspection page of this process, and answer it: its `url` leads there.

    `addr`: HOST:PORT (port 0 takes a free one), or unix:PATH. The page asks for a token, which stands in its `url`; `token` gives one of
    your own, `no_auth` needs none, on loopback only. A unix socket is for this user alone and asks for none. An address that others reach
    needs `cert` and `key` (PEM), or `behind_proxy`. `host_names`: by which it is reached, beside its address.
    `output`: what is heard of stdout and stderr: "auto" all of it by descriptors, but Python's own streams where that is a terminal;
    "descriptors", "streams", or "none".

    A process has one page: called again, this answers the one that is there. Raises ConfigError for an address that cannot be had, or
    another one than the page has already.
    """
    global _page
    at = address(addr)
    check(at, token=token, no_auth=no_auth, cert=cert, key=key, behind_proxy=behind_proxy)
    with _lock:
        if _page is not None:
            if addr != ANY and at not in (_page.asked, _page.at):
                raise ConfigError(f"this process has its page at {_page.address} already; nothing was opened at {at}. Close that one first")
            return _page
        door = listen(at, BACKLOG)
        secret = "" if no_auth or (at.path and token is None) else token or secrets.token_urlsafe(24)
        try:
            tls = _tls(cert, key) if cert else None
            _page = Page(at, door, secret, tls, host_names, Output(output))
        except BaseException:
            door.close()
            raise
        return _page


def current() -> Page | None:
    """The page of this process, if it has one."""
    return _page


class Page:
    """The page. `url` leads to it, with the token in it; `address` says where it is without. As a context manager it closes itself."""

    def __init__(self, at: Address, door: Any, token: str, tls: ssl.SSLContext | None, names: tuple[str, ...], output: Output) -> None:
        self.asked = at
        self.at = at if at.path else Address(at.host, door.getsockname()[1])
        self.token = token
        me = here()
        self._scheme = "https" if tls is not None else "http"
        self._ended = threading.Event()
        self._closed = False
        self._file = ""
        self._stacks: IO[bytes] | None = None
        self._output = output
        self._serving = Serving(door, Routes(Gate(hosts(self.at, names), token), self._ended), tls)
        me.records = me.records or Records()
        me.records.start()
        me.pauses = Pauses()
        me.pauses.start()
        me.flame = Flame()
        me.flame.start()
        self._printed_before = me.printed
        output.start()
        me.printed = output
        if output.death >= 0:
            self._serving.watch(output.death, output.fall_back)
        self._announce()
        self._serving.start()
        atexit.register(self.close)

    @property
    def address(self) -> str:
        """Where it is: http://HOST:PORT or unix:PATH, without the token."""
        return str(self.at) if self.at.path else f"{self._scheme}://{self.at}"

    @property
    def url(self) -> str:
        """What leads to the page: `url` in a browser, `url + "/state.json"` for a view. The token stands in it."""
        return f"{self.address}/{self.token}" if self.token and not self.at.path else self.address

    @property
    def state(self) -> dict[str, Any]:
        """What the program says of itself: a value, or a function that is asked whenever somebody looks."""
        return here().board.state

    def count(self, name: str, by: float = 1) -> None:
        """Add to a counter, such as page.count("iterations"). From any thread."""
        here().board.count(name, by)

    def close(self) -> None:
        """Close it: stdout and stderr lead where they led before, and all that was printed is passed on. May be called twice."""
        global _page
        with _lock:
            if self._closed or _page is not self:
                return
            self._closed, _page = True, None
        atexit.unregister(self.close)
        self._ended.set()
        places.withdraw(self._file)
        me = here()
        me.printed = self._printed_before
        self._output.close()
        self._serving.close()
        if self.at.path:
            places.withdraw(self.at.path)
        for one in (me.records, me.pauses, me.flame):
            if one is not None:
                one.stop()
        me.records = me.pauses = me.flame = None
        if self._stacks is not None:
            faulthandler.unregister(_number())
            self._stacks.close()
            places.withdraw(self._stacks.name)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Page {self.address}>"

    def _announce(self) -> None:
        """So that `ropeway inspect PID` finds it. What cannot be written is done without."""
        try:
            number = self._listen_for_signal()
            stacks = self._stacks.name if self._stacks is not None else ""
            url = "" if self.at.path else self.url
            self._file = places.announce(places.Place(os.getpid(), identity(), url, self.at.path, number, stacks, _title()))
        except (OSError, ConfigError):
            pass

    def _listen_for_signal(self) -> int:
        number = _number()
        if not number or signal.getsignal(number) not in (signal.SIG_DFL, None):
            return 0
        path = f"{places.folder()}/{os.getpid()}.stacks"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_APPEND, 0o600)
        self._stacks = open(path, "rb+", buffering=0, opener=lambda *_: handle)
        faulthandler.register(number, self._stacks, all_threads=True)
        return number

    def forked(self) -> None:
        """In a forked child: it prints as its parent does, and the page stays the parent's."""
        self._serving.let_go()
        self._closed = True
        atexit.unregister(self.close)
        if self._stacks is not None:
            faulthandler.unregister(_number())


def _title() -> str:
    """The program and its arguments, in short."""
    program, *words = command_line(sys.argv or [""])
    folder, name = os.path.split(program)
    return " ".join([os.path.basename(folder) if name == "__main__.py" else name, *words])[:120]


def _number() -> int:
    return signal.SIGRTMIN + _SIGNAL if hasattr(signal, "SIGRTMIN") else 0


def _tls(cert: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the certificate {cert} with the key {key} cannot be used: {error}; nothing was opened") from None
    return context


def _after_fork() -> None:
    global _page, _lock
    page, _page, _lock = _page, None, threading.Lock()
    if page is not None:
        page.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
