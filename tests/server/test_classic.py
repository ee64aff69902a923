"""The routes of the HTTP queues of old, as their clients use them."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest

from .conftest import Answer, Server, Start

FORM = "application/x-www-form-urlencoded"
JSON = {"Content_Type": "application/json"}


def put(server: Server, path: str, body: str, **headers: str) -> Answer:
    return server.ask("POST", path, body, **{**JSON, **headers})


def values(server: Server, path: str, **fields: str) -> Answer:
    return server.ask("POST", path, urlencode(fields), Content_Type=FORM)


def eventually(look: Any, wanted: Any) -> None:
    """For what happens a moment after an answer, within a generous time."""
    end = time.monotonic() + 30
    while (got := look()) != wanted:
        assert time.monotonic() < end, got
        time.sleep(0.02)


def test_put_and_take_the_same_json(server: Server) -> None:
    body = '{"a":  [1, 2.50, null], "\\u00e4": "x"}'
    assert (put(server, "/q/foo", body).status, server.ask("GET", "/j/foo").json["job_count"]) == (201, 1)
    got = server.ask("GET", "/q/foo")
    assert (got.status, got.body.decode(), got.headers["content-type"]) == (200, body, "application/json")
    eventually(lambda: server.ask("GET", "/v1/queues/foo").json["running"], 0)
    empty = server.ask("GET", "/q/foo")
    assert (empty.status, empty.json, empty.headers["ropeway-state"]) == (404, {"error": "no job"}, "empty")


def test_what_was_refused_of_old_is_refused_as_of_old(server: Server) -> None:
    assert "content type" in server.ask("POST", "/q/bad", "x", Content_Type="text/plain").json["error"]
    assert put(server, "/q/bad", "").status == 400
    assert put(server, "/q/bad?uniq=k", "1").status == 201
    assert put(server, "/q/bad?uniq=k", "2").json == {"error": "job already exists"}
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: put(server, "/q/race?uniq=k", "1").status, range(12))) == [201] + [400] * 11
    assert put(server, "/q/bad?delayed=soon", "1").status == 400


def test_a_closed_queue_takes_jobs_and_gives_none(server: Server) -> None:
    assert server.ask("GET", "/control/shut").json == {"queue": "shut", "status": 1}
    assert server.post("/control/shut", {"status": "stop"}).json == {"queue": "shut", "response": "updated"}
    assert put(server, "/q/shut", "1").status == 201
    closed = server.ask("GET", "/q/shut")
    assert (closed.status, closed.json, closed.headers["ropeway-state"]) == (404, {"error": "queue is closed"}, "stopped")
    assert server.ask("GET", "/control/shut").json["status"] == 0
    values(server, "/control/shut", status="start")
    assert server.ask("GET", "/q/shut").body == b"1"


def test_batches_are_objects_and_not_texts(server: Server) -> None:
    assert put(server, "/qb/many", '{"jobs": [{"n":  1}, [2], "3", null]}').status == 201
    got = server.ask("GET", "/qb/many?batch_size=3")
    assert got.json == [{"n": 1}, [2], "3"]
    assert server.ask("GET", "/qb/many").json == [None]
    assert server.ask("GET", "/qb/many").status == 404
    assert put(server, "/qb/many", '{"jobs": 1}').status == 400
    assert server.ask("PUT", "/qb/many", "1", **JSON).status == 400
    put(server, "/qb/many", '{"jobs": [1, 2]}')
    assert server.ask("DELETE", "/qb/many").status == 204
    assert server.ask("GET", "/qb/many").status == 404


def test_a_delayed_job_comes_at_its_time(server: Server) -> None:
    put(server, f"/q/later?delayed={time.time() + 1.0}", "1")
    put(server, f"/q/later?delayed={int(time.time()) - 100}", "2")
    assert server.ask("GET", "/q/later").body == b"2"
    assert server.ask("GET", "/q/later").status == 404
    eventually(lambda: server.ask("GET", "/q/later").body, b"1")


def test_counters_count_ends(server: Server) -> None:
    me = {"X_presque_workerid": "Worker_77"}
    assert server.ask("POST", "/w/tally").status == 400, "without its id"
    assert server.ask("POST", "/w/tally", **me).status == 201
    for n in range(3):
        put(server, "/q/tally", str(n))
        server.ask("GET", "/q/tally", **me)
    server.ask("PUT", "/q/tally", "2", **me, **JSON)
    eventually(lambda: server.ask("GET", "/j/tally").json["job_processed"], 3)
    info = server.ask("GET", "/j/tally").json
    assert (info["queue_name"], info["job_count"], info["job_failed"]) == ("tally", 1, 1)
    assert "Worker_77" in server.ask("GET", "/w/").json
    row = server.ask("GET", "/w/?worker_id=Worker_77").json
    assert (row["processed"], row["failed"]) == (3, 1)
    assert row["started_at"] > 1_700_000_000
    of_queue = server.ask("GET", "/w/?queue_name=tally").json
    assert (of_queue["workers_list"], of_queue["processed"], of_queue["failed"]) == (["Worker_77"], 3, 1)
    assert server.ask("DELETE", "/w/tally", **me).status == 204
    assert "Worker_77" not in server.ask("GET", "/w/").json


def test_status(server: Server) -> None:
    put(server, "/q/status-1", '{"n":  1}')
    row = server.ask("GET", "/status/status-1?with_desc=1").json
    assert row == {"queue": "status-1", "size": 1, "jobs": [{"n": 1}]}
    assert "jobs" not in server.ask("GET", "/status/status-1").json
    every = server.ask("GET", "/status/").json
    assert "status-1" in every["queues"]
    assert every["size"] >= 1
    assert server.ask("GET", "/stats/status-1").json == {"name": "status-1", "len": 1, "status": "start", "policy": "broadcast"}
    assert "status-1" in [one["name"] for one in server.ask("GET", "/stats/").json]


def test_a_virtual_queue_takes_turns(server: Server) -> None:
    for name in ("v1", "v2", "v3"):
        for n in range(2):
            put(server, f"/q/{name}", json.dumps(f"{name}-{n}"))
    how = {"type": "virtual", "queues": ["v1", "v2"]}
    assert server.post("/control/both", {**how, "action": "set"}).status == 200
    got = [server.ask("GET", "/q/both").json for _ in range(4)]
    assert sorted(got) == ["v1-0", "v1-1", "v2-0", "v2-1"]
    assert {one[:2] for one in got[:2]} == {"v1", "v2"}
    assert server.ask("GET", "/q/both").status == 404
    assert put(server, "/q/both", "1").status == 409
    assert server.post("/control/v3", {**how, "action": "set"}).status == 409, "there is a real queue of that name"
    server.post("/control/both", {"type": "virtual", "action": "set", "queues": ["v3"]})
    server.post("/control/both", {"type": "virtual", "action": "remove", "queues": ["v1", "v2"]})
    assert server.ask("GET", "/q/both").json == "v3-0"
    server.post("/control/both", {"type": "virtual", "action": "destroy"})
    assert server.ask("GET", "/q/both").status == 404


def test_a_job_that_depends_on_others_runs_after_all_have_ended(server: Server) -> None:
    put(server, "/q/dep?uniq=a", '"a"')
    put(server, "/q/dep-2?uniq=b", '"b"')
    assert put(server, "/q/dep?depends=a,dep-2:b", '"last"').status == 201
    info = server.ask("GET", "/j/dep").json
    assert (info["job_count"], info["job_waiting"]) == (1, 1)
    (a,) = server.ask("POST", "/v1/queues/dep/claims").json
    assert server.ask("GET", "/q/dep").status == 404, "a is taken, and has not ended"
    server.post("/v1/ack", {"receipts": [a["receipt"]]})
    assert server.ask("GET", "/q/dep").status == 404
    assert server.ask("GET", "/q/dep-2").json == "b"
    eventually(lambda: server.ask("GET", "/q/dep").body, b'"last"')


def test_waiting_jobs_can_be_released_and_dropped(server: Server) -> None:
    put(server, "/q/held?uniq=a&delayed=99999999999", "1")
    put(server, "/q/held?depends=a", '"one"')
    assert server.ask("POST", "/wj/held").json["released"] == 1
    assert server.ask("GET", "/q/held").json == "one"
    put(server, "/q/held?depends=a", '"two"')
    assert server.ask("DELETE", "/wj/held").json["dropped"] == 1
    assert server.ask("GET", "/q/held").status == 404


def test_values_by_forms(server: Server) -> None:
    key = values(server, "/", queue="forms", value="grüße & mehr").body.decode()
    assert key.startswith("forms:")
    got = server.ask("GET", "/q/forms").json
    assert (got["key"], got["value"]) == (key, "grüße & mehr")
    values(server, "/q/forms", msg="by msg")
    assert server.ask("GET", "/?queue=forms").body == b"by msg"
    assert server.ask("GET", "/?queue=forms").status == 404
    assert values(server, "/q/forms").status == 400


def test_a_value_past_its_ttl_is_never_given_out(server: Server) -> None:
    values(server, "/q/ttl", value="old", ttl="1")
    values(server, "/q/ttl", value="new")
    end = time.monotonic() + 1.5
    eventually(lambda: time.monotonic() > end, wanted=True)
    assert server.ask("GET", "/q/ttl").json["value"] == "new"
    assert server.ask("GET", "/q/ttl").status == 404


def test_commands(server: Server) -> None:
    def say(**command: Any) -> Any:
        return server.ask("POST", "/queue", json.dumps(command)).json

    key = say(cmd="add", queue="cmd", value="v")["key"]
    assert [say(cmd="get", queue="cmd")["count"] for _ in range(2)] == [1, 2], "soft: it stays"
    assert say(cmd="take", queue="cmd") == {"queue": "cmd", "key": key, "value": "v", "count": 2}
    assert say(cmd="get", queue="cmd")["error"] == "empty"
    key = say(cmd="add", queue="cmd", value={"n": 1})["key"]
    assert say(cmd="del", queue="cmd", key=key)["deleted"] == 1
    assert say(cmd="take", queue="cmd")["error"] == "no job"
    assert say(cmd="fly", queue="cmd")["error"].startswith("the commands")
    assert server.ask("POST", "/queue", "{").status == 400


class Reader:
    """A held-open GET of /c/."""

    def __init__(self, server: Server, queue: str) -> None:
        self.connection = http.client.HTTPConnection(server.host, timeout=60)
        self.connection.request("GET", f"/c/{queue}", headers={"Authorization": f"Bearer {server.token}"})
        self.response = self.connection.getresponse()
        assert self.response.status == 200

    def value(self) -> Any:
        return json.loads(self.response.readline())["value"]

    def close(self) -> None:
        assert self.connection.sock is None or self.connection.sock.shutdown(socket.SHUT_RDWR) is None
        self.connection.close()
        self.response.close()


@pytest.fixture
def readers(server: Server) -> Iterator[Any]:
    made: list[Reader] = []

    def make(queue: str, count: int) -> list[Reader]:
        made.extend(Reader(server, queue) for _ in range(count))
        return made[-count:]

    yield make
    for reader in made:
        reader.connection.close()


def test_streams_get_everything_by_default(server: Server, readers: Any) -> None:
    streams = readers("news", 3)
    for n in range(9):
        put(server, "/q/news", str(n))
    assert [[stream.value() for _ in range(9)] for stream in streams] == [list(range(9))] * 3
    eventually(lambda: server.ask("GET", "/v1/queues/news").json["running"], 0)


def test_or_they_take_turns(server: Server, readers: Any) -> None:
    values(server, "/p/turns", policy="roundrobin")
    assert server.ask("GET", "/p/turns").json["policy"] == "roundrobin"
    streams = readers("turns", 3)
    for n in range(9):
        put(server, "/q/turns", str(n))
    got = [[stream.value() for _ in range(3)] for stream in streams]
    assert sorted(n for one in got for n in one) == list(range(9))
    assert values(server, "/p/turns", policy="both").status == 400


def test_a_purge_closes_the_streams(server: Server, readers: Any) -> None:
    (stream,) = readers("purged", 1)
    put(server, "/q/purged", "1")
    assert stream.value() == 1
    assert server.ask("DELETE", "/q/purged").status == 204
    assert stream.response.readline() == b""


def test_a_reader_that_is_gone_takes_nothing_along(server: Server, readers: Any) -> None:
    (stream,) = readers("gone", 1)
    stream.close()
    put(server, "/q/gone", '"kept"')
    eventually(lambda: server.ask("GET", "/q/gone").body, b'"kept"')


def test_counters_policies_and_virtual_queues_outlive_the_server(starter: Start, tmp_path: Any) -> None:
    first = starter(home=tmp_path)
    put(first, "/q/a", "1")
    first.ask("GET", "/q/a")
    values(first, "/p/a", policy="roundrobin")
    first.post("/control/v", {"type": "virtual", "action": "set", "queues": ["a"]})
    first.ask("POST", "/w/a", X_presque_workerid="Worker_1")
    put(first, "/q/a?uniq=k", "2")
    put(first, "/q/a?depends=k", "3")
    eventually(lambda: b"processed" in json.dumps(first.ask("GET", "/j/a").json).encode(), wanted=True)
    end = time.monotonic() + 1.5
    eventually(lambda: time.monotonic() > end, wanted=True)
    first.process.kill()
    first.process.wait(30)
    second = starter(home=tmp_path)
    assert second.ask("GET", "/j/a").json["job_processed"] == 1
    assert second.ask("GET", "/p/a").json["policy"] == "roundrobin"
    assert second.ask("GET", "/q/v", X_presque_workerid="Worker_1").body == b"2"
    eventually(lambda: second.ask("GET", "/w/?worker_id=Worker_1").json["processed"], 1)
    second.ask("GET", "/j/a")
    eventually(lambda: second.ask("GET", "/q/v").body, b"3")


def test_bodies_of_a_policy_that_are_none(server: Server) -> None:
    for body in ("{", "[]", "1", '{"policy": 1}', "x" * ((1 << 20) + 1)):
        answer = server.ask("POST", "/p/none", body, **JSON)
        assert answer.status in (400, 413), (body[:20], answer.body)
        assert "error" in answer.json


def test_only_workers_that_registered_are_counted(server: Server) -> None:
    """Or anyone could fill the server's memory with names."""
    for name in ("Unknown_1", "../x", "a b", "x" * 500):
        put(server, "/q/strangers", "1")
        assert server.ask("GET", "/q/strangers", X_presque_workerid=name).status == 200
    eventually(lambda: server.ask("GET", "/j/strangers").json["job_processed"], 4)
    assert "Unknown_1" not in server.ask("GET", "/w/").json


