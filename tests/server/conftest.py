"""A real server in a process of its own, and a client that says everything by hand."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A process of `ropeway serve`, and one way to ask it."""

    def __init__(self, process: subprocess.Popen[str], where: str, token: str) -> None:
        self.process = process
        self.where = where
        self.token = token
        self.said: list[str] = []  # what it has written to stderr
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    def _hear(self) -> None:
        """A pipe that nobody reads would stop the server when it is full."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    @property
    def host(self) -> str:
        return self.where.removeprefix("http://")

    def ask(self, method: str, path: str, body: bytes | str | None = None, *, token: str | None = None, **headers: str) -> Answer:
        """One request on a connection of its own. `token`: "" sends none."""
        known = {name.replace("_", "-"): value for name, value in headers.items()}
        given = self.token if token is None else token
        if given:
            known["Authorization"] = f"Bearer {given}"
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body, known)
            response = connection.getresponse()
            kind = (response.getheader("content-type") or "").partition(";")[0]
            endless = response.status == 200 and kind in ("application/x-ndjson", "text/event-stream")
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, b"" if endless else response.read()
            )
        finally:
            connection.close()

    def post(self, path: str, value: object = None, **more: Any) -> Answer:
        """POST as JSON."""
        return self.ask("POST", path, json.dumps({} if value is None else value), Content_Type="application/json", **more)

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(30)
        self._hearing.join(30)
        return code


Start = Callable[..., Server]


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts servers that end with the module. `url`: their store, a folder of their own by default."""
    begun: list[Server] = []

    def start(*args: str, url: str = "", home: Path | None = None, bind: str = "127.0.0.1:0", log: str = "") -> Server:
        folder = home or tmp_path_factory.mktemp("home")
        where = url or f"dir:{folder}/spool?durability=os"
        command = [sys.executable, "-m", "ropeway.cli", "-u", where, "serve", "-b", bind, *args]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "XDG_STATE_HOME": str(folder), "ROPEWAY_LOG": log}
        )
        assert process.stderr is not None
        line = process.stderr.readline()
        if " at http" not in line:
            process.kill()
            raise AssertionError(f"it did not start: {line}{process.communicate()[1]}")
        token = (folder / "ropeway" / "server-token").read_text().strip() if (folder / "ropeway" / "server-token").exists() else ""
        begun.append(Server(process, line.rpartition(" at ")[2].strip(), token))
        return begun[-1]

    yield start
    for server in begun:
        if server.process.poll() is None:
            server.stop()
        assert server.process.stderr is not None
        server.process.stderr.close()


@pytest.fixture(scope="module")
def server(starter: Start) -> Server:
    """One server for the tests of a module; each takes queues of its own."""
    return starter()
