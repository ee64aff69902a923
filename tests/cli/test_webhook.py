"""The webhook of the guide: a durable group, curl, and another side that is away at first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import ropeway


class _Shop(BaseHTTPRequestHandler):
    """Refuses the first call, and takes all others."""

    taken: list[tuple[str, bytes]] = []
    calls = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).calls += 1
        if self.calls == 1:
            self.send_error(503)
            return
        self.taken.append((self.headers["Content-Type"], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


def test_a_webhook_is_a_group_that_posts(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no curl here: apt-get install curl")
    url = f"dir:{tmp_path}/spool?durability=os"
    server = HTTPServer(("127.0.0.1", 0), _Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    post = ["curl", "-fsS", "-o", "/dev/null", "-H", "Content-Type: application/json", "--data-binary", "@-"]
    command = [sys.executable, "-m", "ropeway", "listen", "orders.#", "--group", "shop-hook", "--run-timeout", "15s"]
    hook = subprocess.Popen([*command, "--", *post, f"http://127.0.0.1:{server.server_port}/hooks"], env={**os.environ, "ROPEWAY_URL": url})
    try:
        with ropeway.connect(url) as broker:
            end = time.monotonic() + 30
            while not broker.groups.browse():
                assert time.monotonic() < end
                time.sleep(0.02)
            for number in (1, 2):
                broker.topic("orders.created").publish({"id": number})
            broker.topic("other").publish({"id": 3})
            while len(_Shop.taken) < 2:
                assert time.monotonic() < end
                time.sleep(0.02)
        assert sorted(_Shop.taken) == [("application/json", b'{"id":1}'), ("application/json", b'{"id":2}')]
        assert _Shop.calls == 3
    finally:
        hook.terminate()
        hook.wait(20)
        server.shutdown()
        server.server_close()
