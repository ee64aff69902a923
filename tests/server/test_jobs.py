"""Jobs over HTTP: put, claim with a long poll, settle, look, operate."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

import ropeway

from .conftest import Server

BODIES = [
    (b'{"a":  1, "b": 1e3, "\\u00e4": null}', "application/json"),
    ("grüße\r\n\0".encode(), "text/plain; charset=utf-8"),
    (bytes(range(256)), "application/octet-stream"),
    (b"", "application/octet-stream"),
    (b'{"broken"', "application/json"),
    (b"<script>alert(1)</script>", "text/html"),
]


@pytest.mark.parametrize(("body", "kind"), BODIES)
def test_a_body_comes_back_byte_for_byte(server: Server, body: bytes, kind: str) -> None:
    made = server.ask("POST", "/v1/queues/bytes/jobs", body, Content_Type=kind)
    assert made.status == 201
    assert made.headers["location"] == f"/v1/jobs/{made.json['id']}"
    claimed = server.ask("POST", "/v1/queues/bytes/claims")
    (job,) = claimed.json
    assert (job["id"], job["content_type"], job["attempt"]) == (made.json["id"], kind, 1)
    if "body_base64" in job:
        assert base64.b64decode(job["body_base64"]) == body
    elif kind == "application/json":
        assert body in claimed.body, "as it was written, not as somebody would write it"
    else:
        assert job["body"].encode() == body
    raw = server.ask("GET", f"/v1/jobs/{job['id']}/body")
    assert (raw.body, raw.headers["content-type"], raw.headers["ropeway-content-type"]) == (body, "application/octet-stream", kind)
    assert raw.headers["content-disposition"].startswith("attachment")
    assert server.post("/v1/ack", {"receipts": [job["receipt"]]}).json == {"answers": [True]}
    assert server.ask("GET", f"/v1/jobs/{job['id']}").status == 404


def test_options_come_by_the_query_and_headers_by_headers(server: Server) -> None:
    path = "/v1/queues/options/jobs?priority=7&delay=1h&key=k%201&ttl=2h&keep=30&lane=x&task=mail.send"
    job_id = server.ask("POST", path, b"x", **{"Ropeway-H-Tenant": "7"}).json["id"]
    row = server.ask("GET", f"/v1/jobs/{job_id}").json
    assert (row["priority"], row["state"], row["key"], row["ttl"], row["keep"]) == (7, "delayed", "k 1", 7200.0, 30.0)
    assert (row["lane"], row["task"], row["headers"]) == ("x", "mail.send", {"tenant": "7"})


def test_a_header_is_read_as_it_was_typed(server: Server) -> None:
    """Terminals and programs write UTF-8; what is not that is what HTTP once meant."""
    for sent in ("Müller".encode(), "Müller".encode("latin-1")):
        server.ask("POST", "/v1/queues/typed/jobs", b"x", **{"Ropeway-H-Name": sent.decode("latin-1")})
        (job,) = server.ask("POST", "/v1/queues/typed/claims").json
        assert job["headers"] == {"name": "Müller"}


@pytest.mark.parametrize(
    "query",
    [
        "priority=100",
        "priority=-1",
        "priority=x",
        "delay=soon",
        "nothing=1",
        "delay=1&delay=2",
        "at=tomorrow",
        "at=2030-01-01T00:00",
    ],
)
def test_a_bad_option_is_refused_and_nothing_is_stored(server: Server, query: str) -> None:
    answer = server.ask("POST", f"/v1/queues/bad/jobs?{query}", b"x")
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "nothing was" in answer.json["detail"].lower()
    assert server.ask("GET", "/v1/queues/bad").json["ready"] == 0


def test_many_as_lines(server: Server) -> None:
    lines = b'{"n": 1}\n\n{"n":  2}\n[3]'
    answer = server.ask("POST", "/v1/queues/lines/jobs", lines, Content_Type="application/x-ndjson")
    assert answer.status == 201
    assert len(answer.json["ids"]) == 3
    rows = server.ask("POST", "/v1/queues/lines/claims?limit=10").json
    assert [row["body"] for row in rows] == [{"n": 1}, {"n": 2}, [3]]
    broken = server.ask("POST", "/v1/queues/lines/jobs", b"{}\n{", Content_Type="application/x-ndjson")
    assert broken.status == 400
    assert "line 2" in broken.json["detail"]
    many = server.ask("POST", "/v1/queues/lines/jobs", b"1\n" * 1001, Content_Type="application/x-ndjson")
    assert many.status == 413
    assert server.ask("GET", "/v1/queues/lines").json["ready"] == 0


def test_a_key_that_is_taken(server: Server) -> None:
    first = server.ask("POST", "/v1/queues/keys/jobs?key=k", b"1").json
    second = server.ask("POST", "/v1/queues/keys/jobs?key=k", b"2")
    assert (second.status, second.json["type"]) == (409, "urn:ropeway:Conflict")
    kept = server.ask("POST", "/v1/queues/keys/jobs?key=k&on_conflict=keep", b"2").json
    assert kept == {"id": first["id"], "created": False}


def test_of_two_at_once_one_wins(server: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.ask("POST", "/v1/queues/race/jobs?key=k", b"x").status, range(16)))
    assert sorted(answers) == [201] + [409] * 15


def test_empty_and_stopped_are_two_answers(server: Server) -> None:
    assert server.ask("POST", "/v1/queues/off/claims").status == 204
    assert server.post("/v1/queues/off/pause", {"claim": True, "reason": "deploy"}).status == 204
    assert server.ask("POST", "/v1/queues/off/jobs", b"x").status == 201
    refused = server.ask("POST", "/v1/queues/off/claims")
    assert (refused.status, refused.json["reason"], refused.json["queue"]) == (423, "deploy", "off")
    server.post("/v1/queues/off/pause", {"put": True, "reason": "full"})
    assert server.ask("POST", "/v1/queues/off/jobs", b"x").status == 423
    server.ask("POST", "/v1/queues/off/resume")
    assert server.ask("POST", "/v1/queues/off/jobs", b"x").status == 201
    assert len(server.ask("POST", "/v1/queues/off/claims?limit=5").json) == 2


def test_a_long_poll_is_answered_by_the_put(server: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.ask, "POST", "/v1/queues/poll/claims?wait=50s")
        server.ask("POST", "/v1/queues/poll/jobs", b"x")
        assert [row["body"] for row in waiting.result(30).json] == ["x"]


def test_a_stale_receipt_is_refused(server: Server) -> None:
    server.ask("POST", "/v1/queues/stale/jobs", b"x")
    (job,) = server.ask("POST", "/v1/queues/stale/claims").json
    other = {"receipts": [job["receipt"]]}
    assert server.post("/v1/nack", other | {"error": "smtp busy", "delay": 0}).status == 200
    assert server.post("/v1/ack", other).status == 409
    (again,) = server.ask("POST", "/v1/queues/stale/claims").json
    assert again["attempt"] == 2
    mixed = server.post(
        "/v1/ack", {"acks": [{"receipt": again["receipt"], "result": {"sum": 3}, "keep": "1h"}], "receipts": [job["receipt"]]}
    )
    assert (mixed.status, mixed.json["answers"]) == (200, [False, True])
    row = server.ask("GET", f"/v1/jobs/{job['id']}").json
    assert (row["state"], row["result"], row["history"][0]["error"]) == ("done", {"sum": 3}, "smtp busy")


def test_extend_and_bury(server: Server) -> None:
    server.ask("POST", "/v1/queues/end/jobs", b"x")
    (job,) = server.ask("POST", "/v1/queues/end/claims?lease=30s").json
    assert server.post("/v1/extend", {"receipts": [job["receipt"]], "lease": "10m"}).json == {"answers": [True]}
    assert server.post("/v1/bury", {"receipts": [job["receipt"]], "error": "bad address"}).status == 200
    row = server.ask("GET", f"/v1/jobs/{job['id']}").json
    assert (row["state"], row["error"]) == ("dead", "bad address")


def test_the_operator_by_filter_and_by_id(server: Server) -> None:
    ids = [server.ask("POST", "/v1/queues/ops/jobs?delay=1h", str(n)).json["id"] for n in range(4)]
    assert server.post("/v1/jobs/requeue", {"ids": ids[:1]}).json == {"count": 1}, "by id, whatever it is"
    assert server.post("/v1/jobs/requeue", {"queue": "ops", "state": "delayed"}).json == {"count": 3}
    assert server.post("/v1/jobs/delete", {"ids": ids[:1]}).json == {"count": 1}
    moved = server.post("/v1/jobs/move", {"ids": ids[1:2], "to": "ops-2"}).json
    assert moved["count"] == 1
    assert server.post("/v1/jobs/cancel", {"ids": ids[2:3]}).json["count"] == 1
    assert server.ask("GET", "/v1/queues/ops").json["ready"] == 1
    assert server.post("/v1/queues/ops/purge").json == {"count": 1}
    assert server.post("/v1/jobs/delete", {}).status == 400, "never all of them by saying nothing"


def test_listing_by_pages(server: Server) -> None:
    for n in range(5):
        server.ask("POST", "/v1/queues/pages/jobs", f"body {n}")
    first = server.ask("GET", "/v1/jobs?queue=pages&limit=3").json
    second = server.ask("GET", f"/v1/jobs?queue=pages&limit=3&after={first['after'].replace(' ', '%20')}").json
    assert [row["body"] for row in first["jobs"] + second["jobs"]] == [f"body {n}" for n in range(5)]
    assert second["after"] is None
    assert [row["body"] for row in server.ask("GET", "/v1/jobs?q=body%203").json["jobs"]] == ["body 3"]


def test_numbers(server: Server) -> None:
    server.ask("POST", "/v1/queues/numbers/jobs", b"x")
    metrics = server.ask("GET", "/metrics").body.decode()
    assert 'ropeway_jobs{queue="numbers",state="ready"} 1' in metrics
    assert 'ropeway_puts_total{queue="numbers"} 1' in metrics
    assert "numbers.ready 1" in server.ask("GET", "/stats.txt").body.decode()
    stats = server.ask("GET", "/v1/stats").json
    assert stats["totals"]["ready"] >= 1
    assert stats["since_start"]["put"] >= 1


def test_what_is_too_large(server: Server) -> None:
    answer = server.ask("POST", "/v1/ack", json.dumps({"receipts": ["x" * (1 << 20)]}), Content_Type="application/json")
    assert answer.status == 413
    many = server.post("/v1/ack", {"receipts": ["x"] * 1001})
    assert many.status == 400
    packed = server.ask("POST", "/v1/queues/large/jobs", b"x", Content_Encoding="gzip")
    assert packed.status == 415


def test_refusals_that_say_what_to_do(server: Server) -> None:
    assert "a body of 99999999 bytes" in server.ask("POST", "/v1/queues/x/jobs", b"x", Content_Length="99999999").json["detail"]
    assert "say where to" in server.post("/v1/jobs/move", {"queue": "x"}).json["detail"]
    assert "there is none here" in server.ask("GET", "/v1/queues?x=1").json["detail"]


def test_bodies_that_are_not_what_is_asked_for(server: Server) -> None:
    for body in ("{", "[]", '{"receipts": "x"}', '{"receipts": [1]}', '{"unknown": 1}', "\xff", "[" * 100_000):
        answer = server.ask("POST", "/v1/ack", body.encode("latin-1"), Content_Type="application/json")
        assert 400 <= answer.status < 500, body[:20]
    assert server.ask("POST", "/v1/ack", b"{}", Content_Type="text/plain").status == 415


def test_schedules(server: Server) -> None:
    with ropeway.connect(f"http://:{server.token}@{server.host}", config=False) as broker:
        broker.schedules.add("nightly", "0 3 * * *", "reports", {"n": 1}, tz="Europe/Berlin")
    (row,) = server.ask("GET", "/v1/schedules").json["schedules"]
    assert (row["name"], row["expression"], row["tz"], row["queue"]) == ("nightly", "0 3 * * *", "Europe/Berlin", "reports")
    assert row["next"].endswith("Z")


def test_all_that_fit_are_called_back_and_moved_batch_by_batch(server: Server) -> None:
    lines = b"\n".join(b'{"n": %d}' % n for n in range(25))
    assert server.ask("POST", "/v1/queues/many/jobs", lines, Content_Type="application/x-ndjson").status == 201
    first = server.post("/v1/jobs/move", {"queue": "many", "to": "others", "limit": 10}).json
    assert (first["met"], first["count"]) == (10, 10)
    second = server.post("/v1/jobs/move", {"queue": "many", "to": "others", "limit": 10, "after": first["after"]}).json
    assert second["count"] == 10
    assert server.post("/v1/jobs/cancel", {"queue": "many,others", "limit": 1000}).json == {
        "met": 25,
        "count": 25,
        "running": 0,
        "after": None,
    }
    assert server.ask("GET", "/v1/queues/others").json["ready"] == 0


def test_a_lane_is_a_filter_like_any_other(server: Server) -> None:
    for lane in ("la", "la", "lb"):
        server.ask("POST", f"/v1/queues/laned/jobs?lane={lane}", b"1")
    assert server.post("/v1/jobs/delete", {"lane": "la"}).json == {"count": 2}
    assert server.post("/v1/jobs/delete", {"lane": "lb", "limit": 1000}).json["count"] == 1


@pytest.mark.parametrize("verb", ["cancel", "move", "delete", "requeue"])
def test_all_without_a_word_is_refused(server: Server, verb: str) -> None:
    assert server.post(f"/v1/jobs/{verb}", {"to": "x"} if verb == "move" else {}).status == 400
    assert server.post(f"/v1/jobs/{verb}", {"queue": "q", "to": "x", "limit": 1001}).status == 400
