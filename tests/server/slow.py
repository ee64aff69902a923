"""Clients that take their time, each in a way that has taken servers down; in a process of their own, as an attacker's would be."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import sys
import time


def head(token: str, host: str, line: str, *more: str) -> bytes:
    """The headers of a request, without the empty line that ends them."""
    return "\r\n".join([line, f"Host: {host}", f"Authorization: Bearer {token}", *more, ""]).encode()


def kinds(host: str, token: str) -> dict[str, tuple[bytes, bytes]]:
    """By name: what is sent at once, and what is sent again and again, a byte at a time. Nobody reads."""
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}")
    return {
        "silent": (b"", b""),
        "headers": (head(token, host, "GET /v1/queues HTTP/1.1") + b"X-Slow: ", b"x"),
        "lines": (b"", b"\r\n"),
        "body": (head(token, host, "POST /v1/queues/slow/jobs HTTP/1.1", "Content-Length: 100000") + b"\r\n", b"x"),
        "refused": (head("wrong", host, "POST /v1/queues/slow/jobs HTTP/1.1", "Content-Length: 100000") + b"\r\n", b"x"),
        "reading": ((head(token, host, "GET /v1/jobs/BIG/body HTTP/1.1") + b"\r\n") * 20, b""),
        "socket": (head(token, host, "GET /v1/ws HTTP/1.1", *upgrade) + b"\r\n", b""),
    }


def main(host: str, token: str, count: int, big: str) -> None:
    """Open that many of each kind in turn, and dribble until killed."""
    address, _, port = host.rpartition(":")
    names = list(kinds(host, token))
    opened: dict[socket.socket, bytes] = {}
    for number in range(count):
        first, drop = kinds(host, token)[names[number % len(names)]]
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((address, int(port)))
        if first:
            slow.sendall(first.replace(b"BIG", big.encode()))
        slow.settimeout(0)
        opened[slow] = drop
    print("open", flush=True)
    while True:
        for slow, drop in opened.items():
            if drop:
                with contextlib.suppress(OSError):
                    slow.send(drop)
        time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
