"""One connection: what all handles of one `connect` share: the store, the clock, the maker of ids, who we are, who listens."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from weakref import WeakSet

from .clock import SYSTEM, Clock
from .errors import StoreError
from .events import Listener
from .ids import IdMaker
from .job import Job
from .store import Holder, Limits, Store
from .stores import open_store

if TYPE_CHECKING:
    from .options import Settings

T = TypeVar("T")

_links: WeakSet[Link] = WeakSet()  # whom a fork concerns
_inherited: list[object] = []  # stores of the parent: never used here, and never collected, since collecting could close them


class Tracing(Protocol):
    """Somebody who follows jobs from process to process (otel.py): goes around puts and calls."""

    def put(self, jobs: Sequence[Job], store: Callable[[Sequence[Job]], T], /) -> T: ...
    async def aput(self, jobs: Sequence[Job], store: Callable[[Sequence[Job]], Awaitable[T]], /) -> T: ...
    def calling(self, call: Any, /) -> Callable[[], None]: ...


class Link:
    """A store and what belongs to it. Opens nothing until `store` is first asked for; may be used from any thread.

    After a fork the child opens a store of its own at the next use, and leaves the parent's alone.
    """

    def __init__(self, url: str, clock: Clock = SYSTEM, *, name: str = "", opener: Callable[[str, Clock], Store] = open_store) -> None:
        self.url = anchored(url)
        self.clock = clock
        self.new_id = IdMaker(time.time_ns, os.urandom)
        self.settings_of: Callable[[str], Settings | None] = lambda _: None  # what the configuration says of a queue
        self.configured: Callable[[], dict[str, Settings]] = dict  # all that it says of queues, by name
        self.limits: Callable[[], dict[str, Limits]] = dict  # what it says of limits, by queue
        self.listeners: tuple[Listener, ...] = ()
        self.tracing: Tracing | None = None
        self.closed = False
        self.facade: object = None  # the awaitable side, made by aio at its first use
        self.mailroom: object = None  # where the answers of calls come in, made by calls at its first use
        self.endings: object = None  # those who wait for the ends of jobs, likewise
        self.census: object = None  # what groups there are, likewise
        self.at_close: list[Callable[[], None]] = []  # what must end before the store does, last one first; forgotten in a forked child
        self._name = name or _program()
        self._opener = opener
        self._lock = threading.RLock()
        self._bare: Store | None = None
        self._store: Store | None = None
        self._wrap: Callable[[Store], Store] | None = None
        self._holders: dict[bool, Holder] = {}
        _links.add(self)

    @property
    def store(self) -> Store:
        """The store, opened at first use. Raises ConfigError for a URL that names none, StoreError after `close`."""
        return self._store or self._open()

    @property
    def opened(self) -> bool:
        """Whether the store was asked for already, in this process."""
        return self._store is not None

    def _open(self) -> Store:
        with self._lock:
            if self.closed:
                raise StoreError("this connection was closed; nothing was done. Call ropeway.connect again", definite=True)
            if self._bare is None:
                self._bare = self._opener(self.url, self.clock)
            store = self._bare
            if self.listeners:
                from .stores.watched import Watched

                store = cast("Store", Watched(store, self.listeners, self.clock))
            if self._wrap is not None:
                store = self._wrap(store)
            self._store = store
            return store

    def share(self, make: Callable[[], object], what: str = "facade") -> object:
        """The `facade`, `mailroom`, `endings` or `census`, made by `make` if there is none yet: one for all threads."""
        with self._lock:
            made = getattr(self, what)
            if made is None:
                made = make()
                setattr(self, what, made)
            return made

    def on(self, listener: Listener) -> None:
        """Tell `listener` of every event from now on."""
        with self._lock:
            self.listeners = (*self.listeners, listener)
            self._store = None  # wrapped anew at the next use

    def tap(self, wrap: Callable[[Store], Store] | None) -> None:
        """From now on every verb goes through what `wrap` makes of the store; None: through nothing, as at first."""
        with self._lock:
            self._wrap = wrap
            self._store = None

    def holder(self, bound: bool = True) -> Holder:
        """Who claims here: "host:pid:name". `bound`: its claims end with this process (store.Holder)."""
        return self._holders.get(bound) or self._holders.setdefault(
            bound, Holder(f"{_word(os.uname().nodename)}:{os.getpid()}:{self._name}", bound)
        )

    def close(self) -> None:
        """Let go of the store. What is claimed stays claimed until its lease ends. May be called twice."""
        with self._lock:
            before, self.at_close = self.at_close[::-1], []
        for end in before:  # outside the lock: these may wait for threads that want the store
            end()
        with self._lock:
            bare, self._bare, self._store, self.closed = self._bare, None, None, True
        if bare is not None:
            bare.close()

    def forked(self) -> None:
        """In the child, right after a fork: forget what is the parent's, close nothing of it."""
        _inherited.extend((self._bare, self._store, self.at_close, self.facade, self.mailroom, self.endings))
        self._lock = threading.RLock()
        self._bare = self._store = None
        self._holders = {}
        self.at_close, self.facade, self.mailroom, self.endings, self.census = [], None, None, None, None
        self.new_id.reseed()


def _after_fork() -> None:
    for link in list(_links):
        link.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _program() -> str:
    return _word(os.path.basename(sys.argv[0] if getattr(sys, "argv", None) else "").removesuffix(".py") or "python")


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:64] or "_"


def anchored(url: str, folder: str = "") -> str:
    """The URL with a relative folder made absolute, from `folder` or the working directory: a daemon that forks and changes to / must
    not open another store than its parent meant."""
    scheme, _, rest = url.partition(":") if isinstance(url, str) else ("", "", "")
    path, mark, options = rest.partition("?")
    if scheme not in ("dir", "sqlite") or not path or path.startswith(("/", "%2F", "%2f", ":")):
        return url
    try:
        above = folder or os.getcwd()
    except OSError:  # it was removed under us: the engine says so when it opens
        return url
    return f"{scheme}:{escaped(above)}/{path}{mark}{options}"


def escaped(path: str) -> str:
    """A path as it may stand in a URL."""
    return path.replace("%", "%25").replace("?", "%3F")
