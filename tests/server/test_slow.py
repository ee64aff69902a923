"""Rows S12 and S13: five hundred slow sockets, and a client that notices none of them; how many connections, how large headers."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ropeway.server.answers import Answer

from .conftest import Server, Start
from .slow import head

pytestmark = pytest.mark.slow

SLOW = 500


@pytest.mark.timeout(180)
def test_five_hundred_slow_sockets_hold_nobody_up(starter: Start) -> None:
    """Each in one of seven ways: silent, slow headers, empty lines without end, a slow body, one behind a refusal, an answer that nobody
    reads, a WebSocket that answers no ping."""
    server = starter()
    big = server.ask("POST", "/v1/queues/big/jobs", b"x" * (1 << 20)).json["id"]
    process = psutil.Process(server.process.pid)
    before = len(process.net_connections())
    alone = statistics.median(_put(server) for _ in range(100))
    command = [sys.executable, str(Path(__file__).with_name("slow.py")), server.host, server.token, str(SLOW), big]
    crowd = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        end, there = time.monotonic() + 60, before
        while there < before + SLOW // 2:  # on a busy machine the first are cut before the last come
            assert time.monotonic() < end, f"{there} connections: they are not there"
            there = len(process.net_connections())
        taken = []
        end = time.monotonic() + 8
        while time.monotonic() < end or len(taken) < 100:
            taken.append(_put(server))
        assert crowd.stdout is not None
        assert crowd.stdout.readline() == "open\n"
        taken.sort()
        assert statistics.median(taken) < max(0.1, 20 * alone), f"median {statistics.median(taken):.3f} s, alone {alone:.4f}"
        assert taken[int(len(taken) * 0.99)] < max(1.0, 200 * alone), f"p99 {taken[int(len(taken) * 0.99)]:.3f} s, alone {alone:.4f}"
        end = time.monotonic() + 60
        while (there := len(process.net_connections())) > before:  # they dribble on, and the server has cut every one
            assert time.monotonic() < end, f"{there} connections, {before} before"
            time.sleep(0.1)
        assert crowd.poll() is None
    finally:
        crowd.kill()
        crowd.communicate(timeout=30)
    assert server.ask("GET", "/v1/queues/slow").json["ready"] == 0, "nothing of a body that never ended"


def _put(server: Server) -> float:
    """Seconds that a put takes."""
    began = time.monotonic()
    assert server.ask("POST", "/v1/queues/quick/jobs", b"x").status == 201
    return time.monotonic() - began


def _raw(server: Server, data: bytes, source: str = "127.0.0.1") -> bytes:
    """Everything that comes back on a connection of its own."""
    host, _, port = server.host.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30, source_address=(source, 0)) as one:
        one.sendall(data)
        got = b""
        while part := one.recv(1 << 16):
            got += part
    return got


def test_headers_have_a_limit_before_anything_is_parsed(server: Server) -> None:
    start = head(server.token, server.host, "GET /v1/queues HTTP/1.1", "Connection: close")
    assert b" 200 " in _raw(server, start + b"X: " + b"x" * 15_000 + b"\r\n\r\n")
    for much in (17_000, 200_000, 3_000_000):
        try:
            got = _raw(server, start + b"X: " + b"x" * much)
        except ConnectionResetError:
            continue  # what it had not read is why
        assert b" 431 " in got, got[:200]
        assert json.loads(got.rpartition(b"\r\n\r\n")[2])["status"] == 431
    many = b"".join(b"X-%d: y\r\n" % number for number in range(2000))
    assert b" 431 " in _raw(server, start + many + b"\r\n")
    long = head(server.token, server.host, f"GET /v1/queues?{'x' * 17_000} HTTP/1.1", "Connection: close")
    assert b" 431 " in _raw(server, long + b"\r\n")
    assert server.ask("GET", "/v1/queues").status == 200


def _refused(server: Server, request: bytes, source: str) -> bytes:
    """The refusal, as soon as the server has seen all that were opened before."""
    end = time.monotonic() + 20
    while b" 503 " not in (got := _raw(server, request, source)):
        assert time.monotonic() < end, got
        time.sleep(0.02)
    return got


def test_no_more_connections_than_agreed(starter: Start) -> None:
    server = starter("--connections", "20")
    host, _, port = server.host.rpartition(":")
    held = [socket.create_connection((host, int(port))) for _ in range(10)]
    try:
        request = head(server.token, server.host, "GET /v1/queues HTTP/1.1", "Connection: close") + b"\r\n"
        got = _refused(server, request, "127.0.0.1")
        assert b"retry-after" in got.lower()
        assert b"your address has 10 connections" in got
        assert b" 200 " in _raw(server, request, "127.0.0.2"), "another address has its own share"
        held += [socket.create_connection((host, int(port)), source_address=("127.0.0.3", 0)) for _ in range(10)]
        assert b"this server has 20 connections" in _refused(server, request, "127.0.0.4")
    finally:
        for one in held:
            one.close()
    end = time.monotonic() + 60
    while server.ask("GET", "/v1/queues").status != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_follows_a_body_in_chunks_is_dropped(server: Server) -> None:
    """Trailers could name another token, or fill the memory."""
    start = head(server.token, server.host, "POST /v1/queues/chunks/jobs HTTP/1.1", "Transfer-Encoding: chunked", "Connection: close")
    got = _raw(server, start + b"\r\n3\r\nabc\r\n0\r\nRopeway-H-Late: 1\r\nAuthorization: Bearer x\r\n\r\n")
    assert b" 201 " in got
    job = json.loads(got.rpartition(b"\r\n\r\n")[2])["id"]
    assert server.ask("GET", f"/v1/jobs/{job}").json["headers"] == {}
    assert server.ask("GET", f"/v1/jobs/{job}/body").body == b"abc"


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Content-Length: 3", "Content-Length: 4"],
        ["Content-Length: -1"],
        ["Content-Length: 3 3"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: xchunked"],
        ["X: a\rb"],
        [" folded: 1"],
        ["no colon"],
        ["Content Length: 3"],
    ],
)
def test_what_two_servers_may_read_differently_is_read_by_none(server: Server, lines: list[str]) -> None:
    got = _raw(server, head(server.token, server.host, "POST /v1/queues/smuggled/jobs HTTP/1.1", *lines) + b"\r\n3\r\nabc\r\n0\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 "), got[:100]
    assert b"problem+json" in got
    assert server.ask("GET", "/v1/queues/smuggled").json["ready"] == 0


def test_no_http_at_all(server: Server) -> None:
    for noise in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"SSH-2.0-x\r\n", b"\x00" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        assert _raw(server, noise).startswith(b"HTTP/1.1 400 ")
    assert server.ask("GET", "/v1/queues").status == 200


def test_an_answer_in_one_piece_keeps_the_rules_of_the_connection(server: Server) -> None:
    """Ours go past uvicorn's own way of writing them: order, length, HEAD, the end of the connection and what it says of it."""
    body = b"Content-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\nabc"
    put = head(server.token, server.host, "POST /v1/queues/pieces/jobs HTTP/1.1") + body
    look = head(server.token, server.host, "HEAD /v1/queues/pieces HTTP/1.1") + b"\r\n"
    last = head(server.token, server.host, "POST /v1/queues/pieces/jobs HTTP/1.1", "Connection: close") + body
    got = _raw(server, put + look + put + last)
    answers = got.split(b"HTTP/1.1 ")[1:]
    assert [one[:3] for one in answers] == [b"201", b"200", b"201", b"201"]
    for number, one in enumerate(answers):
        lines, _, rest = one.partition(b"\r\n\r\n")
        told = dict(line.lower().split(b": ", 1) for line in lines.split(b"\r\n")[1:])
        assert told[b"x-content-type-options"] == b"nosniff"
        assert b"default-src 'none'" in told[b"content-security-policy"]
        assert len(rest) == (0 if number == 1 else int(told[b"content-length"]))
        assert (b"connection" in told) == (number == 3)
        if number != 1:
            assert told[b"location"] == b"/v1/jobs/" + json.loads(rest)["id"].encode()
    got = _raw(server, head(server.token, server.host, "POST /v1/queues/pieces/jobs HTTP/1.0") + body)
    assert b" 201 " in got
    assert b"connection: close" in got


def test_a_header_of_two_lines_is_none() -> None:
    for text in (b"a\r\nset-cookie: b", b"a\nb", b"a\r"):
        with pytest.raises(ValueError, match="more than one line"):
            Answer(b"{}", more=((b"location", text),))
