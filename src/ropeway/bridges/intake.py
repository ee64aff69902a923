"""Where lines come in: UDP and TCP on one address, or a unix socket; what has come by then is put together, in one commit.

While the store takes a batch nothing is read, so a TCP sender waits and loses nothing; what UDP brings waits in the kernel's buffer, and is
lost beyond that, as UDP is.
"""

from __future__ import annotations

import logging
import os
import re
import select
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..bells.place import SleepingPlace
from ..codec import encode_body
from ..errors import ConfigError, Stopped, StoreError
from ..link import Link
from ..names import shown
from ..options import PutOptions
from ..queue import Queue
from .syslog import Frames, read

log = logging.getLogger("ropeway.bridge")

PORT = 5514
AT_ONCE = 500  # lines that go together, about
CONNECTIONS = 1000
BUFFER = 4 << 20  # bytes that the kernel is asked to keep of datagrams
FIRST_BACKOFF, LONGEST_BACKOFF = 0.2, 10.0

_ADDRESS = re.compile(r"//(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]*))(?::([0-9]{1,5}))?/?\Z", re.ASCII)


def place(source: str) -> tuple[str, int]:
    """The host and port that `syslog:`, `syslog://HOST:PORT` or `syslog:/PATH` means; the port of a path is -1. Raises ConfigError."""
    scheme, _, rest = source.partition(":")
    if scheme != "syslog":
        raise ConfigError(f"{shown(source)} is no source; nothing was started. There is: syslog:, syslog://HOST:PORT, syslog:/PATH")
    if rest.startswith("/") and not rest.startswith("//"):
        return rest, -1
    found = _ADDRESS.match(rest or "//")
    if not found or int(found[3] or 0) > 65535:
        raise ConfigError(f"{shown(source)} is no address; nothing was started. Write syslog://HOST:PORT, or syslog:/PATH of a socket")
    return found[1] or found[2] or "127.0.0.1", PORT if found[3] is None else int(found[3])


class Intake:
    """Takes lines in, and puts them. Raises ConfigError when it cannot listen."""

    def __init__(self, link: Link, queue: Queue[Any], host: str, port: int, options: PutOptions) -> None:
        self._queue = queue
        self._clock = link.clock
        self._options = options
        self._path = host if port < 0 else ""
        self._streams: dict[int, tuple[socket.socket, Frames, str]] = {}
        self._wake = SleepingPlace()
        self._stopped = False
        self.put = 0  # lines
        self._datagrams, self._door = _listen(host, port)
        self.address = host if port < 0 else "{}:{}".format(*self._datagrams.getsockname()[:2])
        self._poll = select.poll()
        for sock in (self._datagrams, self._door):
            if sock is not None:
                self._poll.register(sock, select.POLLIN)
        self._reader, self._writer = os.pipe()
        self._poll.register(self._reader, select.POLLIN)

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped:
            lines = self._read(None)
            while lines and len(lines) < AT_ONCE and (more := self._read(0)):
                lines += more
            if lines:
                self._hand_over(lines)

    def stop(self) -> None:
        """From any thread or a signal handler: what has been read is put, and `run` ends."""
        self._stopped = True
        self._wake.wake()
        with suppress(OSError):
            os.write(self._writer, b"x")

    def close(self) -> None:
        for sock in (self._datagrams, self._door, *(stream for stream, _, _ in self._streams.values())):
            if sock is not None:
                sock.close()
        self._streams = {}
        if self._path:
            with suppress(OSError):
                os.unlink(self._path)
        os.close(self._reader)
        os.close(self._writer)
        self._wake.close()

    # Reading

    def _read(self, timeout: float | None) -> list[tuple[bytes, str]]:
        """Lines that have come, each with who sent it."""
        lines: list[tuple[bytes, str]] = []
        for number, _ in self._poll.poll(timeout):
            if number == self._datagrams.fileno():
                lines += self._of_datagrams()
            elif self._door is not None and number == self._door.fileno():
                self._enter()
            elif number in self._streams:
                lines += self._of_stream(number)
        return lines

    def _of_datagrams(self) -> list[tuple[bytes, str]]:
        lines = []
        for _ in range(AT_ONCE):
            try:
                data, sender = self._datagrams.recvfrom(Frames.LONGEST)
            except BlockingIOError:
                break
            except OSError:
                continue
            if data.strip(b"\r\n\0 "):
                lines.append((data, sender[0] if isinstance(sender, tuple) else ""))
        return lines

    def _enter(self) -> None:
        assert self._door is not None
        try:
            stream, sender = self._door.accept()
        except OSError:
            return
        if len(self._streams) >= CONNECTIONS:
            stream.close()
            log.warning("more than %d connections: one was turned away", CONNECTIONS)
            return
        stream.settimeout(0.0)
        self._streams[stream.fileno()] = stream, Frames(), sender[0]
        self._poll.register(stream, select.POLLIN)

    def _of_stream(self, number: int) -> list[tuple[bytes, str]]:
        stream, frames, sender = self._streams[number]
        try:
            data = stream.recv(65536)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if data:
            return [(line, sender) for line in frames.feed(data)]
        self._poll.unregister(number)
        del self._streams[number]
        stream.close()
        return [(line, sender) for line in frames.end()]

    # Putting

    def _hand_over(self, lines: Sequence[tuple[bytes, str]]) -> None:
        """Put these; try again for as long as it takes."""
        jobs = []
        for line, sender in lines:
            told = read(line)
            if sender:
                told.setdefault("host", sender)
                told["sender"] = sender
            body, kind = encode_body(told)
            options: PutOptions = {**self._options, "headers": {"facility": told["facility"], "severity": told["severity"]}}
            jobs.append(self._queue.job(body, kind, **options))
        backoff, failed = FIRST_BACKOFF, ""
        while True:
            try:
                self._queue.put_jobs(jobs)
                self.put += len(jobs)
                return
            except (StoreError, Stopped) as error:
                if str(error) != failed:
                    failed = str(error)
                    log.warning("%s; %d lines wait, and it is tried again", error, len(jobs))
            if self._stopped:
                log.error("stopped before the store took them: %d lines are lost", len(jobs))
                return
            self._clock.sleep(self._wake, backoff)
            backoff = min(2 * backoff, LONGEST_BACKOFF)


def _listen(host: str, port: int) -> tuple[socket.socket, socket.socket | None]:
    """The socket of datagrams, and the one of connections."""
    try:
        if port < 0:
            return _of_path(host), None
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        door = socket.create_server((host, port), family=family, backlog=128)
        door.settimeout(0.0)
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        datagrams.bind((host, door.getsockname()[1]))
    except (OSError, OverflowError) as error:
        raise ConfigError(f"{host}: nothing can be heard there ({error}); nothing was started. Give another address") from None
    datagrams.settimeout(0.0)
    datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    return datagrams, door


def _of_path(path: str) -> socket.socket:
    """A unix socket for datagrams, as /dev/log is. One that was left behind is replaced, and nothing else."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(f"{path} is there, and no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            if not probe.connect_ex(path):
                raise OSError(f"somebody listens at {path} already")
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    before = os.umask(0o077)
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    sock.settimeout(0.0)
    return sock
