"""Whoever hangs up while a claim waits takes no job along: the next who asks gets it, as its first attempt."""

from __future__ import annotations

import socket

import pytest

from .conftest import Server


@pytest.mark.parametrize(
    ("name", "rest", "times"),
    [
        ("empty", b"Content-Length: 0\r\n\r\n", 1),
        ("half", b"Content-Length: 5\r\n\r\n{}", 1),  # the rest of its body never comes
        ("twice", b"Content-Length: 0\r\n\r\n", 2),  # it does not wait for the first answer
    ],
)
def test_a_client_that_hangs_up_takes_nothing_along(server: Server, name: str, rest: bytes, times: int) -> None:
    host, port = server.host.rsplit(":", 1)
    head = f"POST /v1/queues/{name}/claims?wait=300&lease=600 HTTP/1.1\r\nHost: {server.host}\r\nAuthorization: Bearer {server.token}\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall((head.encode() + rest) * times)
        for _ in range(5):  # it is read by then, since those who came later are answered
            assert server.ask("GET", "/healthz").status == 200
    job = server.ask("POST", f"/v1/queues/{name}/jobs", b"x").json["id"]
    (row,) = server.ask("POST", f"/v1/queues/{name}/claims?wait=60").json
    assert (row["id"], row["attempt"]) == (job, 1)
    assert server.post("/v1/ack", {"receipts": [row["receipt"]]}).json == {"answers": [True]}
