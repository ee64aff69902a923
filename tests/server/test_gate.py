"""The gate: every door, method and upgrade; tokens and roles; Host and Origin. The doors are taken from the table itself."""

from __future__ import annotations

import base64
import http.client
import itertools
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import ropeway
from ropeway.server.app import make_app
from ropeway.server.doors import SOCKET, Door
from ropeway.server.grants import Role

from .conftest import Server, Start

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND")

ROLES = """
[[token]]
name = "shop"
token = "the-shop-has-this-token"
produce = ["orders", "mail-*", "!mail-secret"]

[[token]]
name = "worker"
token = "the-worker-has-this-token"
consume = ["orders"]

[[token]]
name = "desk"
token = "the-desk-has-this-token"
operate = ["orders"]
observe = ["orders"]

[[token]]
name = "former"
token = "the-former-has-this-token"
produce = ["*"]
expires = 2020-01-01T00:00:00Z
"""


def _doors() -> list[Door]:
    with ropeway.connect("memory:", config=False) as broker:
        return list(make_app(broker, lambda _: None).table)


DOORS = [door for door in _doors() if door.method != SOCKET]
SOCKETS = [door for door in _doors() if door.method == SOCKET]
PATHS = sorted({door.path.replace("{q}", "orders").replace("{id}", "0" * 32).replace("{task}", "t") for door in DOORS})
OPEN = frozenset({door.path.replace("{q}", "orders").replace("{id}", "0" * 32).replace("{task}", "t") for door in DOORS if door.open})


@pytest.fixture(scope="module")
def roles(starter: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    file = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    return starter("--token-file", str(file))


@pytest.mark.parametrize(
    ("method", "path"), list(itertools.product(METHODS, [*PATHS, "/", "/nothing", "/v1", "/healthz/", "//healthz", "/x/../healthz"]))
)
def test_without_a_token_nothing_opens_but_health(server: Server, method: str, path: str) -> None:
    answer = server.ask(method, path, token="")
    if path in OPEN and method in ("GET", "HEAD"):
        assert answer.status == (404 if path.endswith("/{file}") else 200)  # health, and the page's own files, which tell nothing
    else:
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("token", ["x" * 43, "", "0", "MXVf", "é" * 20, "' or 1=1 --"])
def test_a_wrong_token_is_as_good_as_none(server: Server, token: str) -> None:
    given = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    assert server.ask("GET", "/v1/queues", token="", **given).status == 401
    assert server.ask("GET", "/v1/queues", token="", Authorization="Basic !!!").status == 401
    assert server.ask("GET", "/v1/queues", token="", Authorization=server.token).status == 401


def test_the_token_may_be_the_password_of_basic_authentication(server: Server) -> None:
    basic = base64.b64encode(f"anyone:{server.token}".encode()).decode()
    assert server.ask("GET", "/v1/queues", token="", Authorization=f"Basic {basic}").status == 200


def test_an_upgrade_is_refused(server: Server) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in [*PATHS, "/v1/ws"]:
        assert server.ask("GET", path, token="", **upgrade).status in (401, 403, 404) or path in OPEN


WHO = {"shop": "the-shop-has-this-token", "worker": "the-worker-has-this-token", "desk": "the-desk-has-this-token"}
HAS = {"shop": {Role.PRODUCE}, "worker": {Role.CONSUME}, "desk": {Role.OPERATE, Role.OBSERVE}}


@pytest.mark.parametrize(("who", "door"), list(itertools.product(WHO, [door for door in DOORS if not door.open])))
def test_a_role_opens_its_doors_and_no_others(roles: Server, who: str, door: Door) -> None:
    path = door.path.replace("{q}", "orders").replace("{id}", "0" * 32).replace("{task}", "t?queue=orders&timeout=0.1")
    answer = roles.ask(door.method, path, "{}", token=WHO[who], Content_Type="application/json")
    assert (answer.status == 403) == (door.role is not None and door.role not in HAS[who]), answer.body
    if "{q}" in door.path:
        other = door.path.replace("{q}", "elsewhere").replace("{id}", "0" * 32).replace("{task}", "t")
        assert roles.ask(door.method, other, "{}", token=WHO[who], Content_Type="application/json").status == 403


def test_patterns_mean_what_they_say(roles: Server) -> None:
    for queue, status in (("orders", 201), ("mail-out", 201), ("mail-secret", 403), ("mail", 403), ("_orders.x", 403), ("ORDERS", 403)):
        assert roles.ask("POST", f"/v1/queues/{queue}/jobs", b"x", token=WHO["shop"]).status == status, queue


def test_what_a_token_may_not_see_is_not_there(roles: Server) -> None:
    roles.ask("POST", "/v1/queues/orders/jobs", b"x", token=WHO["shop"])
    hidden = roles.ask("POST", "/v1/queues/mail-out/jobs", b"secret", token=WHO["shop"]).json["id"]
    desk = {"token": WHO["desk"]}
    assert [row["queue"] for row in roles.ask("GET", "/v1/queues", **desk).json["queues"]] == ["orders"]
    assert roles.ask("GET", f"/v1/jobs/{hidden}", **desk).status == 404
    assert roles.ask("GET", f"/v1/jobs/{hidden}/body", **desk).status == 404
    assert {row["queue"] for row in roles.ask("GET", "/v1/jobs", **desk).json["jobs"]} == {"orders"}
    assert roles.ask("GET", "/v1/jobs?queue=mail-out", **desk).status == 403
    assert roles.post("/v1/jobs/delete", {"ids": [hidden]}, **desk).json == {"count": 0}
    assert roles.post("/v1/jobs/move", {"ids": [hidden], "to": "orders"}, **desk).json["count"] == 0
    for path in ("/metrics", "/stats.txt", "/v1/stats"):
        assert b"mail-out" not in roles.ask("GET", path, **desk).body, path
    assert b'queue="orders"' in roles.ask("GET", "/metrics", **desk).body


def test_a_token_whose_time_is_over(roles: Server) -> None:
    assert roles.ask("POST", "/v1/queues/orders/jobs", b"x", token="the-former-has-this-token").status == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "", "127.0.0.1.evil.example", "localhost:1", "[::1]:1", "127.0.0.1@evil", "user@127.0.0.1"]
)
def test_another_host_is_misdirected(server: Server, host: str) -> None:
    assert server.ask("GET", "/healthz", Host=host).status in (400, 421)
    assert server.ask("GET", "/v1/queues", Host=host).status in (400, 421)


