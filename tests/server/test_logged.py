"""What a job has logged, asked of its worker over HTTP: while it runs, when it is done, and from the children of a process pool."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .conftest import Server, Start

APP = """
import logging, time
import ropeway

broker = ropeway.connect({url!r}, config=False)
log = logging.getLogger("shop")


@broker.task(queue="tasks", keep="1h")
def fine(n):
    log.warning("half of %d, password=hunter2", n)
    return n / 2


@broker.task(queue="tasks", keep="1h")
def slow(text):
    log.warning("at work on %s", text)
    while not ropeway.current_claim().lost.wait(0.05):
        pass


@broker.task(queue="tasks", keep="1h")
def silent():
    pass


@broker.task(queue="tasks", retry=1)
def boom():
    log.error("it is hot")
    raise ValueError("boom")
"""


def _until(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


@contextmanager
def _working(folder: Path, url: str, pool: str) -> Iterator[None]:
    (folder / f"shop_of_{pool}.py").write_text(APP.format(url=url))
    command = [
        sys.executable,
        "-m",
        "ropeway.cli",
        "-u",
        url,
        "work",
        "--app",
        f"shop_of_{pool}:broker",
        "--pool",
        pool,
        "-j",
        "2",
        "tasks",
    ]
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _log(server: Server, job: str, **more: Any) -> Any:
    return server.ask("GET", f"/v1/jobs/{job}/log", **more)


@pytest.mark.parametrize("pool", ["thread", "process"])
def test_what_a_job_logs_is_told(starter: Start, tmp_path: Path, pool: str) -> None:
    url = f"dir:{tmp_path}/spool?durability=os"
    server = starter(url=url, home=tmp_path)

    def put(task: str, body: bytes) -> str:
        path = f"/v1/queues/tasks/jobs?task={task}&keep=1h"
        return str(server.ask("POST", path, body, Content_Type="application/json").json["id"])

    with _working(tmp_path, url, pool):
        fine, boom, silent = put("fine", b"[8]"), put("boom", b"[]"), put("silent", b"[]")
        _until(lambda: server.ask("GET", f"/v1/jobs/{silent}").json["state"] == "done")
        _until(lambda: server.ask("GET", f"/v1/jobs/{fine}").json["state"] == "done")
        (line,) = _log(server, fine).json["lines"]
        assert (line["level"], line["logger"], line["text"], line["attempt"]) == ("WARNING", "shop", "half of 8, password=***", 1)
        assert not _log(server, silent).json["lines"]
        row = _until(lambda: (found := server.ask("GET", f"/v1/jobs/{boom}").json)["state"] == "dead" and found)
        assert row["history"][0]["log"].endswith("ERROR shop: it is hot")
        slow = put("slow", b'["ada"]')
        _until(lambda: _log(server, slow).json["lines"])
        assert _log(server, slow).json["lines"][0]["text"] == "at work on ada"
        assert server.post("/v1/jobs/cancel", {"ids": [slow]}).json["count"] == 1
    gone = _log(server, fine).json
    assert gone == {"lines": [], "asked": [], "silent": []}, "nobody is there that could be asked"
    assert _log(server, "0" * 32).status == 404
    assert _log(server, fine, token="wrong-token-of-nobody").status == 401
