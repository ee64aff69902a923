"""The security rows as far as they concern HTTP, beside what test_gate (S4 to S6, S8, S18), test_slow (S12, S13) and test_serving tell."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest

from ropeway.errors import NotAllowed, RopewayError
from ropeway.server.grants import digest, read
from ropeway.stores import open_store

from .conftest import Server, Start
from .slow import head
from .test_gate import ROLES, WHO
from .test_slow import _raw

HOSTILE = [
    "../x",
    "a/b",
    "a\0b",
    "%2e%2e",
    "x" * 256,
    "\uff21",
    "e\u0301",
    "CON",
    "a\nb",
    "*",
    ">",
    "amq.x",
    "'; DROP TABLE jobs --",
    "a\x1b[31m",
]


def _certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


# -- S1: nothing out of a job runs


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (
            "application/x-python-pickle",
            b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x07touch x\x85R.",
        ),
        ("application/x-yaml", b"!!python/object/apply:os.system ['touch x']"),
        ("application/json", b'{"exc_type": "os.system", "__reduce__": ["os.system", "touch x"]}'),
    ],
)
def test_s1_a_body_is_bytes_and_nothing_more(server: Server, kind: str, body: bytes) -> None:
    job = server.ask("POST", "/v1/queues/s1/jobs?task=os.system", body, Content_Type=kind).json["id"]
    assert server.ask("GET", f"/v1/jobs/{job}/body").body == body
    assert server.ask("GET", f"/v1/jobs/{job}").json["content_type"] == kind
    assert not Path("x").exists()


# -- S3: closed from the first start; TLS


def test_s3_tls_is_real_and_plain_http_is_refused(starter: Start, tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path)
    server = starter("--cert", str(cert), "--key", str(key))
    assert server.where.startswith("https://127.0.0.1:")
    port = int(server.where.rpartition(":")[2])
    trusting = ssl.create_default_context(cafile=str(cert))
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=30)
    connection.request("GET", "/v1/queues", headers={"Authorization": f"Bearer {server.token}"})
    assert connection.getresponse().status == 200
    connection.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection("127.0.0.1", port, context=ssl.create_default_context(), timeout=30).connect()
    for _ in range(3):  # plain HTTP: no answer that could be taken for one, and no harm
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            plain.sendall(b"GET /v1/queues HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            try:
                assert not plain.recv(100).startswith(b"HTTP")
            except ConnectionResetError:
                pass
    store = open_store(f"https://:{server.token}@127.0.0.1:{port}?ca={cert}")
    assert store.queues() == []
    store.close()
    distrusting = open_store(f"https://:{server.token}@127.0.0.1:{port}")
    with pytest.raises(RopewayError):
        distrusting.queues()
    distrusting.close()
    assert server.stop() == 0
    assert not [line for line in server.said if "Traceback" in line], server.said


def test_s3_a_certificate_that_is_none_is_said_in_a_sentence(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path)
    cert.write_text("no certificate")
    for given in (str(cert), str(tmp_path / "nothing.pem")):
        command = [sys.executable, "-m", "ropeway.cli", "-u", "memory:", "serve", "-b", "127.0.0.1:0", "--cert", given, "--key", str(key)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
        assert done.returncode not in (0, 101)
        assert "certificate" in done.stderr
        assert "Traceback" not in done.stderr, done.stderr


def test_s3_behind_a_proxy_it_opens_to_others_with_tokens_alone(starter: Start, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--behind-proxy", "--token-file", str(file), "--host-name", "queues.example.org", bind="0.0.0.0:0")
    local = Server(server.process, server.where.replace("0.0.0.0", "127.0.0.1"), WHO["shop"])
    told = {"Host": "queues.example.org", "X_Forwarded_Proto": "https", "X_Forwarded_For": "203.0.113.9"}
    assert local.ask("POST", "/v1/queues/orders/jobs", b"x", **told).status == 201
    assert local.ask("POST", "/v1/queues/orders/jobs", b"x", Host="elsewhere.example.org").status == 421
    assert local.ask("POST", "/v1/queues/orders/jobs", b"x", token="", **told).status == 401


# -- S4, S5: names that look like something else


@pytest.mark.parametrize(
    "path", ["/v1/queues/healthz", "/v1/queues/x/ready", "/healthz/../v1/queues", "/v1/queues/readyz/jobs", "/HEALTHZ"]
)
def test_s4_a_name_that_looks_like_health_is_none(server: Server, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "PUT", "HEAD"):
        assert server.ask(method, path, token="").status == 401, (method, path)


@pytest.mark.parametrize(
    "line",
    [
        "GET http://evil.example/v1/queues HTTP/1.1",
        "GET //evil.example/v1/queues HTTP/1.1",
        "GET /v1/%71ueues/../../metrics HTTP/1.1",
        "GET /v1/queues/%2e%2e/%2e%2e/metrics HTTP/1.1",
        "GET /v1\\queues HTTP/1.1",
        "GET /v1/queues/a%2fb HTTP/1.1",
        "GET /v1/jobs/..;/queues HTTP/1.1",
        "GET /V1/QUEUES HTTP/1.1",
        "GET /v1/queues/%00 HTTP/1.1",
        "GET /v1/queues/%ff%fe HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT 127.0.0.1:1 HTTP/1.1",
    ],
)
def test_s5_tricks_with_the_path_lead_nowhere(server: Server, line: str) -> None:
    for token in ("wrong", server.token):
        got = _raw(server, head(token, server.host, line, "Connection: close") + b"\r\n")
        status = int(got.split(b" ", 2)[1])
        assert status in ((401, 400, 421) if token == "wrong" else (200, 400, 404, 405, 421)), got[:300]
        if status == 200:  # absolute form: the path is ours, and the Host was
            assert "http://evil.example/v1/queues" in line
    assert server.ask("GET", "/v1/queues").status == 200


# -- S7, S15: nothing of a job or a request becomes markup, a header or a line of the log


def test_s7_no_answer_can_be_split_or_run(server: Server) -> None:
    nasty = "x\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>"
    for answer in (
        server.ask("GET", f"/v1/queues/{quote(nasty)}"),
        server.ask("GET", f"/v1/jobs?queue={quote(nasty)}"),
        server.ask("GET", f"/{quote(nasty)}"),
        server.ask("POST", f"/v1/queues/s7/jobs?key={quote(nasty)}", b"x"),
        server.ask("POST", "/v1/queues/s7/jobs", b"x", Content_Type="text/html; charset=<script>"),
    ):
        assert "set-cookie" not in answer.headers
        assert answer.headers["content-type"].startswith(("application/json", "application/problem+json"))
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_s7_a_body_is_saved_and_never_shown(server: Server) -> None:
    job = server.ask("POST", "/v1/queues/s7/jobs", b"<script>alert(1)</script>", Content_Type="text/html").json["id"]
    answer = server.ask("GET", f"/v1/jobs/{job}/body")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_s7_no_jsonp(server: Server) -> None:
    server.ask("POST", "/q/s7p", b'{"secret": 1}', Content_Type="application/json")
    for path in ("/q/s7p?callback=steal", "/c/s7p?callback=steal", "/v1/queues?callback=steal", "/status/?callback=steal"):
        answer = server.ask("GET", path)
        assert b"steal(" not in answer.body
        assert "javascript" not in answer.headers["content-type"]


@pytest.mark.parametrize("name", HOSTILE)
def test_s8_a_hostile_name_changes_nothing_anywhere(starter: Start, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    home = _shared_home(tmp_path_factory)
    server = _SERVERS.get(home) or _SERVERS.setdefault(home, starter(home=home))
    before = _tree(home.parent, home)
    in_path = quote(name, safe="")
    answers = [
        server.ask("POST", f"/v1/queues/{in_path}/jobs", b"x"),
        server.ask("POST", f"/q/{in_path}", b"1", Content_Type="application/json"),
        server.post("/queue", {"cmd": "add", "queue": name, "value": "x"}),
        server.post("/v1/jobs/delete", {"queue": name}),
        server.ask("DELETE", f"/q/{in_path}"),
        server.ask("POST", f"/v1/queues/s8/jobs?id={in_path}", b"x"),
    ]
    fine = name in ("CON", "amq.x")  # these are names like any other
    assert all(answer.status in ((200, 201, 204, 400, 404, 405) if fine else (400, 404, 405)) for answer in answers), answers
    assert _tree(home.parent, home) == before, "something outside the store has changed"


_SERVERS: dict[Path, Server] = {}
_HOME: list[Path] = []


def _shared_home(factory: pytest.TempPathFactory) -> Path:
    if not _HOME:
        _HOME.append(factory.mktemp("hostile") / "home")
        _HOME[0].mkdir()
    return _HOME[0]


def _tree(above: Path, home: Path) -> str:
    """A digest of all names around the store, and not in it."""
    names = sorted(str(path) for path in above.rglob("*") if not path.is_relative_to(home / "spool") and not path.name.endswith(".lock"))
    return sha256("\n".join(names).encode()).hexdigest()


def test_s10_and_s24_no_secret_in_any_output(starter: Start, tmp_path: Path) -> None:
    """Tokens and bodies: not in the log at its most talkative, not in an error, not in what the program says."""
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--token-file", str(file), log="debug")
    secrets = [*WHO.values(), "a-wrong-token-of-somebody", "the-body-is-secret"]
    for token in [*WHO.values(), secrets[-2]]:
        basic = base64.b64encode(f"x:{token}".encode()).decode()
        for path in ("/v1/queues", f"/v1/queues/{token}", "/v1/jobs?q=" + token, "/nothing", "/metrics"):
            server.ask("GET", path, token=token)
            server.ask("GET", path, token="", Authorization=f"Basic {basic}")
        server.ask("POST", "/v1/queues/orders/jobs", b"the-body-is-secret", token=token)
        server.post("/v1/jobs/delete", {"queue": "orders", "state": "nonsense"}, token=token)
        _raw(server, b"GET / HTTP/1.1\r\nAuthorization: Bearer " + token.encode() + b"\r\n\x00broken")
    told = server.ask("GET", "/v1/audit", token=WHO["desk"]).body.decode()
    assert server.stop() == 0
    said = "".join(server.said)
    assert "ropeway.audit" in said, "the log was on"
    for secret in secrets:
        shown = said.replace(f"/v1/queues/{secret}", "").replace(secret + "'", "")  # who writes a token into an address has told it himself
        assert f"Bearer {secret}" not in said
        assert secret not in told
        assert base64.b64encode(f"x:{secret}".encode()).decode() not in shown
    assert "the-body-is-secret" not in said


# -- S11: limits, before anything is stored


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_s11_a_body_up_to_the_limit_and_not_one_byte_more(server: Server, size: int, chunked: bool) -> None:
    queue = f"s11-{size}-{chunked}"
    fits = size <= 1 << 20
    connection = http.client.HTTPConnection(server.host, timeout=60)
    body = (b"x" * part for part in (size // 2, size - size // 2)) if chunked else b"x" * size
    try:
        connection.request("POST", f"/v1/queues/{queue}/jobs", body, {"Authorization": f"Bearer {server.token}"}, encode_chunked=chunked)
        assert connection.getresponse().status == (201 if fits else 413)
    except (ConnectionResetError, BrokenPipeError):
        assert not fits
    finally:
        connection.close()
    assert server.ask("GET", f"/v1/queues/{queue}").json["ready"] == fits


def test_s11_the_other_limits(server: Server) -> None:
    assert server.ask("POST", "/v1/queues/s11/jobs", b"x", Content_Encoding="gzip").status == 415
    assert server.ask("GET", "/v1/jobs?limit=1000000000").status == 400
    assert server.ask("POST", "/v1/queues/s11/claims?limit=1001").status == 400
    assert server.ask("POST", "/v1/queues/s11/claims?wait=1e9").status == 400
    assert server.post("/v1/ack", {"receipts": ["x"] * 1001}).status == 400
    lines = b"1\n" * 1001
    assert server.ask("POST", "/v1/queues/s11/jobs", lines, Content_Type="application/x-ndjson").status == 413
    deep = b"[" * 100_000 + b"]" * 100_000
    assert server.ask("POST", "/v1/ack", deep, Content_Type="application/json").status == 400
    assert server.ask("POST", "/v1/queues/s11/jobs", deep, Content_Type="application/x-ndjson").status == 400
    assert server.ask("GET", "/v1/queues/s11").json["ready"] == 0


# -- S15: the log


def test_s15_one_event_is_one_line(starter: Start) -> None:
    server = starter()
    nasty = "a\r\nERROR forged\x1b[2J\u2028more"
    server.post("/v1/jobs/delete", {"queue": "s15", "error": nasty})
    server.ask("POST", f"/v1/queues/{quote(nasty)}/purge")
    server.post("/v1/queues/s15/pause", {"reason": nasty})
    assert server.stop() == 0
    said = [line for line in server.said if "audit" in line or "forged" in line]
    assert said
    for line in said:
        assert "ropeway.audit" in line, line
        assert "\x1b" not in line and "\u2028" not in line


# -- S19: tokens


def test_s19_tokens_are_long_hashed_and_revocable(starter: Start, tmp_path: Path) -> None:
    server = starter()
    assert len(base64.urlsafe_b64decode(server.token + "=")) * 8 >= 128
    file = tmp_path / "tokens.toml"
    secret = "a-secret-that-only-its-owner-has"
    file.write_text(f'[[token]]\nname = "a"\nsha256 = "{sha256(secret.encode()).hexdigest()}"\nobserve = ["*"]\n')
    file.chmod(0o600)
    hashed = starter("--token-file", str(file))
    assert hashed.ask("GET", "/v1/queues", token=secret).status == 200
    assert hashed.ask("GET", "/v1/queues", token=sha256(secret.encode()).hexdigest()).status == 401, "the hash is no token"
    file.write_text('[[token]]\nname = "b"\ntoken = "another-token-that-is-new"\nobserve = ["*"]\n')
    end = time.monotonic() + 30
    while hashed.ask("GET", "/v1/queues", token=secret).status != 401:
        assert time.monotonic() < end, "a revoked token still opens"
        time.sleep(0.05)


def test_s19_what_is_compared_is_a_hash(tmp_path: Path) -> None:
    """A token is looked up by its digest, so that how long it takes tells nothing of how much of it was right."""
    file = tmp_path / "tokens"
    file.write_text("a-token-that-is-long-enough\n")
    file.chmod(0o600)
    (kept,) = read(str(file))
    assert "a-token" not in kept
    assert hmac.compare_digest(kept, digest("a-token-that-is-long-enough"))


def test_s19_a_receipt_cannot_be_guessed(server: Server) -> None:
    for number in range(3):
        server.ask("POST", "/v1/queues/s19/jobs", b"%d" % number)
    jobs = server.ask("POST", "/v1/queues/s19/claims?limit=3&lease=1h").json
    mine = jobs[0]["receipt"]
    changed = [mine[:-1] + other for other in "0123456789abcdef" if other != mine[-1]] + [mine.replace("f.", "e."), "", jobs[1]["id"]]
    answer = server.post("/v1/ack", {"receipts": changed})
    assert answer.status in (400, 409), answer.body
    assert server.ask("GET", "/v1/queues/s19").json["running"] == 3
    assert server.post("/v1/ack", {"receipts": [mine]}).json == {"answers": [True]}


# -- S20: answers of calls


def test_s20_an_answer_goes_to_who_has_called_and_to_nobody_else(starter: Start, tmp_path: Path) -> None:
    """The address of a caller is a queue with a random name; no token reaches such queues but by having been called from one."""
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--token-file", str(file))
    for who in ("shop", "desk"):
        assert server.ask("POST", "/v1/queues/_reply.x/jobs", b"forged", token=WHO[who]).status == 403
    for who in WHO:
        assert server.ask("POST", "/v1/queues/_reply.x/claims", token=WHO[who]).status == 403
    assert server.ask("GET", "/v1/jobs?queue=_reply.x", token=WHO["desk"]).status == 403


def test_s21_the_server_asks_nobody_anything(server: Server) -> None:
    """No callback of a request is followed: a listener that is named everywhere hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        where = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.ask("POST", f"/v1/queues/s21/jobs?key={quote(where)}", b"x", Referer=where, X_Forwarded_For=where, Ropeway_H_Callback=where)
        server.ask("GET", f"/q/s21?callback={quote(where)}")
        with pytest.raises(TimeoutError):
            listener.accept()


def test_many_at_once_get_each_their_own(starter: Start, tmp_path: Path) -> None:
    """Grants do not leak between requests that run together."""
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES)
    file.chmod(0o600)
    server = starter("--token-file", str(file))

    wanted = {"shop": (201, 403, 403), "worker": (403, 204, 403), "desk": (403, 403, 200)}

    def ask(number: int) -> tuple[str, tuple[int, ...]]:
        who = ("shop", "worker", "desk")[number % 3]
        put = "/v1/queues/mail-out/jobs" if who == "shop" else "/v1/queues/orders/jobs"
        asked = (("POST", put), ("POST", "/v1/queues/orders/claims"), ("GET", "/v1/queues/orders"))
        return who, tuple(server.ask(method, path, token=WHO[who]).status for method, path in asked)

    with ThreadPoolExecutor(8) as pool:
        for who, told in pool.map(ask, range(60)):
            assert told == wanted[who], who


def test_a_wrong_token_is_told_as_such_to_programs(server: Server) -> None:
    store = open_store(f"http://:{'x' * 40}@{server.host}")
    with pytest.raises(NotAllowed):
        store.queues()
    store.close()
    assert json.loads(server.ask("GET", "/v1/queues", token="").body)["status"] == 401
