"""The server as a process: one uvicorn on one address, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn

from ..broker import Broker
from ..door import Address, hosts, listen
from ..errors import ConfigError
from .alone import Alone
from .app import make_app
from .grants import Grant
from .sockets import CONNECTIONS, HEADERS, Config, Crowd, Http, Socket, room
from .stopping import Stopping

GRACE = 10  # seconds that answers on their way get after SIGTERM
MESSAGE = 1 << 20  # bytes of one WebSocket message
PING = 10.0  # seconds after which a WebSocket is asked whether it is there, and in which it has to answer
IDLE = 60  # seconds that a connection may do nothing between two requests
BACKLOG = 1024
COLLECT = (10_000, 20, 20)  # a request leaves few rings behind: they are looked for after some hundreds, not after every few


class Serving(uvicorn.Server):
    """A uvicorn that looks after slow connections, tells those who wait in long polls when it stops, and then ends as a program does that
    has done what it was asked."""

    def __init__(self, config: Config, stopping: Stopping, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's own, with a time limit for the handshake of TLS."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(3)
        config, loop = self.config, asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            return Http(config, self.server_state, self.lifespan.state, loop)

        tls: dict[str, Any] = {"ssl": config.ssl, "ssl_handshake_timeout": HEADERS, "ssl_shutdown_timeout": HEADERS} if config.ssl else {}
        self.servers = [await loop.create_server(connection, sock=one, backlog=config.backlog, **tls) for one in sockets or ()]
        self.started = True
        gc.collect()
        gc.freeze()  # what is here now stays: no collection need look at it again, with all requests waiting
        gc.set_threshold(*COLLECT)
        self._ready()  # not before: signals are heard by now, and connections taken

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, (Http, Socket)):
                    connection.look(now)
        return await super().on_tick(counter)

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
    connections: int = CONNECTIONS,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or SIGINT. `names`: by which clients reach it, beside its address. `connections`: so many at once, and half as
    many from one address, unless all come from a proxy. `ready` is told the address once connections are taken. Raises ConfigError when the
    address is taken, or another server has this store already."""
    door = listen(at, BACKLOG)
    if not at.path:
        at = Address(at.host, door.getsockname()[1])  # the system has chosen for port 0
    stopping = Stopping()
    app = make_app(broker, judge, hosts(at, names), no_auth=no_auth, read_only=read_only, stopping=stopping)
    with Alone(broker, str(at)):
        config = Config(
            app,
            fd=door.fileno(),
            loop="uvloop",
            http=Http,
            ws=Socket,
            ws_max_size=MESSAGE,
            ws_ping_interval=PING,
            ws_ping_timeout=PING,
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
        _load(config, cert, key)
        _log_as_we_do()
        most = room(connections)
        config.crowd = Crowd(most, most if behind_proxy or at.path else 0)
        where = str(at) if at.path else f"{'https' if cert else 'http'}://{at}"
        Serving(config, stopping, lambda: ready(where)).run(sockets=[door])


def _load(config: Config, cert: str, key: str) -> None:
    try:
        config.load()
    except OSError as error:  # what TLS has to say of a file among them
        raise ConfigError(f"the certificate {cert} with the key {key} cannot be used: {error}; nothing was started") from None


def _log_as_we_do() -> None:
    """What uvicorn has to say goes where our own log goes, in its form: no second one, and no secrets in it."""
    theirs = logging.getLogger("uvicorn")
    theirs.handlers, theirs.propagate = logging.getLogger("ropeway").handlers, False
    theirs.setLevel(logging.WARNING)
