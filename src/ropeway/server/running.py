"""The server as a process: one uvicorn on one address, until it is told to stop."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import msgspec
import uvicorn

from ..broker import Broker
from ..errors import ConfigError, Unsupported
from ..living import identity, is_dead
from .app import make_app
from .grants import Grant
from .place import Address, hosts
from .stopping import Stopping

GRACE = 10  # seconds that answers on their way get after SIGTERM
MESSAGE = 1 << 20  # bytes of one WebSocket message
IDLE = 60  # seconds that a connection may do nothing between two requests
PRESENCE = 30.0  # seconds that a server is known without a word of it


class Serving(uvicorn.Server):
    """A uvicorn that tells those who wait in long polls when it stops, and then ends as a program does that has done what it was asked."""

    def __init__(self, config: uvicorn.Config, stopping: Stopping, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()  # not before: signals are heard by now, and connections taken

    def handle_exit(self, sig: int, frame: object) -> None:  # noqa: ARG002 - as signal handlers are called
        self._stopping.begin()
        self.force_exit = self.should_exit  # told twice: at once
        self.should_exit = True


def serve(
    broker: Broker,
    at: Address,
    judge: Callable[[str], Grant | None],
    names: tuple[str, ...] = (),
    *,
    no_auth: bool = False,
    read_only: bool = False,
    cert: str = "",
    key: str = "",
    behind_proxy: bool = False,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or SIGINT. `names`: by which clients reach it, beside its address. `ready` is told the address once connections
    are taken. Raises ConfigError when the address is taken, or another server has this store already."""
    door = _listen(at)
    if not at.path:
        at = Address(at.host, door.getsockname()[1])  # the system has chosen for port 0
    stopping = Stopping()
    app = make_app(broker, judge, hosts(at, names), no_auth=no_auth, read_only=read_only, stopping=stopping)
    with Alone(broker, str(at)):
        config = uvicorn.Config(
            app,
            fd=door.fileno(),
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=MESSAGE,
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=IDLE,
            timeout_graceful_shutdown=GRACE,
            proxy_headers=behind_proxy,
            ssl_certfile=cert or None,
            ssl_keyfile=key or None,
        )
        where = str(at) if at.path else f"{'https' if cert else 'http'}://{at}"
        Serving(config, stopping, lambda: ready(where)).run(sockets=[door])


def _listen(at: Address) -> socket.socket:
    """The socket, listening. A unix socket is for its owner alone; one that a dead server has left is taken over."""
    try:
        if at.path:
            door = socket.socket(socket.AF_UNIX)
            _clear(at.path)
            before = os.umask(0o177)
            try:
                door.bind(at.path)
            finally:
                os.umask(before)
        else:
            door = socket.create_server((at.host, at.port), family=socket.AF_INET6 if ":" in at.host else socket.AF_INET, backlog=1024)
        door.listen(1024)
    except OSError as error:
        raise ConfigError(f"{at} cannot be opened: {error.strerror or error}; nothing was started. Choose another with -b") from None
    return door


def _clear(path: str) -> None:
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(path)
    except FileNotFoundError:
        return
    except OSError:
        os.unlink(path)  # nobody listens there any more
    else:
        raise ConfigError(f"another server listens at {path}; nothing was started")
    finally:
        probe.close()


class Alone:
    """One server for one embedded store: the second one notices the first and says so. By a note, which names a process that lives."""

    def __init__(self, broker: Broker, at: str) -> None:
        self._broker = broker
        self._embedded = broker.link.url.partition(":")[0] in ("dir", "sqlite")
        self._key = f"server/{broker.link.new_id()}"
        self._me = msgspec.json.encode({"at": at, "host": os.uname().nodename, "who": identity()})
        self._end: Callable[[], None] = lambda: None

    def __enter__(self) -> Alone:
        if self._embedded:
            try:
                self._look()
            except Unsupported:
                self._embedded = False
        return self

    def _look(self) -> None:
        notes = self._broker.notes
        notes.note(self._key, self._me, PRESENCE)
        for key, note in notes.notes("server/").items():
            if key < self._key and (first := _living(note)):
                notes.forget(self._key)
                raise ConfigError(
                    f"{self._broker.url} is served already, at {first}; nothing was started. One server does for all: use that one"
                )
        self._renew()

    def _renew(self) -> None:
        import threading

        ended = threading.Event()

        def stay() -> None:
            while not ended.wait(PRESENCE / 3):
                self._broker.notes.note(self._key, self._me, PRESENCE)

        threading.Thread(target=stay, name="ropeway-presence", daemon=True).start()
        self._end = ended.set

    def __exit__(self, *_: object) -> None:
        self._end()
        if self._embedded:
            self._broker.notes.forget(self._key)


def _living(note: bytes) -> str:
    """Where the server of this note is, if it lives; one on another host does until its note is over."""
    try:
        known = msgspec.json.decode(note, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return "" if is_dead(known.get("who", "")) else known.get("at", "")
