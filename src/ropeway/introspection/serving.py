"""The page's threads: one that takes connections, and one for each of at most sixteen that it answers at once."""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from time import sleep

from ..sight.threads import PRIVATE
from .requests import Answer, Refused, Request, read, send

MOST = 16  # connections at once


class Serving:
    """Serves on a socket that listens, from `start` until `close`. `answer` is called in a thread of the connection's own; `watch` is told
    when something that it looks at is ready: (descriptor, what to call)."""

    def __init__(self, door: socket.socket, answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> None:
        self._door = door
        self._answer = answer
        self._tls = tls
        self._places = threading.BoundedSemaphore(MOST)
        self._bell, self._rope = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(door, selectors.EVENT_READ, self._take)
        self._selector.register(self._bell, selectors.EVENT_READ, self._end)
        self._open: set[socket.socket] = set()
        self._ended = False
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name=f"{PRIVATE}-page", daemon=True)

    def start(self) -> None:
        self._door.settimeout(0.0)
        self._thread.start()

    def watch(self, fd: int, ready: Callable[[], object]) -> None:
        """Call this once when the descriptor is readable; before `start`."""

        def once() -> None:
            self._selector.unregister(fd)
            ready()

        self._selector.register(fd, selectors.EVENT_READ, once)

    def close(self) -> None:
        """No more connections, and those that are open end."""
        if os.getpid() == self._pid:
            self._rope.send(b"!")
            self._thread.join(5.0)
        for one in (self._door, *list(self._open), self._bell, self._rope):
            one.close()
        self._selector.close()

    def let_go(self) -> None:
        """In a forked child: its copies of the sockets are closed, so that the page ends when its own process does."""
        for one in (self._door, *self._open, self._bell, self._rope):
            one.close()

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select():
                key.data()

    def _end(self) -> None:
        self._ended = True
        for one in list(self._open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _take(self) -> None:
        try:
            connection, _ = self._door.accept()
        except OSError:
            sleep(0.05)  # too many files are open, perhaps: no busy loop
            return
        if not self._places.acquire(blocking=False):
            connection.settimeout(0.1)
            self._refuse(connection, Refused(503, f"{MOST} look at this process already; nothing was shown. Try again"))
            connection.close()
            return
        self._open.add(connection)
        threading.Thread(target=self._serve, args=(connection,), name=f"{PRIVATE}-answer", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        secure = connection
        try:
            if self._tls is not None:
                connection.settimeout(10.0)
                secure = self._tls.wrap_socket(connection, server_side=True)
                self._open.add(secure)
            self._exchange(secure)
        except OSError:
            pass  # the other side has gone, or speaks no TLS
        finally:
            for one in {connection, secure}:
                self._open.discard(one)
                one.close()
            self._places.release()

    def _exchange(self, connection: socket.socket) -> None:
        try:
            request = read(connection)
            if request is not None:
                send(connection, self._answer(request))
        except Refused as refused:
            self._refuse(connection, refused)
        else:
            return
        try:  # what it still sends is taken, or it would not read why it was refused
            connection.settimeout(0.2)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1 << 16)
        except OSError:
            pass

    @staticmethod
    def _refuse(connection: socket.socket, refused: Refused) -> None:
        from msgspec import json

        body = json.encode({"title": "Refused", "status": refused.status, "detail": str(refused)})
        try:
            send(connection, Answer(body, "application/problem+json", refused.status, headers=refused.headers))
        except OSError:
            pass