def test_names_that_are_none(server: Server) -> None:
    for path in ("/c/a%20b", "/p/a%20b", "/q/a%20b", "/qb/a%20b"):
        answer = server.ask("GET", path)
        assert (answer.status, "no name" in answer.json["error"]) == (400, True), path
    assert values(server, "/p/a%20b", policy="roundrobin").status == 400


def test_a_form_of_commands(server: Server) -> None:
    key = values(server, "/queue", body='{"cmd": "add", "queue": "cmd-form", "value": "v"}').json["key"]
    assert values(server, "/queue", body='{"cmd": "take", "queue": "cmd-form"}').json["key"] == key
    answer = values(server, "/queue", **{f"field{n}": "x" for n in range(30)})
    assert (answer.status, "no form" in answer.json["error"]) == (400, True)


def test_what_waited_for_others_runs_after_a_restart(starter: Start, tmp_path: Any) -> None:
    """Its server was killed; the next one lets it go, though nobody asks it for anything."""
    first = starter(home=tmp_path)
    put(first, "/q/a?uniq=k", "1")
    put(first, "/q/a?depends=k", "2")
    (job,) = first.ask("POST", "/v1/queues/a/claims").json
    first.process.kill()
    first.process.wait(30)
    second = starter(home=tmp_path)
    assert second.post("/v1/ack", {"receipts": [job["receipt"]]}).json == {"answers": [True]}
    eventually(lambda: second.ask("GET", "/v1/queues/a").json["ready"], 1)


def test_what_waits_for_others_waits_for_its_moment_too(server: Server) -> None:
    begun = time.time()
    put(server, "/q/both-waits?uniq=k", '"first"')
    put(server, f"/q/both-waits?depends=k&delayed={begun + 3600}", '"late"')
    put(server, f"/q/both-waits?depends=k&delayed={begun - 3600}", '"due"')
    assert server.ask("GET", "/q/both-waits").json == "first"
    eventually(lambda: server.ask("GET", "/q/both-waits").body, b'"due"')
    assert server.ask("GET", "/j/both-waits").json["job_waiting"] == 1
