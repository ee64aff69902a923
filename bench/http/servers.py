"""The servers of a run, each a process of its own on a free port of loopback: ours on a store, the bare endpoint, beanstalkd."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent.parent


class Served:
    """One of them."""

    def __init__(self, name: str, process: subprocess.Popen[str], port: int, token: str = "") -> None:
        self.name = name
        self.process = process
        self.port = port
        self.token = token

    def memory(self) -> int:
        """Bytes that it holds in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def ours(name: str, url: str, folder: Path) -> Iterator[Served]:
    """`ropeway serve` on that store."""
    state = folder / name.replace(" ", "-")
    state.mkdir()
    command = [sys.executable, "-m", "ropeway.cli", "-u", url, "serve", "-b", "127.0.0.1:0"]
    env = {**os.environ, "XDG_STATE_HOME": str(state), "ROPEWAY_LOG": "warning"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env, cwd=HOME)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        port = int(line.rpartition(":")[2])
        yield Served(name, process, port, (state / "ropeway" / "server-token").read_text().strip())
    finally:
        process.kill()
        process.communicate()


@contextmanager
def bare() -> Iterator[Served]:
    """The endpoint that stores nothing."""
    process = subprocess.Popen([sys.executable, "-m", "bench.http.bare"], stdout=subprocess.PIPE, text=True, cwd=HOME)
    try:
        assert process.stdout is not None
        yield Served("bare starlette", process, int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


@contextmanager
def beanstalkd(folder: Path) -> Iterator[Served | None]:
    """beanstalkd, in memory as it comes; None where there is none."""
    found = shutil.which("beanstalkd", path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/sbin")
    if not found:
        print("beanstalkd is not installed (Debian: apt-get install beanstalkd): its rows are left out", flush=True)
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([found, "-l", "127.0.0.1", "-p", str(port)], text=True)
    try:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        yield Served("beanstalkd", process, port)
    finally:
        process.kill()
        process.communicate()
