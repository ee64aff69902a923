"""A server that the first client starts, once, however many come at the same moment; and workers whose server is killed under them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from ropeway.errors import ConfigError, StoreError
from ropeway.stores import open_store

from .conftest import Start


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        found: int = probe.getsockname()[1]
    return found


@pytest.fixture
def home(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of the test's own; whatever was started there is stopped."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    yield tmp_path
    for process in _serving(port):
        process.terminate()
        process.wait(30)


def _serving(port: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "serve" in words and f"127.0.0.1:{port}" in words:
            found.append(process)
    return found


def test_many_first_clients_make_one_server(home: Path, port: int) -> None:
    url = f"http://127.0.0.1:{port}?autostart={quote(f'dir:{home}/jobs?durability=os', safe='')}"
    command = [sys.executable, "-m", "ropeway.cli", "-u", url, "-o", "id", "put", "mails", "x"]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    told = [client.communicate(timeout=90) for client in clients]
    assert [client.returncode for client in clients] == [0] * 4, told
    assert len(_serving(port)) == 1
    log = home / "ropeway" / f"autostart-{port}.log"
    token = (home / "ropeway" / "server-token").read_text().strip()
    assert log.stat().st_mode & 0o077 == 0
    assert token not in log.read_text() + "".join(map("".join, told))
    direct = open_store(f"dir:{home}/jobs")
    assert direct.counts(["mails"])["mails"].ready == 4
    direct.close()


def test_the_folder_of_ones_own(home: Path, port: int) -> None:
    store = open_store(f"http://127.0.0.1:{port}?autostart=1")
    assert store.queues() == []
    assert (home / "ropeway" / "spool").is_dir()
    (server,) = _serving(port)
    server.kill()
    server.wait(30)
    assert store.queues() == [], "it is started again when it is gone"
    store.close()


def test_a_server_that_does_not_come_up_says_why(home: Path, port: int) -> None:
    store = open_store(f"http://127.0.0.1:{port}?autostart={quote('nonsense:x', safe='')}")
    with pytest.raises(StoreError, match="nonsense"):
        store.queues()
    store.close()


@pytest.mark.parametrize("where", ["http://192.0.2.1:8765", "https://127.0.0.1:8765", "http://example.org"])
def test_only_this_machine(where: str) -> None:
    with pytest.raises(ConfigError, match="on this machine"):
        open_store(f"{where}?autostart=1")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_under_workers_loses_nothing(starter: Start, tmp_path: Path, port: int, how: signal.Signals) -> None:
    """Row S7: workers rejoin by themselves, what was put is done, and what they hold meanwhile stays theirs."""
    server = starter(home=tmp_path, bind=f"127.0.0.1:{port}")
    url = f"http://:{server.token}@127.0.0.1:{port}"
    done = tmp_path / "done"
    done.mkdir()
    command = [sys.executable, "-m", "ropeway.cli", "-u", url, "work", "mails", "-j", "2", "--retries", "3"]
    work = [*command, "--", "sh", "-c", f'sleep 0.05; echo "$ROPEWAY_ID" >> {done}/$$.txt']
    env = {**os.environ, "ROPEWAY_LOG": "warning"}
    workers = [subprocess.Popen(work, env=env, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        end = time.monotonic() + 60
        while len(server.ask("GET", "/v1/workers").json["workers"]) < 2:  # who starts while there is no server ends, and says so
            assert time.monotonic() < end
            time.sleep(0.1)
        ids = []
        for number in range(120):
            ids.append(server.ask("POST", "/v1/queues/mails/jobs", json.dumps(number), Content_Type="application/json").json["id"])
            if number in (40, 80):
                server.process.send_signal(how)
                server.process.wait(30)
                server = starter(home=tmp_path, bind=f"127.0.0.1:{port}")
        end = time.monotonic() + 90
        while sum(len(file.read_text().split()) for file in done.iterdir()) < len(ids) or any(
            server.ask("GET", "/v1/queues/mails").json[state] for state in ("ready", "delayed", "running")
        ):
            assert time.monotonic() < end, server.ask("GET", "/v1/queues/mails").json
            assert all(worker.poll() is None for worker in workers), "a worker gave up"
            time.sleep(0.1)
        ran = [job for file in done.iterdir() for job in file.read_text().split()]
        assert set(ran) == set(ids)
        assert server.ask("GET", "/v1/queues/mails").json["dead"] == 0
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(60)
