"""Workers that are there before their server: after a boot of the machine nobody says who comes first."""

from __future__ import annotations

import socket
import subprocess
import sys

import ropeway

from .conftest import Start


def test_a_worker_waits_for_its_server(starter: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "ropeway.cli", "-u", url, "work", "mails", "--max-jobs", "1", "--", "cat"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stderr is not None
        said = worker.stderr.readline().decode()
        assert "cannot be reached yet, and is tried again" in said
        assert url in said
        starter("--no-auth", bind=f"127.0.0.1:{port}")
        with ropeway.connect(url) as broker:
            broker.queue("mails").put(b"hello")
        out, told = worker.communicate(timeout=60)
    assert (worker.returncode, out) == (0, b"hello"), told


def test_one_that_is_stopped_before_ends_well() -> None:
    command = [sys.executable, "-m", "ropeway.cli", "-u", "http://127.0.0.1:1", "work", "mails", "--", "cat"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as worker:
        assert worker.stderr is not None
        assert b"tried again" in worker.stderr.readline()
        worker.terminate()
        told = worker.communicate(timeout=30)[1]
    assert (worker.returncode, told) == (0, b"")
