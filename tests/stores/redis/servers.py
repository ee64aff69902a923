"""Servers for the tests: each started on a free port in a folder of its own, and stopped, killed or started again as the test wants."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest
import redis


def free_port() -> int:
    """A port that nobody listens on now, with the one of a cluster's bus above it."""
    while True:
        with socket.socket() as one, socket.socket() as bus:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            if port > 55_000:
                continue
            try:
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return port


def binary() -> str:
    """The server's program. Where it is missing the test is skipped, and fails in CI."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if not found:
        missing = pytest.fail if os.environ.get("CI", "").lower() not in {"", "0", "false"} else pytest.skip
        missing("no redis-server: on Debian, apt-get install redis-server")
    return str(found)


class Server:
    """One server process. `options` are those of redis-server, without the dashes."""

    def __init__(self, folder: Path, *, sentinel: bool = False, port: int = 0, **options: str) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._sentinel = sentinel
        self._options = {"appendonly": "no", **options} if not sentinel else options
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def client(self) -> redis.Redis:
        plain = {"protocol": 2} if int(redis.__version__.partition(".")[0]) >= 5 else {}
        return redis.Redis(port=self.port, password=self._options.get("requirepass"), **plain)

    def start(self) -> None:
        """Start it, again too, with what its folder holds; back when it answers."""
        command = [binary()]
        if self._sentinel:
            file = self.folder / "sentinel.conf"
            if not file.exists():
                file.write_text("")
            command += [str(file), "--sentinel"]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--daemonize", "no"]
        if not self._sentinel:
            command += ["--save", ""]
        for name, value in self._options.items():
            command += [f"--{name.replace('_', '-')}", *value.split()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self._until_up()
        except BaseException:
            self.kill()
            raise

    def _until_up(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 20
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.BusyLoadingError:
                pass
            except redis.ResponseError:
                return  # it is up, and wants something of us
            except redis.ConnectionError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.01)

    def stop(self) -> None:
        """In good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Without a word."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None


def namespace() -> str:
    """A part of a server that no other test uses."""
    return f"test-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def wipe(url: str, name: str) -> None:
    """Remove all of a namespace, also what no store object removes: the queues' names, the switches, the notes."""
    with redis.Redis.from_url(url) as client:
        keys = list(client.scan_iter(f"ropeway/{name}:*", count=10_000))
        for start in range(0, len(keys), 1000):
            client.delete(*keys[start : start + 1000])


SHARED: list[str] = []  # the URL of the server that tests share, once there is one
