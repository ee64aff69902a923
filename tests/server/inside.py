"""Servers inside the test's own process, on the test's clock: for what must be seen from both sides."""

from __future__ import annotations

import itertools
import threading
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from ropeway.broker import Broker
from ropeway.clock import SYSTEM, Clock
from ropeway.link import Link
from ropeway.server import Grant, make_app
from ropeway.server.grants import EVERYTHING
from ropeway.server.stopping import Stopping


class House:
    """One uvicorn on a real socket, in a thread, for all servers of a test run: starting one takes longer than most tests. Which of them is
    meant is told by the token."""

    def __init__(self) -> None:
        self.apps: dict[str, ASGIApp] = {}
        self.numbers = itertools.count(1)
        config = uvicorn.Config(self, port=0, log_config=None, access_log=False, loop="uvloop", http="httptools", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.002)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")
        await self.apps[token](scope, receive, send)


_house: list[House] = []


class Inside:
    """`with Inside("memory:", clock) as url: ...`."""

    def __init__(self, store: str, clock: Clock = SYSTEM) -> None:
        if not _house:
            _house.append(House())
        self.broker = Broker(Link(store, clock), config=False)
        self.stopping = Stopping()
        self._token = f"server-{next(_house[0].numbers)}"
        everything = Grant("test", EVERYTHING)
        self._app = make_app(self.broker, lambda _: everything, stopping=self.stopping)

    def start(self) -> str:
        _house[0].apps[self._token] = self._app
        return f"http://:{self._token}@127.0.0.1:{_house[0].port}"

    def stop(self) -> None:
        self.stopping.begin()
        _house[0].apps.pop(self._token, None)
        self.broker.close()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
