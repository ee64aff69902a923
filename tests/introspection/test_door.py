"""The server's door into a worker: the same views, for those who may operate its queues."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ropeway
from server.conftest import Server, Start, starter

from .conftest import until

__all__ = ["starter"]

gate = threading.Event()
tasks = ropeway.Tasks()


@tasks.task(queue="q")
def waits_at_the_gate() -> None:
    gate.wait(120)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Any]:
    broker = ropeway.connect(f"dir:{tmp_path}/spool?durability=os", config=False)
    broker.include(tasks)
    gate.clear()
    waits_at_the_gate.put()
    made = broker.worker("q", concurrency=1)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    yield made
    gate.set()
    made.stop()
    thread.join(60)
    broker.close()


def _server(starter: Start, tmp_path: Path, *args: str, **more: Any) -> Server:
    return starter(*args, url=f"dir:{tmp_path}/spool?durability=os", home=tmp_path, **more)


def test_the_views_of_a_worker_over_http(starter: Start, tmp_path: Path, worker: Any) -> None:
    server = _server(starter, tmp_path)
    (row,) = until(lambda: server.ask("GET", "/v1/workers").json["workers"])
    path = f"/v1/workers/{row['id']}/inspect"
    jobs = until(lambda: [job for job in server.ask("GET", f"{path}?what=jobs").json["jobs"] if job.get("doing", {}).get("waits_for")])
    assert (jobs[0]["task"], jobs[0]["doing"]["waits_for"], jobs[0]["doing"]["function"]) == (
        "waits_at_the_gate",
        "event",
        "waits_at_the_gate",
    )
    for what in ("state", "stacks", "output", "logs", "metrics"):
        answer = server.ask("GET", f"{path}?what={what}")
        assert answer.status == 200
        assert answer.json["pid"] == row["pid"]
    assert row["id"] in [one["id"] for one in server.ask("GET", path).json["workers"]], "state, when nothing is said"
    assert server.ask("GET", f"{path}?what=flame").status == 400
    assert server.ask("GET", f"{path}?what=state&what=jobs").status == 400
    assert server.ask("GET", "/v1/workers/nobody-1-000000/inspect").status == 404
    assert server.ask("GET", path, token="").status == 401


TOKENS = """
[[token]]
name = "looks"
token = "looks-looks-looks-looks"
observe = ["*"]

[[token]]
name = "other"
token = "other-other-other-other"
operate = ["other.*"]

[[token]]
name = "right"
token = "right-right-right-right"
operate = ["q"]
"""


def test_only_for_those_who_may_operate_all_of_its_queues(starter: Start, tmp_path: Path, worker: Any) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(TOKENS)
    file.chmod(0o600)
    server = _server(starter, tmp_path, "--token-file", str(file))
    path = f"/v1/workers/{worker.id}/inspect?what=state"
    until(lambda: server.ask("GET", "/v1/workers", token="looks-looks-looks-looks").json["workers"])
    for token, status in (("looks", 403), ("other", 403), ("right", 200)):
        assert server.ask("GET", path, token="-".join([token] * 4)).status == status, token
