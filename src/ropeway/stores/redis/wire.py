"""One connection to one server: redis-py opens it (TLS, passwords, database), then commands go out and replies come in without detour.

A reply costs redis-py about as long as the server: so after the handshake only the socket is used, with hiredis as the reader.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from time import monotonic
from typing import Any

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .address import Address

CHUNK = 65536
FRESH = 0.25  # seconds for which a connection that answered is taken to be alive


class Broken(Exception):
    """The connection ended or stayed silent: what became of the commands is unknown."""


class Unreached(Exception):
    """No connection could be made: nothing was done. `reply` is the server's own word, if it gave one."""

    def __init__(self, text: str, reply: str = "") -> None:
        super().__init__(text)
        self.reply = reply


class Wire:
    """Used by one thread at a time."""

    def __init__(self, address: Address, host: str, port: int, timeout: float) -> None:
        self.place = (host, port)
        self._connection = _connect(address, host, port, timeout)
        self._reader = hiredis.Reader()
        self._sock: socket.socket = self._connection._sock  # noqa: SLF001 - in every redis-py from 2 to 8, and what this module is for
        if isinstance(self._sock, ssl.SSLSocket):
            self._sock.settimeout(timeout)
        else:  # the kernel keeps the time: a system call less for each command
            self._sock.settimeout(None)
            span = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6) or 1)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
        self._used = monotonic()

    def send(self, data: bytes) -> None:
        """Raises Broken."""
        try:
            self._sock.sendall(data)
        except (OSError, ValueError) as error:
            raise Broken(_words(error)) from error

    def receive(self) -> Any:
        """The next reply; an error of the server is answered as hiredis.ReplyError. Raises Broken."""
        reader = self._reader
        try:
            reply = reader.gets()
            while reply is False:
                data = self._sock.recv(CHUNK)
                if not data:
                    raise Broken("the server closed the connection")
                reader.feed(data)
                reply = reader.gets()
        except (OSError, ValueError, hiredis.ProtocolError) as error:
            raise Broken(_words(error)) from error
        self._used = monotonic()
        return reply

    def alive(self) -> bool:
        """Whether it may be used: one that lay idle is looked at, since a server that went away has closed it."""
        if self._sock.fileno() < 0:  # closed by a thread that found the server gone, while another one took it out
            return False
        if monotonic() - self._used < FRESH:
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    def fileno(self) -> int:
        return self._sock.fileno()

    def buffered(self) -> bool:
        """Whether more has arrived than was asked for: then the socket itself looks silent."""
        return bool(self._reader.has_data()) or (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0)

    def close(self) -> None:
        """May be called twice."""
        try:
            self._connection.disconnect()
        except (OSError, redis.RedisError):
            pass


def _connect(address: Address, host: str, port: int, timeout: float) -> Any:
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "db": address.db,
        "username": address.username,
        "password": address.password,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "socket_keepalive_options": _KEEPALIVE,
        "retry": Retry(NoBackoff(), 0),
    }
    if int(redis.__version__.partition(".")[0]) >= 5:
        options["protocol"] = 2
    if address.tls:
        own = address.options
        options |= {name: own[name] for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if name in own}
        options["ssl_cert_reqs"] = own.get("ssl_cert_reqs", "required")
        options["ssl_check_hostname"] = own.get("ssl_check_hostname", "true").lower() == "true" and options["ssl_cert_reqs"] != "none"
    try:
        connection: Any = (redis.SSLConnection if address.tls else redis.Connection)(**options)
        connection.connect()
    except (redis.AuthenticationError, redis.ResponseError) as error:
        raise Unreached(f"{host}:{port} refused the connection: {error}", str(error)) from None
    except (redis.RedisError, OSError, ValueError) as error:
        raise Unreached(f"{host}:{port} cannot be reached: {_words(error)}") from None
    return connection


_KEEPALIVE = (  # a peer that is gone without a word is noticed within a minute
    {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3} if hasattr(socket, "TCP_KEEPIDLE") else {}
)


def _words(error: BaseException) -> str:
    if isinstance(error, BlockingIOError | TimeoutError | ssl.SSLWantReadError):
        return "no answer in time"
    return str(error) or type(error).__name__
