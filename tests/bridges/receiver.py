"""A receiver of webhooks: real HTTP on the loopback, answering as it is told."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Reply = tuple[int, dict[str, str], bytes]
Script = Callable[[int], Reply | None]


class Got(NamedTuple):
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int]


class Receiver:
    """What came, in its order, and the script of what is answered: by the number of the request, from 0; None cuts the line instead."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.got: list[Got] = []
        self.came = threading.Semaphore(0)
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._lock:
                    number = len(receiver.got)
                    receiver.got.append(Got(self.path, dict(self.headers.items()), body, self.client_address))
                receiver.came.release()
                reply = script(number)
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, said = reply
                self.send_response(status)
                for name, value in {"Content-Length": str(len(said)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hooks?x=1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def always(status: int, headers: dict[str, str] | None = None, said: bytes = b"") -> Script:
    """The same answer to all."""
    return lambda _: (status, headers or {}, said)


def in_turn(*replies: Reply | None) -> Script:
    """These, one after the other; the last one stays."""
    return lambda number: replies[min(number, len(replies) - 1)]


@contextmanager
def receiving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver that is there inside the block."""
    receiver = Receiver(script, tls)
    try:
        yield receiver
    finally:
        receiver.close()
