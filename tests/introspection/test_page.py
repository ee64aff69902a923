"""The page answers whatever the program is in, shows what it tells, and nothing to strangers."""

from __future__ import annotations

import http.client
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import ropeway
from ropeway.errors import ConfigError
from ropeway.introspection.places import all_of

from .conftest import Program, Run, until

STATE = """
page.state["phase"] = "warm-up"
page.state["asked"] = lambda: time.time()
page.state["fails"] = lambda: 1 / 0
page.state["hangs"] = lambda: time.sleep(600)
page.state["api_key"] = "abcdefgh"
page.state["nested"] = {"password": "hunter22", "deep": [1, (2, 3)], "url": "redis://:hunter22@host/0"}
class Hostile:
    def __repr__(self): raise ValueError("no")
page.state["hostile"] = Hostile()
for _ in range(1200): page.count("iterations")
page.count("seconds", 1.5)
wait_for("go")
"""


def test_state_and_counters_as_the_program_tells_them(run: Run) -> None:
    program = run(STATE)
    until(lambda: program.view("state")["counters"].get("seconds"))
    answer = program.ask("/state.json")
    seen = answer.json
    assert seen["iterations"] == 1200
    assert seen["counters"] == {"iterations": 1200, "seconds": 1.5}
    state = seen["state"]
    assert state["phase"] == "warm-up"
    assert abs(state["asked"] - seen["at"]) < 30
    assert state["fails"].startswith("(raised ZeroDivisionError")
    assert state["hangs"] == "(has not answered within 1 s)"
    assert (state["api_key"], state["nested"]["password"]) == ("***", "***")
    assert state["nested"]["deep"] == [1, [2, 3]]
    assert state["hostile"] == "(Hostile that cannot be shown)"
    assert b"hunter22" not in answer.body
    assert 0 < seen["uptime"] < 300
    assert seen["pid"] == program.pid


BLOCKED = {
    "loop": "import asyncio\nasync def main(): time.sleep(600)\nasyncio.run(main())\n",
    "busy": "for _ in range(6): threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()\nwhile True: pass\n",
    "lock": "threading.Lock().acquire()\nlock = threading.Lock(); lock.acquire(); lock.acquire()\n",
}


@pytest.mark.parametrize("how", BLOCKED)
def test_it_answers_while_the_program_is_blocked(run: Run, how: str) -> None:
    program = run(BLOCKED[how])
    for what in ("state", "stacks", "metrics", "jobs", "logs", "output"):
        program.view(what, timeout=30)
    main = next(one for one in program.view("stacks")["threads"] if one["name"] == "MainThread")
    assert main["doing"]["state"] == ("runs" if how == "busy" else "waits")
    assert main["doing"]["file"].endswith("program.py")
    expected = {"loop": "time.sleep(600)", "busy": "", "lock": "lock.acquire()"}[how]
    assert expected in main["doing"]["text"]


SECRETS = """
import urllib.request
secret = "planted-local-7f3a9c"
class Holder:
    token = "planted-attribute-7f3a9c"
def deep(password="planted-default-7f3a9c"):
    inner = "planted-inner-7f3a9c"
    wait_for("go")
deep()
"""

PLANTED = {
    "DATABASE_URL": "postgresql://me:planted-url-7f3a9c@host/db?sslpassword=planted-query-7f3a9c",
    "MY_SECRET": "planted-by-name-7f3a9c",
    "SOME_VALUE": "ghp_planted7f3a9cABCDEFGHIJKLMNOPQRSTUVWX",
    "HARMLESS": "eyJhbGciOiJIUzI1NiJ9.eyJwbGFudGVkIjoiN2YzYTljIn0.planted-jwt-7f3a9c",
    "JUST_LONG": "planted7f3a9cQ8zK2mW5xV1bN4",
    "PLAIN": "this is shown",
}


def test_secrets_in_environment_arguments_locals_and_source_are_nowhere(run: Run) -> None:
    program = run(SECRETS, env=PLANTED)
    assert program.view("metrics")["environment"]["PLAIN"] == "this is shown"
    for path in (
        "/state.json",
        "/stacks.json",
        "/metrics.json",
        "/jobs.json",
        "/logs.json",
        "/output.json",
        "/flame.json",
        "/metrics",
        "/flame.svg",
    ):
        body = program.ask(path).body
        assert b"planted" not in body, path
        assert program.url.rpartition("/")[2].encode() not in body, "nor its own token"


