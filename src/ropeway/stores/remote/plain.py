"""A request whose body is there, and the head of its answer, in a few lines: http.client sends such a request in two pieces, and reads the
head of each answer with a parser that is made for mail. What it keeps open, and what it reads afterwards, stays its own."""

from __future__ import annotations

import http.client

from .address import Address
from .words import KIND

LINE = 1 << 14  # bytes
LINES = 100


class Reply(http.client.HTTPResponse):
    """An answer of which nobody asks more than its status, its length and whether the connection goes on."""

    def begin(self) -> None:
        status, told = self._head()
        while 100 <= status < 200:
            status, told = self._head()
        self.status = self.code = status
        self.reason = ""
        self.headers = self.msg = http.client.HTTPMessage()
        self.chunk_left = None
        length, coding, connection = told.get(b"content-length"), told.get(b"transfer-encoding"), told.get(b"connection", b"").lower()
        if coding is not None and coding.lower() != b"chunked":
            raise http.client.UnknownTransferEncoding(repr(coding))
        if length is not None and not (length.isdigit() and len(length) < 16):
            raise http.client.HTTPException(f"a length of {length!a:.40}")
        self.chunked = coding is not None
        self.length = None if self.chunked or length is None else int(length)
        if status in (204, 304):
            self.length = 0
        self.will_close = b"close" in connection or (self.version == 10 and b"keep-alive" not in connection)
        self.will_close = self.will_close or not (self.chunked or self.length is not None)

    def _head(self) -> tuple[int, dict[bytes, bytes]]:
        line = self.fp.readline(LINE)
        if not line:
            raise http.client.RemoteDisconnected("hung up without an answer")
        if line[:7] != b"HTTP/1." or line[7:9] not in (b"0 ", b"1 ") or not line[9:12].isdigit() or line[12:13] not in (b" ", b"\r", b"\n"):
            raise http.client.BadStatusLine(repr(line[:80]))
        self.version = 11 if line[7:8] == b"1" else 10
        told: dict[bytes, bytes] = {}
        for _ in range(LINES):
            part = self.fp.readline(LINE)
            if part in (b"\r\n", b"\n"):
                return int(line[9:12]), told
            name, colon, value = part.partition(b":")
            if not colon or not part.endswith(b"\n"):
                break
            told[name.lower()] = value.strip()
        raise http.client.HTTPException("the head of the answer is none")


def opening(at: Address) -> str | None:
    """What every request there says of itself, between its first line and the length of its body; None for an address or a token that
    http.client must look at."""
    if not (at.origin.isascii() and at.origin.isprintable() and " " not in at.origin and at.token.isascii() and at.token.isprintable()):
        return None
    who = f"Authorization: Bearer {at.token}\r\n" if at.token else ""
    return f" HTTP/1.1\r\nHost: {at.origin}\r\nAccept-Encoding: identity\r\nContent-Type: {KIND}\r\n{who}"


def request(method: str, path: str, opened: str, body: bytes | None) -> bytes:
    """The bytes of it."""
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    return f"{method} {path}{opened}{length}\r\n".encode("ascii") + (body or b"")
