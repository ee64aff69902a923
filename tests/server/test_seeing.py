"""What the page asks: who one is, failures in groups, totals, what needs a look, limits, orders and schedules; and who may."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import ropeway
from ropeway.server.attention import wanting
from ropeway.server.failures import alike, fingerprint
from ropeway.server.steering import words
from ropeway.store import Counts, Entry
from ropeway.worker.fleet import Notice

from .conftest import Server, Start

ROLES = """
[[token]]
name = "desk"
token = "the-desk-has-this-token"
observe = ["orders"]
operate = ["orders"]

[[token]]
name = "shop"
token = "the-shop-has-this-token"
produce = ["*"]
consume = ["*"]
"""
DESK, SHOP = "the-desk-has-this-token", "the-shop-has-this-token"


def _put(server: Server, queue: str, count: int = 1, **more: Any) -> None:
    for n in range(count):
        assert server.ask("POST", f"/v1/queues/{queue}/jobs?task=send", b"%d" % n, **more).status == 201


def _fail(server: Server, queue: str, error: str, **more: Any) -> None:
    (job,) = server.ask("POST", f"/v1/queues/{queue}/claims", **more).json
    assert server.post("/v1/bury", {"receipts": [job["receipt"]], "error": error}, **more).status == 200


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("SMTPError: 451 4.7.1", "SMTPError: 550 5.1.1", True),
        ("KeyError: 'ada'", "KeyError: 'bob'", True),
        ("no job 01a1ffd8386777afadfab1fd5faa77c1", "no job 01a1ffd8386777afadfab1fd5faa77c2", True),
        ("at 0x7f07df356710", "at 0x7f07df3567ff", True),
        ("ada@example.org is full", "bob@example.net is full", True),
        ("KeyError: 'ada'", "ValueError: 'ada'", False),
        ("time out", "timed out", False),
    ],
)
def test_errors_that_differ_only_by_their_job_are_alike(one: str, other: str, *, same: bool) -> None:
    assert (alike(one) == alike(other)) == same
    assert (fingerprint("send", one) == fingerprint("send", other)) == same
    assert fingerprint("send", one) != fingerprint("receive", one)


def test_the_dead_are_gathered_requeued_and_deleted(server: Server) -> None:
    _put(server, "gathered", 4)
    for n in range(3):
        _fail(server, "gathered", f"OSError: [Errno 11{n}] no route to host 10.0.0.{n}")
    _fail(server, "gathered", "ValueError: empty")
    answer = server.ask("GET", "/v1/failures?queue=gathered").json
    assert answer["complete"]
    first, second = answer["failures"]
    assert (first["count"], first["task"], first["queues"]) == (3, "send", ["gathered"])
    assert first["example"]["error"].startswith("OSError: [Errno 11")
    assert first["first"] <= first["last"]
    one = server.ask("GET", f"/v1/failures/{first['fingerprint']}").json
    assert len(one["jobs"]) == 3
    assert server.post(f"/v1/failures/{first['fingerprint']}/requeue").json == {"count": 3}
    assert server.post(f"/v1/failures/{second['fingerprint']}/delete").json == {"count": 1}
    assert server.ask("GET", "/v1/failures?queue=gathered").json["failures"] == []
    counts = server.ask("GET", "/v1/queues/gathered").json
    assert (counts["ready"], counts["dead"]) == (3, 0)
    gone = server.post(f"/v1/failures/{first['fingerprint']}/requeue")
    assert gone.status == 404
    assert "nothing was done" in gone.json["detail"]


def test_totals_are_of_what_fits(server: Server) -> None:
    _put(server, "counted", 3)
    _fail(server, "counted", "gone")
    totals = server.ask("GET", "/v1/totals?queue=counted").json
    assert (totals["totals"]["ready"], totals["totals"]["dead"], totals["exact"]) == (2, 1, True)
    assert server.ask("GET", "/v1/totals?queue=counted&error=gone").json["totals"] == {
        "ready": 0,
        "delayed": 0,
        "running": 0,
        "dead": 1,
        "done": 0,
    }
    assert server.ask("GET", "/v1/totals?queue=counted&q=2").json["totals"]["ready"] == 1
    assert server.ask("GET", "/v1/totals?state=dead").status == 400


def test_a_token_is_told_what_it_may(starter: Start, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--token-file", str(file))
    assert server.ask("GET", "/v1/me", token=DESK).json["roles"] == {"operate": ["orders"], "observe": ["orders"]}
    for queue in ("orders", "mails"):
        _put(server, queue, 2, token=SHOP)
        _fail(server, queue, "lost", token=SHOP)
    (group,) = server.ask("GET", "/v1/failures", token=DESK).json["failures"]
    assert (group["count"], group["queues"]) == (1, ["orders"]), "of the other queue it knows nothing"
    assert server.ask("GET", "/v1/totals", token=DESK).json["totals"]["ready"] == 1
    assert server.ask("GET", "/v1/totals?queue=mails", token=DESK).status == 403
    assert "mails" not in str(server.ask("GET", "/v1/attention", token=DESK).json)
    assert server.post(f"/v1/failures/{group['fingerprint']}/requeue", token=DESK).json == {"count": 1}
    assert server.ask("GET", "/v1/queues/orders", token=DESK).json["ready"] == 2
    assert server.post("/v1/queues/mails/limits", {"running": 1}, token=DESK).status == 403


def test_where_nothing_may_be_changed_that_is_told(starter: Start) -> None:
    server = starter("--read-only")
    me = server.ask("GET", "/v1/me").json
    assert me["read_only"]
    assert list(me["roles"]) == ["observe"]
    assert server.ask("GET", "/", token="").status == 200, "the page is there"


def test_limits_are_set_one_by_one(server: Server) -> None:
    assert server.post("/v1/queues/limited/limits", {"running": 3}).json == {"running": 3, "lane": 1}
    assert server.post("/v1/queues/limited/limits", {"lane": 2}).json == {"running": 3, "lane": 2}
    for wrong in ({}, {"running": -1}, {"lane": 0}, {"running": "3"}, {"other": 1}):
        assert server.post("/v1/queues/limited/limits", wrong).status == 400, wrong
    assert server.ask("GET", "/v1/queues/limited").json["limits"] == {"running": 3, "lane": 2}


def test_a_worker_takes_orders(starter: Start, tmp_path: Path) -> None:
    url = f"dir:{tmp_path}/spool?durability=os"
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES + '[[token]]\nname = "boss"\ntoken = "the-boss-has-this-token"\nobserve = ["*"]\noperate = ["*"]\n')
    file.chmod(0o600)
    server = starter("--token-file", str(file), url=url)
    server.token = "the-boss-has-this-token"
    assert server.post("/v1/workers/nobody-1-abc/orders", {"do": "ping"}).status == 404
    worker = subprocess.Popen([sys.executable, "-m", "ropeway.cli", "-u", url, "work", "mails", "--", "cat"], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (found := server.ask("GET", "/v1/workers").json["workers"]) and time.monotonic() < end:
            time.sleep(0.05)
        where = f"/v1/workers/{found[0]['id']}/orders"
        answer = server.post(where, {"do": "ping"})
        assert (answer.status, bool(answer.json.get("said"))) == (200, True), answer.body
        assert server.post(where, {"do": "resize", "slots": 3}).status == 200
        refused = server.post(where, {"do": "stop"}, token=DESK)
        assert refused.status == 403, "it works for a queue that this one may not operate"
        wrong = server.post(where, {"do": "explode"})
        assert wrong.status == 400
        assert "is no order" in wrong.json["detail"]
        assert server.post(where, {"do": "stop"}).status == 200
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.wait()


def test_a_schedule_in_words_with_its_next_ticks(starter: Start, tmp_path: Path) -> None:
    url = f"dir:{tmp_path}/spool?durability=os"
    server = starter(url=url)
    with ropeway.connect(url, config=False) as broker:
        broker.schedules.add("nightly", "0 3 * * mon-fri", "reports", {"a": 1}, tz="Europe/Berlin")
    one = server.ask("GET", "/v1/schedules/nightly").json
    assert (one["words"], one["body"], len(one["ticks"])) == ("At 03:00 on Monday through Friday", {"a": 1}, 3)
    assert one["ticks"] == sorted(one["ticks"])
    assert server.post("/v1/schedules/nightly/pause").json["ticks"] == []
    assert server.post("/v1/schedules/nightly/resume").json["state"] == "on"
    made = server.post("/v1/schedules/nightly/run").json
    assert server.ask("GET", f"/v1/jobs/{made['id']}").json["queue"] == "reports"
    assert server.post("/v1/schedules/nightly/delete").json == {"count": 1}
    for verb in ("pause", "resume", "run", "delete"):
        assert server.post(f"/v1/schedules/nightly/{verb}").status == 404


def test_words_for_a_schedule() -> None:
    assert words("every 10s") == "every 10s"
    assert words("@daily") == "At 00:00 every day"
    assert words("no schedule") == "no schedule"


def _notice(name: str, *patterns: str, at: float = 1000.0, held: int = 0) -> Notice:
    return Notice(name, "host", 1, "", 0.0, at, patterns=list(patterns), every=10.0, held=held)


def _kinds(counts: dict[str, Counts], workers: list[Notice], running: list[Entry] | None = None, paused: str | None = None) -> list[str]:
    return [row["kind"] for row in wanting(counts, workers, running or [], 1000.0, paused)]


def test_what_needs_a_look() -> None:
    waiting = {"mails": Counts(ready=3, oldest=900.0)}
    assert _kinds(waiting, []) == ["unserved"]
    assert _kinds(waiting, [_notice("w", "mail*")]) == []
    assert _kinds(waiting, [_notice("w", "pictures")]) == ["unserved"]
    assert _kinds({"mails": Counts(ready=3, oldest=990.0)}, []) == [], "not yet"
    assert _kinds({"mails": Counts(ready=3, oldest=900.0, running=1)}, []) == [], "somebody takes them, without a note"
    assert _kinds({"mails": Counts(ready=3, oldest=900.0, claim_stopped="deploy")}, []) == ["switched"]
    assert _kinds({"mails": Counts(dead=1)}, []) == ["dead"]
    assert _kinds({}, [_notice("w", "*", at=980.0)]) == []
    assert _kinds({}, [_notice("w", "*", at=960.0)]) == ["silent"]
    assert _kinds({}, [], paused="") == ["paused"]
    assert _kinds({"mails": Counts()}, []) == []


def test_a_lease_that_is_over_and_nobody_noticed() -> None:
    from ropeway.job import Job, State

    job = Job("0" * 32, "mails")
    over, fresh = (Entry(job, State.RUNNING, due, holder="web-1:7:w") for due in (980.0, 1020.0))
    (row,) = wanting({"mails": Counts(running=2)}, [], [over, fresh], 1000.0, None)
    assert row["kind"] == "stalled"
    assert "web-1:7:w" in row["text"]
