"""A cable that can be cut: a TCP proxy in front of a server, which ends a connection when a chosen text passes by."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self


class Cable:
    """Listens on `port`. `cut(text, before)`: the next statement with this text is let through or not, and its answer never arrives."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._armed: bytes | None = None
        self._before = False
        self.cuts = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, text: bytes, *, before: bool = False) -> None:
        self._armed, self._before = text, before

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._open += [client, server]
            doomed = threading.Event()
            for source, target, asks in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._carry, args=(source, target, asks, doomed), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, asks: bool, doomed: threading.Event) -> None:
        try:
            while data := source.recv(1 << 16):
                if asks and self._armed is not None and self._armed in data:
                    self._armed, self.cuts = None, self.cuts + 1
                    if self._before:
                        break
                    doomed.set()
                elif not asks and doomed.is_set():
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()
        for one in self._open:
            one.close()
