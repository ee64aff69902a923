"""WebSockets: who may open one, and what is said in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .conftest import Server, Start
from .test_classic import eventually, put
from .test_gate import ROLES, SOCKETS, WHO


def dial(server: Server, path: str = "/v1/ws", token: str | None = None, **headers: str) -> ClientConnection:
    """An open socket; raises InvalidStatus."""
    known = {name.replace("_", "-"): value for name, value in headers.items()}
    given = server.token if token is None else token
    if given:
        known["Authorization"] = f"Bearer {given}"
    return connect(f"ws://{server.host}{path}", additional_headers=known, open_timeout=30, proxy=None)


@pytest.fixture
def say(server: Server) -> Iterator[Any]:
    """Says one thing and returns the answer to it."""
    with dial(server) as talk:

        def ask(**message: Any) -> Any:
            talk.send(json.dumps(message))
            return json.loads(talk.recv(30))

        ask.talk = talk  # type: ignore[attr-defined]
        yield ask


def test_a_job_from_put_to_ack(say: Any, server: Server) -> None:
    made = say(n=1, op="put", queue="ws", body={"to": "ada"}, priority=10, headers={"a": "1"})
    assert made["n"] == 1
    told = say(n=2, op="claim", queue="ws", limit=5)
    (job,) = told["jobs"]
    assert (told["n"], job["id"], job["body"], job["priority"], job["headers"]) == (2, made["id"], {"to": "ada"}, 10, {"a": "1"})
    assert say(n=3, op="extend", receipts=[job["receipt"]], lease="1m") == {"n": 3, "answers": [True]}
    assert say(n=4, op="ack", receipts=[job["receipt"]], result=[1], keep="1m") == {"n": 4, "answers": [True]}
    assert server.ask("GET", f"/v1/jobs/{job['id']}").json["result"] == [1]
    assert say(n=5, op="ack", receipts=[job["receipt"]]) == {"n": 5, "answers": [False]}


def test_a_claim_that_waits_does_not_hold_up_the_rest(say: Any) -> None:
    say.talk.send(json.dumps({"n": 1, "op": "claim", "queue": "ws-wait", "wait": 60}))
    assert "id" in say(n=2, op="put", queue="ws-other", body=1)
    say.talk.send(json.dumps({"n": 3, "op": "put", "queue": "ws-wait", "body": 2}))
    told = [json.loads(say.talk.recv(30)) for _ in range(2)]
    assert sorted(one["n"] for one in told) == [1, 3]


def test_what_a_closed_connection_held_goes_back_uncounted(server: Server) -> None:
    put(server, "/v1/queues/ws-held/jobs", "1")
    with dial(server) as talk:
        talk.send(json.dumps({"n": 1, "op": "claim", "queue": "ws-held"}))
        assert json.loads(talk.recv(30))["jobs"][0]["attempt"] == 1
    eventually(lambda: server.ask("GET", "/v1/queues/ws-held").json["ready"], 1)
    (job,) = server.ask("POST", "/v1/queues/ws-held/claims").json
    assert job["attempt"] == 1


def test_bad_messages(say: Any) -> None:
    for text in ("{", "[]", '{"op": 1}', '{"op": "put", "unknown": 1}'):
        say.talk.send(text)
        assert json.loads(say.talk.recv(30))["problem"]["status"] == 400
    for message in (
        {"op": "fly"},
        {"op": "put", "queue": "../x"},
        {"op": "ack"},
        {"op": "claim", "queue": "q", "limit": 0},
        {"op": "put", "queue": "q", "priority": 100},
    ):
        assert say(n=7, **message)["problem"]["status"] == 400
    say.talk.send("x" * ((1 << 20) + 1))
    with pytest.raises(ConnectionClosed):
        while True:
            say.talk.recv(30)


def test_a_refusal_says_whose_it_is(say: Any) -> None:
    assert say(n=3, op="put", queue="q", priority="high")["n"] == 3
    assert say(n=4, op="claim", queue="q", lease=0.001)["problem"]["status"] == 400, "as over HTTP"


def test_a_message_that_is_no_text_is_refused_and_the_talk_goes_on(say: Any) -> None:
    say.talk.send(b'{"n": 1, "op": "put", "queue": "ws-bytes"}')
    assert "no text" in json.loads(say.talk.recv(30))["problem"]["detail"]
    assert "id" in say(n=2, op="put", queue="ws-bytes", body=1)


def test_who_is_refused_is_no_error_of_the_server(starter: Start) -> None:
    server = starter()
    for path, token in (("/v1/ws", "x" * 43), ("/v1/nothing", None), ("/ws/a%20b", None)):
        with pytest.raises(InvalidStatus) as caught:
            dial(server, path, token)
        assert json.loads(caught.value.response.body or b"{}")["status"] == caught.value.response.status_code
    assert server.stop() == 0
    assert [line for line in server.said if "ERROR" in line] == []


@pytest.mark.parametrize("door", SOCKETS)
def test_nobody_gets_in_without_a_token_or_from_elsewhere(server: Server, door: Any) -> None:
    path = door.path.replace("{q}", "x")
    for given in ({"token": ""}, {"token": "x" * 43}):
        with pytest.raises(InvalidStatus) as caught:
            dial(server, path, **given)
        assert caught.value.response.status_code == 401
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        with pytest.raises(InvalidStatus) as caught:
            dial(server, path, **headers)
        assert caught.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as caught:
        dial(server, "/v1/nothing")
    assert caught.value.response.status_code == 404


def test_roles_hold_in_a_conversation(starter: Start, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--token-file", str(file))
    with dial(server, token=WHO["shop"]) as talk:
        for message, status in (
            ({"op": "put", "queue": "orders", "body": 1}, None),
            ({"op": "put", "queue": "elsewhere", "body": 1}, 403),
            ({"op": "claim", "queue": "orders"}, 403),
            ({"op": "ack", "receipts": ["x"]}, 403),
        ):
            talk.send(json.dumps(message))
            assert json.loads(talk.recv(30)).get("problem", {}).get("status") == status, message
    with pytest.raises(InvalidStatus) as caught:
        dial(server, "/ws/orders", token=WHO["shop"])
    assert caught.value.response.status_code == 403


def test_the_old_feed(server: Server) -> None:
    with dial(server, "/ws/ws-feed") as talk:
        talk.send("hello")
        assert talk.recv(30) == "hello"
        put(server, "/q/ws-feed", '{"n": 1}')
        assert json.loads(talk.recv(30))["value"] == {"n": 1}
        server.ask("DELETE", "/q/ws-feed")
        with pytest.raises(ConnectionClosed):
            talk.recv(30)


def test_sigterm_ends_conversations(starter: Start) -> None:
    server = starter()
    put(server, "/q/x", "1")
    with dial(server) as talk:
        talk.send(json.dumps({"n": 1, "op": "claim", "queue": "empty", "wait": 200}))
        assert server.stop() == 0
        with pytest.raises(ConnectionClosed):
            talk.recv(30)
