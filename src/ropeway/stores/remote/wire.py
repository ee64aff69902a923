"""Connections to the server: kept alive, one for each call that is on its way, and the errors that come back as ropeway's own."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import msgspec

from ... import errors
from ...bells.place import readable
from ...errors import ConfigError, NotAllowed, RopewayError, StoreError
from .address import Address
from .plain import Reply, opening, request
from .words import KIND

KEPT = 16  # connections that wait for the next call
BROKEN = (OSError, http.client.HTTPException)

Woken = Callable[[], int]  # a descriptor that becomes readable when a wait should end


class Wire:
    """The way to one server, for all threads of this process."""

    def __init__(self, at: Address, url: str, timeout: float, start: Callable[[], Address] | None = None) -> None:
        self._at = at
        self._start = start  # starts the server where none is, and answers how it is reached then
        self._url = url
        self._timeout = timeout
        self._pid = os.getpid()
        self._free: list[http.client.HTTPConnection] = []
        self._context: Any = None
        self._opened: tuple[Address, str | None] | None = None
        self.closed = False

    def post(self, path: str, body: bytes | Iterable[bytes], headers: Mapping[str, str] | None = None) -> bytes:
        """One call; the body of its answer. Raises what the server refused it with; StoreError when the outcome is unknown."""
        response = self.open("POST", path, body, headers)
        return self.read(response)

    def open(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Send it and wait for the head of its answer; `read` must follow. A refusal is raised."""
        try:
            return self._open(method, path, body, headers)
        except StoreError as error:
            if self._start is None or not isinstance(error.__cause__, ConnectionRefusedError):
                raise
            self._at = self._start()
            return self._open(method, path, body, headers)

    def _open(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None, headers: Mapping[str, str] | None
    ) -> http.client.HTTPResponse:
        connection, sent = self._take(), False
        if headers is None and (body is None or isinstance(body, bytes)) and (opened := self._opening()) is not None:
            return self._exchange(connection, request(method, path, opened, body), method)
        head = {"Content-Type": KIND, **(headers or {})}
        if self._at.token:
            head["Authorization"] = f"Bearer {self._at.token}"
        try:
            connection.request(method, path, body, head, encode_chunked=True) if _streamed(body) else connection.request(
                method, path, body, head
            )
            sent = True
            response = connection.getresponse()
            response.ropeway = connection  # type: ignore[attr-defined]  # until it is read
            if response.status >= 400:
                self._refused(response.status, self.read(response))
            return response
        except BROKEN as error:
            connection.close()
            raise self._failed(error, definite=not sent and not isinstance(error, TimeoutError)) from error
        except BaseException:
            connection.close()
            raise

    def _exchange(self, connection: http.client.HTTPConnection, data: bytes, method: str) -> http.client.HTTPResponse:
        """The same for what can be sent in one piece."""
        sent = False
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.sendall(data)
            sent = True
            response = Reply(connection.sock, method=method)
            response.ropeway = connection  # type: ignore[attr-defined]
            response.begin()
            if response.status >= 400:
                self._refused(response.status, self.read(response))
            return response
        except BROKEN as error:
            connection.close()
            raise self._failed(error, definite=not sent and not isinstance(error, TimeoutError)) from error
        except RopewayError:
            raise  # it was read: the connection is free again, or closed
        except BaseException:
            connection.close()
            raise

    def _opening(self) -> str | None:
        if self._opened is None or self._opened[0] is not self._at:
            self._opened = (self._at, opening(self._at))
        return self._opened[1]

    def read(self, response: http.client.HTTPResponse) -> bytes:
        """The rest of the answer; its connection is free again."""
        connection = response.ropeway  # type: ignore[attr-defined]
        try:
            data = response.read()
        except BROKEN as error:
            connection.close()
            raise self._failed(error, definite=False) from error
        self._give(connection, response)
        return data

    def waiting(self, response: http.client.HTTPResponse, woken: int, seconds: float) -> bool:
        """Wait until the answer goes on; False when `woken` became readable first, or the time is over: then it is to be dropped."""
        connection = response.ropeway  # type: ignore[attr-defined]
        if self._came(connection.sock, response):
            return True
        return connection.sock in readable((connection.sock, woken), seconds)

    def _came(self, sock: Any, response: http.client.HTTPResponse) -> bool:
        """Whether more of the answer was read with what is before it: then nothing would be heard on the socket."""
        sock.settimeout(0.0)
        try:
            return bool(response.fp.peek(1))  # a BufferedReader
        except OSError:
            return False
        finally:
            sock.settimeout(self._timeout)

    def drop(self, response: http.client.HTTPResponse) -> None:
        """Hang up: the server sees it, and stops what it does for us."""
        response.ropeway.close()  # type: ignore[attr-defined]

    def close(self) -> None:
        self.closed = True
        while self._free:
            self._free.pop().close()

    def _take(self) -> http.client.HTTPConnection:
        if self.closed:
            raise StoreError(f"{self._url} was closed; nothing was done. Open it again", definite=True)
        if self._pid != os.getpid():  # a fork: what is open is the parent's
            self._pid, self._free = os.getpid(), []
        while self._free:
            connection = self._free.pop()
            if connection.sock is not None and not readable((connection.sock,), 0):
                return connection
            connection.close()  # the server has hung up meanwhile
        if not self._at.tls:
            return http.client.HTTPConnection(self._at.host, self._at.port, timeout=self._timeout)
        return http.client.HTTPSConnection(self._at.host, self._at.port, timeout=self._timeout, context=self._tls())

    def _give(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        if response.will_close or self.closed or len(self._free) >= KEPT or self._pid != os.getpid():
            connection.close()
        else:
            self._free.append(connection)

    def _tls(self) -> Any:
        if self._context is None:
            import ssl

            try:
                self._context = ssl.create_default_context(cafile=self._at.ca or None)
            except OSError as error:
                raise ConfigError(f"{self._url}: {self._at.ca} cannot be read: {error}; nothing was opened") from None
        return self._context

    def _failed(self, error: Exception, *, definite: bool) -> StoreError:
        definite = definite or isinstance(error, ConnectionRefusedError | socket.gaierror)
        outcome = "nothing was done" if definite else "it is unknown whether it was done"
        return StoreError(
            f"{self._url} does not answer ({error or type(error).__name__}); {outcome}. Is the server running?", definite=definite
        )

    def _refused(self, status: int, data: bytes) -> NoReturn:
        try:
            problem = msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            problem = {"detail": f"status {status}"}
        raise error_of(problem, status, self._url)


def error_of(problem: Mapping[str, Any], status: int, url: str) -> RopewayError:
    """The error that a problem tells of, as the server has raised it."""
    text = str(problem.get("detail", ""))
    kind = getattr(errors, str(problem.get("type", "")).rpartition(":")[2], None)
    if status in (401, 403):
        return NotAllowed(f"{url}: {text}")
    if kind is StoreError:
        return StoreError(text, definite=problem.get("definite") is True)
    if kind is errors.Stopped:
        return errors.Stopped(text, queue=str(problem.get("queue", "")), reason=str(problem.get("reason", "")))
    if kind is errors.Conflict:
        return errors.Conflict(text, key=str(problem.get("key", "")), job_id=str(problem.get("job_id", "")))
    if isinstance(kind, type) and issubclass(kind, RopewayError):
        return kind(text)
    if status in (400, 413):
        return errors.BadBody(text) if status == 413 else errors.BadValue(text)
    return StoreError(f"{url} answered {status}: {text}; it is unknown whether it was done")


def _streamed(body: object) -> bool:
    return body is not None and not isinstance(body, bytes)