def test_two_hosts(server: Server) -> None:
    connection = http.client.HTTPConnection(server.host, timeout=30)
    connection.putrequest("GET", "/healthz", skip_host=True)
    connection.putheader("Host", server.host)
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status in (400, 421)
    connection.close()


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1.evil.example", "https://127.0.0.1:1", "file://", ""])
def test_a_page_of_another_site_changes_nothing(server: Server, origin: str) -> None:
    answer = server.ask("POST", "/v1/queues/origin/jobs", b"x", Origin=origin)
    assert answer.status == 403
    assert server.ask("POST", "/v1/queues/origin/jobs", b"x", Sec_Fetch_Site="cross-site").status == 403
    assert server.ask("GET", "/v1/queues/origin").json["ready"] == 0


def test_nor_does_it_take_a_job(server: Server) -> None:
    """Of old a GET takes: a picture's address on another page would be enough, with what a browser remembers of us."""
    put = server.ask("POST", "/q/taken", b'{"n": 1}', Content_Type="application/json")
    assert put.status == 201
    for path in ("/q/taken", "/qb/taken", "/?queue=taken", "/c/taken"):
        for told in ({"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "http://evil.example"}):
            assert server.ask("GET", path, **told).status == 403, (path, told)
    assert server.ask("GET", "/", Sec_Fetch_Site="cross-site").status == 200, "who follows a link sees the page"
    assert server.ask("GET", "/q/taken", Sec_Fetch_Site="none").json == {"n": 1}, "and who types the address is nobody else"


def test_head_takes_nothing_and_ends(server: Server) -> None:
    """It asks what GET would say: it is not there where that would take a job, or never end."""
    server.ask("POST", "/q/looked-at", b'{"n": 1}', Content_Type="application/json")
    for path in ("/q/looked-at", "/qb/looked-at", "/c/looked-at", "/v1/events", "/v1/queues/looked-at/events", "/v1/topics/t/events"):
        answer = server.ask("HEAD", path)
        assert answer.status == 405, path
        assert "HEAD" not in answer.headers["allow"].split(", "), path
    assert server.ask("HEAD", "/?queue=looked-at").status == 200
    assert server.ask("HEAD", "/v1/queues/looked-at").status == 200
    assert server.ask("GET", "/v1/queues/looked-at").json["ready"] == 1


def test_our_own_page_may(server: Server) -> None:
    assert server.ask("POST", "/v1/queues/own/jobs", b"x", Origin=server.where, Sec_Fetch_Site="same-origin").status == 201


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "a%2Fb", ".hidden", "x" * 129, "%00", "a%0d%0ab", "*", "'; drop table jobs --", "ä", "CON "]
)
def test_a_name_reaches_nothing_outside(server: Server, name: str) -> None:
    path = f"/v1/queues/{quote(name, safe='%')}"
    for method, rest in (("POST", "/jobs"), ("POST", "/claims"), ("GET", "")):
        assert server.ask(method, path + rest, b"x" if method == "POST" else None).status in (400, 404, 405), name


