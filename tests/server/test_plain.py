"""How the engine http: reads the head of an answer: as every client does, and nothing that is none."""

from __future__ import annotations

import http.client
import socket

import pytest

from ropeway.stores.remote.address import Address
from ropeway.stores.remote.plain import Reply, opening, request


def reading(data: bytes) -> Reply:
    """An answer of these bytes, and then the end of the connection."""
    there, here = socket.socketpair()
    with there:
        there.sendall(data)
    with here:
        reply = Reply(here, method="POST")
        reply.begin()
        return reply


@pytest.mark.parametrize(
    ("data", "status", "body", "closes"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", 200, b"ab", False),
        (b"HTTP/1.1 200\r\ncontent-length:2\r\n\r\nab", 200, b"ab", False),
        (b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", 204, b"", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nab", 200, b"ab", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, b"ab", True),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end", True),
        (b"HTTP/1.1 503 Not now\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 503, b"abc", False),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 1\r\n\r\na",
            201,
            b"a",
            False,
        ),
    ],
)
def test_an_answer_is_read_as_it_was_meant(data: bytes, status: int, body: bytes, closes: bool) -> None:
    reply = reading(data)
    assert (reply.status, reply.read(), reply.will_close) == (status, body, closes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 2000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: cut",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_answer_is_an_error_of_the_connection(data: bytes) -> None:
    with pytest.raises((http.client.HTTPException, OSError)):
        reading(data)


def test_a_request_is_one_piece_and_holds_no_line_of_somebody_elses() -> None:
    opened = opening(Address("::1", 8765, tls=False, token="secret"))
    assert opened is not None
    lines = request("POST", "/v1/store/put", opened, b"abc").split(b"\r\n")
    assert lines[0] == b"POST /v1/store/put HTTP/1.1"
    assert lines[-2:] == [b"", b"abc"]
    assert {b"Host: [::1]:8765", b"Authorization: Bearer secret", b"Content-Length: 3"} < set(lines)
    for at in (
        Address("a\r\nX: y", 80, tls=False, token=""),
        Address("a b", 80, tls=False, token=""),
        Address("höst", 80, tls=False, token=""),
        Address("a", 80, tls=False, token="x\r\nX: y"),
    ):
        assert opening(at) is None, "http.client has its own rules for these"
