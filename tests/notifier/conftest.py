"""A notifier as a process of its own, and clients on real sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Client:
    """One connection, spoken to in bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        """The next line, with its end; what is left of one when the connection has ended."""
        while b"\n" not in self._rest:
            data = self.socket.recv(65536)
            if not data:
                line, self._rest = self._rest, b""
                return line
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"

    def lines(self, count: int) -> list[bytes]:
        return [self.line() for _ in range(count)]

    def close(self) -> None:
        self.socket.close()


class Notifier:
    """The process."""

    def __init__(self, *args: str, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "ropeway", "notifier", "-b", "127.0.0.1:0", *args]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
        assert self.process.stderr is not None
        first = self.process.stderr.readline().decode()
        found = re.search(r"127\.0\.0\.1:(\d+)", first)
        assert found, first + self.process.stderr.read().decode()
        self.port = int(found[1])
        self._clients: list[Client] = []

    def client(self, *, greeted: bool = True) -> Client:
        client = Client(self.port)
        self._clients.append(client)
        if greeted:
            assert re.fullmatch(rb"Connected\.  \(PID \d+\)\r\n", client.line())
        return client

    def end(self) -> str:
        """Stop it; what it said at the end."""
        self.process.send_signal(signal.SIGTERM)
        _, told = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, told
        return str(told.decode())

    def close(self) -> None:
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def notifier(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Notifier]:
    """One without a store; the marker `notifier` gives it options."""
    options: Any = getattr(request, "param", ())
    made = Notifier(*(option.format(tmp_path) for option in options))
    yield made
    made.close()
