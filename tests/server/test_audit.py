"""The audit record (S18): what operators have done, by whatever way they came."""

from __future__ import annotations

import time
from pathlib import Path

import ropeway

from .conftest import Server, Start
from .test_gate import ROLES, WHO


def test_s18_what_operators_do_is_recorded(starter: Start, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--token-file", str(file))
    job = server.ask("POST", "/v1/queues/orders/jobs", b"x", token=WHO["shop"]).json["id"]
    began = time.time()
    server.post("/v1/queues/orders/pause", {"claim": True, "reason": "stock taking"}, token=WHO["desk"])
    server.post("/v1/jobs/delete", {"ids": [job]}, token=WHO["desk"])
    assert server.ask("GET", "/v1/audit", token=WHO["shop"]).status == 403
    acts = server.ask("GET", "/v1/audit?limit=2", token=WHO["desk"]).json["acts"]
    assert [(act["who"], act["path"], act["status"]) for act in acts] == [
        ("desk", "/v1/jobs/delete", 200),
        ("desk", "/v1/queues/orders/pause", 204),
    ]
    assert acts[0]["which"] == {"ids": [job]}
    assert acts[1]["which"] == {"claim": True, "reason": "stock taking"}
    assert all(began - 5 < act["at"] < time.time() + 5 and act["address"] == "127.0.0.1" for act in acts)
    server.stop()
    said = [line for line in server.said if "ropeway.audit" in line]
    assert any("/v1/jobs/delete" in line and job in line and "desk" in line for line in said)


def test_s18_by_whatever_way_they_came(server: Server) -> None:
    """By the engine http:, as the command line has it, and by the commands of old."""
    with ropeway.connect(f"http://:{server.token}@{server.host}", config=False) as far:
        queue = far.queue("s18")
        queue.put(b"x")
        queue.pause(reason="stock taking")
        queue.purge()
        far.pause("all of it")
        far.resume()
    key = server.post("/queue", {"cmd": "add", "queue": "s18", "value": "v"}).json["key"]
    server.post("/queue", {"cmd": "del", "key": key})
    acts = server.ask("GET", "/v1/audit?limit=5").json["acts"][::-1]
    assert [act["which"] for act in acts] == [
        {"verbs": ["pause"], "queues": ["s18"], "claim": True, "reason": "stock taking"},
        {"verbs": ["delete"], "queues": ["s18"], **acts[1]["which"]},
        {"verbs": ["note"], "everything": "pause"},
        {"verbs": ["forget"], "everything": "resume"},
        {"cmd": "del", "queue": "s18", "key": key},
    ]