def test_no_answer_holds_the_token(server: Server) -> None:
    for path in [*PATHS, "/nothing", f"/{server.token}"]:
        answer = server.ask("GET", path)
        assert path == f"/{server.token}" or server.token.encode() not in answer.body + str(answer.headers).encode()


def test_every_answer_is_safe_in_a_browser(server: Server) -> None:
    for path in [*PATHS, "/nothing"]:
        for token in (None, ""):
            headers = server.ask("GET", path, token=token).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in headers["content-security-policy"] or "default-src 'self'" in headers["content-security-policy"]


def test_headers_without_end(server: Server) -> None:
    assert server.ask("GET", "/v1/queues", X_Long="x" * (17 << 10)).status in (400, 431)


def test_read_only_is_for_looking(starter: Start) -> None:
    looking = starter("--read-only")
    assert looking.ask("GET", "/v1/queues").status == 200
    for door in DOORS:
        if door.changes and door.path != "/":  # there stands the page
            path = door.path.replace("{q}", "orders").replace("{id}", "0" * 32).replace("{task}", "t")
            assert looking.ask(door.method, path, "{}", Content_Type="application/json").status in (404, 405)
    for verb in ("note", "forget", "put", "delete", "commit"):
        assert looking.ask("POST", f"/v1/store/{verb}", b"x", Content_Type="application/msgpack").status in (404, 405), verb


def test_the_token_file_is_read_again(starter: Start, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--token-file", str(file))
    assert server.ask("POST", "/v1/queues/orders/jobs", b"x", token=WHO["shop"]).status == 201
    file.write_text(ROLES.replace("the-shop-has-this-token", "the-shop-has-another-token"))
    for _ in range(600):
        if server.ask("POST", "/v1/queues/orders/jobs", b"x", token=WHO["shop"]).status == 401:
            break
        __import__("time").sleep(0.05)
    assert server.ask("POST", "/v1/queues/orders/jobs", b"x", token=WHO["shop"]).status == 401
    assert server.ask("POST", "/v1/queues/orders/jobs", b"x", token="the-shop-has-another-token").status == 201


def test_who_is_no_longer_meant_is_told_nothing_more(starter: Start, tmp_path: Path) -> None:
    """A stream and a conversation that are open go with the token that opened them."""
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--token-file", str(file))
    host, headers = server.host, {"Authorization": f"Bearer {WHO['worker']}"}
    kept = [http.client.HTTPConnection(host, timeout=60) for _ in range(2)]
    for connection, path in zip(kept, ("/c/orders", "/v1/topics/orders/events"), strict=True):
        connection.request("GET", path, headers=headers)
    old, new = [connection.getresponse() for connection in kept]
    number = 0

    def put() -> None:
        server.ask("POST", "/v1/queues/orders/jobs", b"x", token=WHO["shop"])
        server.ask("POST", "/v1/topics/orders", b"x", token=WHO["shop"])

    end = time.monotonic() + 60
    with pytest.raises(ConnectionClosed) as caught, connect(f"ws://{host}/v1/ws", additional_headers=headers, proxy=None) as talk:
        file.write_text(ROLES.replace("the-worker-has-this-token", "the-worker-has-another-token"))
        while time.monotonic() < end:
            put()
            number += 1
            talk.send(f'{{"n": {number}, "op": "claim", "queue": "orders"}}')
            talk.recv(30)
            time.sleep(0.05)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008
    put()
    old.read()
    new.read()
    for connection in kept:
        connection.close()
