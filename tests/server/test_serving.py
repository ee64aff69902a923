"""The server as a process: where it may stand, its token, its end, and that there is only one."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ropeway.door import hosts
from ropeway.errors import ConfigError
from ropeway.server.grants import read
from ropeway.server.place import address

from .conftest import Server, Start


def _serve(folder: Path, *args: str, url: str = "memory:") -> subprocess.CompletedProcess[str]:
    """A server that is expected to refuse its start."""
    env = {**os.environ, "XDG_STATE_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "ropeway.cli", "-u", url, "serve", *args], capture_output=True, text=True, env=env, timeout=60
    )


def test_the_first_start_makes_a_token_and_the_second_keeps_it(starter: Start, tmp_path: Path) -> None:
    first = starter(home=tmp_path)
    file = tmp_path / "ropeway" / "server-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(first.token) >= 43
    assert first.stop() == 0
    second = starter(home=tmp_path)
    assert second.token == first.token
    assert second.ask("GET", "/v1/queues").status == 200


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["-b", "0.0.0.0:0"], "--token-file and --cert"),
        (["-b", "[::]:0"], "--token-file"),
        (["-b", "0.0.0.0:0", "--no-auth"], "--no-auth"),
        (["-b", "0.0.0.0:0", "--token-file", "x"], "--cert"),
        (["-b", "127.0.0.1:0", "--cert", "x"], "belong together"),
        (["-b", "127.0.0.1:99999"], "no address"),
        (["-b", "127.0.0.1:0", "--token-file", "/nowhere"], "cannot be read"),
    ],
)
def test_a_door_that_would_be_left_open(tmp_path: Path, args: list[str], says: str) -> None:
    done = _serve(tmp_path, *args)
    assert done.returncode == 2 or done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_file_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("a-token-that-is-long-enough")
    file.chmod(0o644)
    assert "chmod 600" in _serve(tmp_path, "--token-file", str(file)).stderr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "[[token]]\nname = 'x'",
        "[[token]]\ntoken = 'x'\n",
        "[[token]]\ntoken = 'long-enough-as-it-is'\nproduce = '*'",
        "[[token]]\ntoken = 'long-enough-as-it-is'\nadmin = ['*']",
        "[[token]]\nsha256 = 'xyz'",
        "token = 1",
        "[[token]]\ntoken='long-enough-as-it-is'\nexpires='x'",
    ],
)
def test_token_files_that_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigError):
        read(str(file))


def test_a_second_server_on_one_folder_notices_the_first(starter: Start, tmp_path: Path) -> None:
    first = starter(home=tmp_path)
    other = _serve(tmp_path, "-b", "127.0.0.1:0", url=f"dir:{tmp_path}/spool?durability=os")
    assert other.returncode not in (0, 101)
    assert "served already" in other.stderr
    assert first.host in other.stderr
    first.process.kill()
    first.process.wait(30)
    assert starter(home=tmp_path).ask("GET", "/v1/queues").status == 200, "a dead one is none"


def test_sigterm_ends_long_polls_and_loses_nothing(starter: Start, tmp_path: Path) -> None:
    server = starter(home=tmp_path)
    job = server.ask("POST", "/v1/queues/q/jobs", b"x").json["id"]
    with ThreadPoolExecutor(4) as pool:
        polls = [pool.submit(server.ask, "POST", "/v1/queues/empty/claims?wait=200s") for _ in range(4)]
        while server.ask("GET", "/healthz").status != 200:
            pass
        assert server.stop() == 0
        assert [poll.result(30).status for poll in polls if not poll.exception()] in ([204] * n for n in range(5))
    again = starter(home=tmp_path)
    assert [row["id"] for row in again.ask("POST", "/v1/queues/q/claims").json] == [job]


def test_a_receipt_outlives_the_server(starter: Start, tmp_path: Path) -> None:
    server = starter(home=tmp_path)
    server.ask("POST", "/v1/queues/q/jobs", b"x")
    (job,) = server.ask("POST", "/v1/queues/q/claims?lease=1h").json
    server.process.kill()
    server.process.wait(30)
    again = starter(home=tmp_path)
    assert again.ask("POST", "/v1/queues/q/claims?wait=3").status == 204, "the claim is its client's, not the dead server's"
    assert again.post("/v1/ack", {"receipts": [job["receipt"]]}).json == {"answers": [True]}


def test_addresses() -> None:
    assert str(address("127.0.0.1:1")) == "127.0.0.1:1"
    assert str(address(":1")) == "127.0.0.1:1"
    assert str(address("[::1]:1")) == "[::1]:1"
    assert address("[::1]").loopback
    assert address("localhost:1").loopback
    assert address("unix:/x").loopback
    assert not address("0.0.0.0").loopback
    assert not address("example.org:1").loopback
    assert "example.org:443" in hosts(address("0.0.0.0:443"), ("Example.org",))
    for text in ("", "a b:1", "x:1:2", "::1", "unix:", "1.2.3.4:70000"):
        with pytest.raises(ConfigError):
            address(text)


def test_a_file_at_the_address_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    command = [sys.executable, "-m", "ropeway.cli", "-u", f"dir:{tmp_path}/spool", "serve", "-b", f"unix:{path}", "--no-auth"]
    ended = subprocess.run(command, capture_output=True, timeout=30)
    assert ended.returncode != 0
    assert b"is no socket" in ended.stderr
    assert path.read_text() == "data"


def test_a_unix_socket_is_for_its_owner(tmp_path: Path, server: Server) -> None:
    path = tmp_path / "s"
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "ropeway.cli", "-u", f"dir:{tmp_path}/spool", "serve", "-b", f"unix:{path}", "--no-auth"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stderr is not None
        assert f"unix:{path}" in process.stderr.readline()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        connection.request("GET", "/v1/queues")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_socket_that_systemd_hands_over(tmp_path: Path) -> None:
    """As sd_listen_fds says: descriptor 3, with our pid beside it."""
    with socket.create_server(("127.0.0.1", 0)) as handed:
        port = handed.getsockname()[1]
        hand_over = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
            "os.execv(sys.executable, [sys.executable, '-m', 'ropeway.cli', '-u', 'memory:', 'serve', '-b', 'systemd', '--no-auth'])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", hand_over, str(handed.fileno())],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
            pass_fds=(handed.fileno(),),
        )
    try:
        assert process.stderr is not None
        assert f"http://127.0.0.1:{port}" in process.stderr.readline()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/v1/queues")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert "handed over no socket" in _serve(tmp_path, "-b", "systemd").stderr


def test_the_units_of_the_guide_are_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    text = (Path(__file__).parents[2] / "docs" / "guides" / "server.md").read_text()
    blocks = [block for block in re.findall(r"```ini\n(.*?)```", text, re.DOTALL) if "[Unit]" in block]
    assert len(blocks) == 2
    for block in blocks:
        name = "ropeway.socket" if "[Socket]" in block else "ropeway.service"
        body = re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", block).replace("User=ropeway", "User=root")
        (tmp_path / name).write_text(body)
    done = subprocess.run([analyze, "verify", "--man=no", *map(str, tmp_path.iterdir())], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "ropeway" in line]
    assert not said, said
