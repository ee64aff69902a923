"""One request to the page, read from a socket within bounds of size and time, and one answer. GET, and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

HEAD = 16 << 10  # bytes of a request
PATIENCE = 10.0  # seconds for a request to arrive, and for each part of an answer to leave

REASONS = {
    200: "OK",
    303: "See Other",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
SAFETY = (
    "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\nConnection: close\r\n"
)
NOTHING = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Refused(Exception):
    """This request is not answered but with that status; the text says what was not done."""

    def __init__(self, status: int, text: str, *headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class Request(NamedTuple):
    """What was asked for. `path` is taken apart: the texts between slashes, decoded, empty ones left out."""

    path: tuple[str, ...]
    slash: bool  # the path ends with one
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case


class Answer(NamedTuple):
    """What is sent: a whole body, or parts as they come, each at once, until there are no more or nobody listens."""

    body: bytes | Iterator[bytes]
    kind: str = "application/json"
    status: int = 200
    policy: str = NOTHING
    headers: tuple[str, ...] = ()


def read(connection: socket.socket) -> Request | None:
    """The request; None when nothing came. Raises Refused for what is none, is too large, or too slow."""
    data, until = b"", monotonic() + PATIENCE
    while b"\r\n\r\n" not in data:
        left = until - monotonic()
        if left <= 0:
            raise Refused(408, "the request did not arrive in time; nothing was done")
        connection.settimeout(left)
        try:
            more = connection.recv(HEAD)
        except TimeoutError:
            raise Refused(408, "the request did not arrive in time; nothing was done") from None
        if not more:
            return None
        data += more
        if len(data) > HEAD:
            raise Refused(431, f"the request is over {HEAD} bytes; nothing was done")
    return parse(data.partition(b"\r\n\r\n")[0])


def parse(head: bytes) -> Request:
    """The request in these lines. Raises Refused."""
    try:
        first, *lines = head.decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        raise Refused(400, "a request is ASCII; nothing was done") from None
    words = first.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
        raise Refused(400, "this is no request of HTTP/1.1; nothing was done")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip() or any(c < " " and c != "\t" for c in line):
            raise Refused(400, "a header is not well formed; nothing was done")
        if name in headers and name in ("host", "authorization", "content-length"):
            raise Refused(400, f"the header {name} is there twice; nothing was done")
        headers[name] = value.strip()
    if words[0] != "GET":
        raise Refused(405, "this page can be looked at, with GET, and nothing else; nothing was done", "Allow: GET")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise Refused(400, "a GET has no body here; nothing was done")
    target, _, query = words[1].partition("?")
    if not target.startswith("/"):
        raise Refused(400, "a request names a path, from / on; nothing was done")
    parts = tuple(unquote(part) for part in target.split("/") if part)
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise Refused(400, "the query has too many parts; nothing was done") from None
    return Request(parts, target.endswith("/"), given, headers)


def send(connection: socket.socket, answer: Answer) -> None:
    """Send it. Raises OSError when whoever asked does not take it."""
    connection.settimeout(PATIENCE)
    more = "".join(f"{header}\r\n" for header in answer.headers)
    head = (
        f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\nContent-Type: {answer.kind}\r\nContent-Security-Policy: {answer.policy}\r\n"
    )
    if isinstance(answer.body, bytes):
        length = f"Content-Length: {len(answer.body)}\r\n"
        connection.sendall(f"{head}{length}{SAFETY}{more}\r\n".encode() + answer.body)
        return
    connection.sendall(f"{head}{SAFETY}{more}\r\n".encode())
    for part in answer.body:
        connection.sendall(part)