def test_secrets_in_its_arguments(tmp_path: Path) -> None:
    script = tmp_path / "it.py"
    script.write_text(
        "import ropeway, sys\npage = ropeway.introspect()\nfrom ropeway.sight.views import as_json\nprint(as_json('metrics').decode())\n"
    )
    words = [
        "--password",
        "planted1",
        "--token=planted2",
        "-k",
        "plain",
        "--url",
        "amqp://u:planted3@h/",
        "--api-key",
        "planted4",
        "Bearer planted555",
    ]
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    out = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, timeout=60, check=True, env=env).stdout
    assert "plain" in out
    assert "planted" not in out.partition('"environment"')[0]


def test_strangers_see_nothing(run: Run) -> None:
    program = run("wait_for('go')\n")
    base, token = program.address, program.url.rpartition("/")[2]
    host = base.removeprefix("http://")
    for path in ("/", "/state.json", "/metrics", "/page/look.js", "/nothing", f"/{token}x/state.json", f"/{token[:-1]}/state.json"):
        answer = program.ask(path, base=base)
        assert answer.status == 401, path
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert token.encode() not in answer.body
    assert program.ask("/state.json", base=base, Authorization=f"Bearer {token}").status == 200
    assert program.ask("/state.json").status == 200
    assert program.ask("", base=f"{base}/{token}").headers["location"] == f"/{token}/"
    for wrong in ("evil.example", f"127.0.0.1.evil:{host.partition(':')[2]}", "", "evil.example:80"):
        assert program.ask("/state.json", Host=wrong).status == 421, wrong
    assert program.ask("/state.json", Host=f"localhost:{host.partition(':')[2]}").status == 200
    assert program.ask("/state.json", Sec_Fetch_Site="cross-site").status == 401
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "get"):
        answer = program.ask("/state.json", method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET"), method


RAW = [
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\n\r\n",
    b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"GET /\r\n\r\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n folded: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    b"GET /?" + b"&".join(b"a%d=1" % n for n in range(50)) + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60) + b"\r\n\r\n",
]


def _raw(program: Program, data: bytes) -> bytes:
    host, _, port = program.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(data)
        out = b""
        while more := connection.recv(65536):
            out += more
        return out


def test_what_is_no_request_is_refused_and_the_page_goes_on(run: Run) -> None:
    program = run("wait_for('go')\n")
    for data in RAW:
        answer = _raw(program, data)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 421")), (data[:60], answer[:60])
        assert b"nothing was" in answer
    assert program.view("state")["pid"] == program.pid


def test_sixteen_at_once_and_no_more(run: Run) -> None:
    program = run("wait_for('go')\n")
    host, _, port = program.address.removeprefix("http://").partition(":")
    idle = [socket.create_connection((host, int(port)), timeout=60) for _ in range(16)]
    try:
        for one in idle:
            one.sendall(b"GET /slow")
        until(lambda: _status(program) == 503, "the seventeenth is refused")
        before = len(os.listdir(f"/proc/{program.pid}/fd"))
        for _ in range(50):
            _status(program)
        assert len(os.listdir(f"/proc/{program.pid}/fd")) <= before + 1
    finally:
        for one in idle:
            one.close()
    until(lambda: _status(program) == 200, "and they are let in again")


def _status(program: Program) -> int:
    try:
        return program.ask("/state.json").status
    except (http.client.HTTPException, OSError):
        return 0


def test_those_who_follow_leave_places_for_others(run: Run) -> None:
    program = run("wait_for('go')\n")
    host, _, rest = program.url.removeprefix("http://").partition("/")
    open_ones = []
    for number in range(9):
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("GET", f"/{rest}/logs.json?follow")
        open_ones.append(connection)
        assert connection.getresponse().status == (200 if number < 8 else 503)
    assert program.ask("/state.json").status == 200
    for connection in open_ones:
        connection.close()


def test_a_socket_is_for_its_owner_alone_and_asks_for_no_token(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "in" / "page.sock"
    program = run("wait_for('go')\nprint(page.url)\npage.close()\n", f"'unix:{path}'")
    assert program.address == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    connection.sendall(b"GET /state.json HTTP/1.1\r\nHost: anything\r\n\r\n")
    assert connection.recv(12) == b"HTTP/1.1 200"
    connection.close()
    program.go_on()
    assert program.end() == 0
    assert not path.exists()


def test_a_process_has_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with ropeway.introspect(output="none") as page:
        assert ropeway.introspect() is page
        assert ropeway.introspect(page.address.removeprefix("http://")) is page
        with pytest.raises(ConfigError, match="has its page at"):
            ropeway.introspect("127.0.0.1:1")
        assert [place.pid for place in all_of()] == [os.getpid()]
        (file,) = (tmp_path / "ropeway" / "processes").glob("*.json")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(all_of()) == []
    page.close()
    with ropeway.introspect(output="none") as other:
        assert other is not page


@pytest.mark.parametrize(
    ("addr", "more", "why"),
    [
        ("0.0.0.0:0", {}, "needs cert and key"),
        ("0.0.0.0:0", {"no_auth": True}, "could look into this process"),
        ("192.0.2.1:0", {"token": "x" * 20}, "needs cert and key"),
        ("127.0.0.1:0", {"token": "short"}, "can be guessed"),
        ("127.0.0.1:0", {"cert": "a.pem"}, "belong together"),
        ("127.0.0.1:0", {"cert": "a.pem", "key": "b.pem"}, "cannot be used"),
        ("127.0.0.1:0", {"token": "x" * 20, "no_auth": True}, "a token was given"),
        ("127.0.0.1:99999", {}, "is no address"),
        ("nonsense here", {}, "is no address"),
        ("unix:", {}, "needs the path"),
    ],
)
def test_what_would_leave_a_door_open_is_refused(addr: str, more: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        ropeway.introspect(addr, output="none", **more)  # type: ignore[arg-type]


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigError, match="cannot be opened"):
        ropeway.introspect(f"127.0.0.1:{other.getsockname()[1]}", output="none")
    plain = tmp_path / "file"
    plain.write_text("somebody's")
    with pytest.raises(ConfigError):
        ropeway.introspect(f"unix:{plain}", output="none")
    assert plain.read_text() == "somebody's"


NUMBERS = """
import gc, logging
page.count('label "with" \\\\ and\\nlines', 2)
page.state["depth"] = 7
for _ in range(3): gc.collect()
log = logging.getLogger("shop")
log.warning("careful: %s", "token=abc123")
try:
    raise ValueError("password=hunter22")
except ValueError:
    log.exception("it failed")
log.warning("wrong %d", "arguments")
logging.getLogger("quiet").info("nobody wants this")
def burn():
    while True: sum(range(1000))
threading.Thread(target=burn, name="burner", daemon=True).start()
wait_for("go")
"""


def test_numbers_logs_and_the_flame(run: Run) -> None:
    program = run(NUMBERS)
    until(lambda: len(program.view("logs")["records"]) == 3)
    text = program.ask("/metrics").body.decode()
    assert 'ropeway_page_count_total{name="label \\"with\\" \\\\ and?lines"} 2' in text
    assert 'ropeway_page_state{name="depth"} 7' in text
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"):
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert float(line.split()[1]) > 0
    seen = program.view("metrics")
    assert seen["gc"]["timed"]["collections"] >= 3
    assert seen["gc"]["timed"]["longest"] > 0
    assert {"python", "ropeway", "msgspec"} <= seen["versions"].keys()
    first, second, third = program.view("logs")["records"]
    assert (first["logger"], first["level"], first["text"]) == ("shop", "WARNING", "careful: token=***")
    assert "ValueError: password=***" in second["traceback"]
    assert "do not fit" in third["text"]
    assert program.err().startswith("careful: token=abc123\n"), "what logging did before it does now"
    until(lambda: "burn" in program.ask("/flame.json").body.decode())
    picture = program.ask("/flame.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert b"thread burner" in picture.body
    import xml.etree.ElementTree as ElementTree

    assert ElementTree.fromstring(picture.body).tag.endswith("svg")


def test_the_records_are_a_thousand(run: Run) -> None:
    program = run("import logging\nfor n in range(3000): logging.error('x' * 50_000 + str(n))\nwait_for('go')\n", stderr=subprocess.DEVNULL)
    seen = until(lambda: (found := program.view("logs"))["next"] == 3000 and found)
    assert len(seen["records"]) == 1000
    assert seen["records"][0]["n"] == 2001
    assert all(len(record["text"]) <= 4096 for record in seen["records"])


CLAIMS = """
broker = ropeway.connect("memory:")
broker.queue("mails").put({"to": "ada"}, headers={"x": "y"})
claim = broker.queue("mails").claim(lease="10m")
open("claimed", "w").close()
wait_for("go")
claim.ack()
wait_for("end")
"""


def test_claims_that_the_program_holds(run: Run) -> None:
    program = run(CLAIMS)
    until((program.folder / "claimed").exists)
    (row,) = program.view("state")["claims"]
    assert (row["queue"], row["attempt"]) == ("mails", 1)
    assert 500 < row["lease_left"] <= 600
    program.go_on()
    until(lambda: not program.view("state")["claims"])


def test_its_files_are_sent_with_a_strict_policy(run: Run) -> None:
    program = run("wait_for('go')\n")
    page = program.ask("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for name in ("style.css", "look.css", "dom.js", "look.js"):
        answer = program.ask(f"/page/{name}")
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    for wrong in ("/page/../page.py", "/page/%2e%2e%2fpage.py", "/page/nothing.js", "/page", "/x/y/z", "/state", "/state.svg"):
        assert program.ask(wrong).status == 404, wrong
