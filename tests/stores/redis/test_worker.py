"""A whole worker on a server that is killed and started again under it: it goes on by itself, and everything is done."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from ropeway.errors import StoreError

from .conftest import Opener, Serve, make


def test_a_worker_outlives_its_server(serve: Serve, opened: Opener, tmp_path: Path) -> None:
    server = serve(appendonly="yes", appendfsync="always")
    done = tmp_path / "done"
    done.touch()
    command = [
        sys.executable,
        "-m",
        "ropeway",
        "-u",
        f"{server.url}?timeout=2s",
        "work",
        "q",
        "--",
        "sh",
        "-c",
        f"cat >> {done}; echo >> {done}",
    ]
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
    try:
        store = opened(server.url)
        expected = []
        for turn in range(3):
            bodies = [f"{turn}-{number}" for number in range(5)]
            jobs = [make(body=body.encode()) for body in bodies]
            deadline = time.monotonic() + 40
            while True:  # the same jobs again: their ids make that safe
                try:
                    store.put(jobs)
                    break
                except StoreError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            expected += bodies
            while not set(expected) <= set(done.read_text().split()):
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.02)
            if turn < 2:
                server.kill()
                server.start()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        counts = opened(server.url).counts(["q"])["q"]
        assert (counts.ready, counts.running, counts.dead) == (0, 0, 0)
    finally:
        worker.kill()
        worker.wait()
