"""The last lines of what is printed, in bounded memory whatever is printed; and the process that passes output on and keeps them.

That process is started by the file's name, so this room imports nothing of ropeway's. It reads what the program writes to stdout and stderr
out of two pipes, writes it where it was to go, and shows the end of it when it is asked. It is a process of its own, so that nothing is
lost when the program is killed, and nobody finds the pipe closed who writes after the program's end, as its children may. It ends when the
last writer has.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
from collections import deque

LINES = 1000
BYTES = 4 << 20  # kept in all
_PIECE = 16 << 10  # bytes that are gathered before they are counted
_READ = 1 << 16
_TORN = 4096  # bytes of a line without its beginning, up to which it is not worth showing

ASK = struct.Struct(">cQQ")  # t: show what comes after so many lines of each stream; s: say when all is passed on that was printed
SHOWN = struct.Struct(">QIQI")  # of each stream: how many lines came before, how many bytes follow
SYNC = 2.0  # seconds for which somebody may wait until all is passed on


class Tail:
    """Takes bytes as they come; `look` gives the end of them. From any thread."""

    def __init__(self, lines: int = LINES, most: int = BYTES) -> None:
        self._lines = lines
        self._most = most
        self._pieces: deque[tuple[bytes, int]] = deque()
        self._open = bytearray()
        self._kept = self._breaks = 0
        self._gone = 0  # lines that were dropped
        self._torn = False  # the first line that is kept has lost its beginning
        self._lock = threading.RLock()  # a signal handler may print while we hold it

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """This was printed."""
        with self._lock:
            self._open += data
            if len(self._open) >= _PIECE:
                self._close()

    def _close(self) -> None:
        piece = bytes(self._open)
        self._open.clear()
        if len(piece) > self._most:
            self._gone += piece.count(b"\n", 0, len(piece) - self._most)
            piece = piece[-self._most :]
            self._pieces.clear()
            self._gone += self._breaks
            self._kept = self._breaks = 0
            self._torn = True
        breaks, pieces = piece.count(b"\n"), self._pieces
        pieces.append((piece, breaks))
        self._kept += len(piece)
        self._breaks += breaks
        while len(pieces) > 1 and (self._breaks - pieces[0][1] > self._lines or self._kept > self._most):
            gone, breaks = pieces.popleft()
            self._kept -= len(gone)
            self._breaks -= breaks
            self._gone += breaks
            self._torn = not gone.endswith(b"\n")

    def look(self, since: int = 0) -> tuple[int, bytes]:
        """What came after the first `since` lines, as far as it is still known, and how many lines came before that."""
        with self._lock:
            number, torn = self._gone, self._torn
            parts: list[bytes] = []
            for piece, breaks in self._pieces:
                if not parts and number + breaks < since:
                    number += breaks
                else:
                    parts.append(piece)
            data = b"".join([*parts, self._open])
        at = data.find(b"\n", 0, _TORN) + 1 if torn and number == self._gone else 0
        number += bool(at)
        while number < since and (end := data.find(b"\n", at)) >= 0:
            number, at = number + 1, end + 1
        return number, data[at:]


class Stream:
    """One pipe, on its way to where it was to go."""

    def __init__(self, name: str, source: int, target: int) -> None:
        self.name = name
        self.source, self.target = source, target
        self.tail = Tail()
        self.busy = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def waiting(self) -> bool:
        """Whether there is something that was printed and is not passed on."""
        if self.busy:
            return True
        readable, _, _ = select.select([self.source], [], [], 0) if self.thread.is_alive() else ([], [], [])
        return bool(readable)

    def _run(self) -> None:
        while True:
            select.select([self.source], [], [])
            self.busy = True
            data = os.read(self.source, _READ)
            if not data:
                self.busy = False
                return
            self.tail.feed(data)
            try:
                _write(self.target, data)
            except OSError:
                os._exit(1)  # nobody takes it any more: the program writes there itself then, and is told as ever
            self.busy = False


def _write(target: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(target, left) :]
        except BlockingIOError:
            select.select([], [target], [])


def _serve(ear: socket.socket, streams: list[Stream]) -> None:
    """Answer until the program is gone."""
    try:
        while len(asked := ear.recv(ASK.size, socket.MSG_WAITALL)) == ASK.size:
            verb, *since = ASK.unpack(asked)
            if verb == b"s":
                _wait(streams)
                ear.sendall(SHOWN.pack(0, 0, 0, 0))
                continue
            first, out = _look(streams, "stdout", since[0])
            second, err = _look(streams, "stderr", since[1])
            ear.sendall(SHOWN.pack(first, len(out), second, len(err)) + out + err)
    except OSError:
        return


def _look(streams: list[Stream], name: str, since: int) -> tuple[int, bytes]:
    return next((stream.tail.look(since) for stream in streams if stream.name == name), (0, b""))


def _wait(streams: list[Stream]) -> None:
    from time import monotonic, sleep

    end = monotonic() + SYNC
    while monotonic() < end and any(stream.waiting() for stream in streams):
        sleep(0.001)


def main() -> None:
    """`sys.argv` holds: the socket's descriptor, that of the sign of life, and SOURCE,TARGET of stdout and of stderr, or -."""
    import signal

    if os.fork():  # so that it is nobody's child: a program that waits for all of its children must not wait for this
        os._exit(0)
    os.setsid()
    os.chdir("/")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    ear = socket.socket(fileno=int(sys.argv[1]))
    streams = []
    for name, words in zip(("stdout", "stderr"), sys.argv[3:5], strict=True):
        if words != "-":
            source, target = map(int, words.split(","))
            streams.append(Stream(name, source, target))
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        if fd not in [one for stream in streams for one in (stream.source, stream.target)]:
            os.dup2(null, fd)  # what it inherited would keep pipes open that it reads from
    for stream in streams:
        stream.thread.start()
    ear.sendall(b"+")
    threading.Thread(target=_serve, args=(ear, streams), daemon=True).start()
    for stream in streams:
        stream.thread.join()


if __name__ == "__main__":
    main()
