"""The command: real datagrams, connections and sockets become jobs."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ropeway


class Bridge:
    """The process, on a store of its own."""

    def __init__(self, place: Path, source: str = "syslog://127.0.0.1:0", *args: str) -> None:
        self.url = f"dir:{place}/spool?durability=os"
        command = [sys.executable, "-m", "ropeway", "bridge", source, "logs", *args]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "ROPEWAY_URL": self.url})
        assert self.process.stderr is not None
        first = self.process.stderr.readline().decode()
        assert first.startswith("syslog at "), first + self.process.stderr.read().decode()
        found = re.match(r"syslog at 127\.0\.0\.1:(\d+)", first)
        self.port = int(found[1]) if found else 0
        self.broker = ropeway.connect(self.url)

    def take(self, count: int) -> list[dict[str, Any]]:
        """The bodies of so many jobs, in their order."""
        queue, out, end = self.broker.queue("logs"), [], time.monotonic() + 30
        while len(out) < count:
            claim = queue.claim(timeout=5)
            assert time.monotonic() < end
            if claim is not None:
                out.append({**claim.data, "headers": dict(claim.headers)})
                claim.ack()
        return out

    def close(self) -> None:
        self.broker.close()
        self.process.send_signal(signal.SIGTERM)
        _, told = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, told


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge(tmp_path)
    yield made
    made.close()


def test_what_python_logs_over_udp(bridge: Bridge) -> None:
    handler = logging.handlers.SysLogHandler(("127.0.0.1", bridge.port), facility="mail")
    handler.emit(logging.LogRecord("x", logging.ERROR, "", 0, "disk %s", ("full",), None))
    handler.close()
    (line,) = bridge.take(1)
    assert (line["facility"], line["severity"], line["message"], line["host"]) == ("mail", "err", "disk full", "127.0.0.1")
    assert line["headers"] == {"facility": "mail", "severity": "err"}


def test_lines_over_tcp_none_is_lost_and_all_in_order(bridge: Bridge) -> None:
    with socket.create_connection(("127.0.0.1", bridge.port)) as sender:
        sender.sendall(b"".join(b"<13>Oct 11 22:14:15 host app[%d]: line %d\n" % (n, n) for n in range(2000)) + b"<14>without an end")
    lines = bridge.take(2001)
    assert [line["message"] for line in lines] == [*(f"line {number}" for number in range(2000)), "without an end"]
    assert lines[7]["pid"] == "7"


def test_garbage_harms_nobody(bridge: Bridge) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in (b"", b"\0\0\0", os.urandom(2000), b"<13>fine"):
            sender.sendto(data, ("127.0.0.1", bridge.port))
    for _ in range(20):
        rude = socket.create_connection(("127.0.0.1", bridge.port))
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        rude.sendall(b"99999 <")
        rude.close()
    with socket.create_connection(("127.0.0.1", bridge.port)) as sender:
        sender.sendall(b"<13>alive\n")
    messages: list[str] = []
    while "alive" not in messages or "fine" not in messages:
        messages += [line["message"] for line in bridge.take(1)]


def test_a_stopped_queue_makes_them_wait(bridge: Bridge) -> None:
    queue = bridge.broker.queue("logs")
    queue.pause(put=True, reason="deploy")
    with socket.create_connection(("127.0.0.1", bridge.port)) as sender:
        sender.sendall(b"<13>waits\n")
    assert bridge.process.stderr is not None
    assert b"deploy" in bridge.process.stderr.readline()
    queue.resume()
    assert bridge.take(1)[0]["message"] == "waits"


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "log"
    bridge = Bridge(tmp_path, f"syslog:{path}", "-p", "7")
    try:
        assert path.stat().st_mode & 0o777 == 0o700
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"<13>app: by the socket", str(path))
        (entry,) = _first(bridge)
        assert (entry.job.priority, bridge.take(1)[0]["severity"]) == (7, "notice")
        second = subprocess.run([sys.executable, "-m", "ropeway", "bridge", f"syslog:{path}", "x"], capture_output=True, timeout=30)
        assert second.returncode != 0
        assert b"already" in second.stderr
    finally:
        bridge.close()
    assert not path.exists()


def _first(bridge: Bridge) -> list[Any]:
    end = time.monotonic() + 20
    while not (found := bridge.broker.queue("logs").browse()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return list(found)


@pytest.mark.parametrize("source", ["syslog://0.0.0.0:0", "imap:", "syslog://:99999", "syslog:/"])
def test_what_is_refused(source: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ropeway", "-u", f"dir:{tmp_path}/spool", "bridge", source, "logs"]
    ended = subprocess.run(command, capture_output=True, timeout=30)
    assert ended.returncode != 0
    assert b"nothing was started" in ended.stderr
