"""The notifier: lines a second that reach 10 and 200 listeners, beside the bare loop and Redis' own publish and subscribe.

    ./dev bench --lines

One speaker sends lines of 100 bytes, 100 in a write or one; all others read in one process, and a slice ends when each has all of them. The
bare loop is the least that relays: asyncio on uvloop, what comes is written to all others, with no lines, no order to keep, no bounds.
Redis is asked to PUBLISH, 100 in a pipeline, with one bare socket for each that has subscribed.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

LINE = b"x" * 99
LISTENERS = (10, 200)
AT_ONCE = (100, 1)
ROUNDS = 7
DELIVERIES = 400_000  # a slice: lines times listeners

_BARE = """
import asyncio, uvloop
clients = set()
class Client(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        clients.add(self)
    def data_received(self, data):
        for client in clients:
            if client is not self:
                client.transport.write(data)
    def connection_lost(self, error):
        clients.discard(self)
async def main():
    server = await asyncio.get_running_loop().create_server(Client, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""


class System(NamedTuple):
    """One way of passing lines on. `join`: what a listener says first, and how it begins to hear; `packed`: so many lines as they are sent;
    `size`: bytes of one line as a listener gets it; `answers`: whether the speaker is answered, and must read."""

    name: str
    port: int
    join: Callable[[socket.socket], None]
    packed: Callable[[int], bytes]
    size: int
    answers: bool = False


def greeted(sock: socket.socket) -> None:
    """The notifier says hello."""
    while not sock.recv(4096).endswith(b"\n"):
        pass


def subscribed(sock: socket.socket) -> None:
    sock.sendall(b"SUBSCRIBE lines\r\n")
    sock.recv(4096)


def published(count: int) -> bytes:
    return b"*3\r\n$7\r\nPUBLISH\r\n$5\r\nlines\r\n$%d\r\n%s\r\n" % (len(LINE), LINE) * count


@contextmanager
def systems() -> Iterator[list[System]]:
    """All of them, running."""
    bare = subprocess.Popen([sys.executable, "-c", _BARE], stdout=subprocess.PIPE)
    ours = subprocess.Popen([sys.executable, "-m", "ropeway", "notifier", "-b", "127.0.0.1:0"], stderr=subprocess.PIPE)
    try:
        assert bare.stdout is not None
        assert ours.stderr is not None
        port = int(ours.stderr.readline().rpartition(b":")[2])
        found = [System("bare loop", int(bare.stdout.readline()), lambda _: None, lambda count: (LINE + b"\n") * count, len(LINE) + 1)]
        found.append(System("notifier", port, greeted, lambda count: (LINE + b"\n") * count, len(LINE) + 2))
        frame = len(b"*3\r\n$7\r\nmessage\r\n$5\r\nlines\r\n$%d\r\n%s\r\n" % (len(LINE), LINE))
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 6379)) == 0:
                found.append(System("redis", 6379, subscribed, published, frame, answers=True))
        yield found
    finally:
        for process in (bare, ours):
            process.send_signal(signal.SIGKILL)
            process.wait()


class Room:
    """A speaker and its listeners on one system."""

    def __init__(self, system: System, listeners: int) -> None:
        self.system = system
        self.listeners = [self._joined() for _ in range(listeners)]
        self.speaker = socket.create_connection(("127.0.0.1", system.port))
        self.speaker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not system.answers:
            system.join(self.speaker)
        self._poll = select.epoll()
        for sock in self.listeners:
            sock.settimeout(0.0)
            self._poll.register(sock, select.EPOLLIN)
        self._by_number = {sock.fileno(): sock for sock in self.listeners}

    def _joined(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.system.port))
        self.system.join(sock)
        return sock

    def rate(self, at_once: int) -> float:
        """Deliveries a second. Never more than 1 MiB ahead, so that nobody misses any."""
        lines = max(at_once, DELIVERIES // len(self.listeners) // (1 if at_once > 1 else 10)) // at_once * at_once
        packed, sent, heard, size = self.system.packed(at_once), 0, 0, self.system.size * len(self.listeners)
        ahead = max(1, (1 << 18) // (size // len(self.listeners) * at_once)) * at_once
        begun = time.perf_counter()
        while heard < lines * size:
            while sent < lines and (sent - heard // size) <= ahead:
                self.speaker.sendall(packed)
                sent += at_once
                if self.system.answers:
                    self._answers(at_once)
            for number, _ in self._poll.poll(5):
                heard += len(self._by_number[number].recv(1 << 20))
        return lines * len(self.listeners) / (time.perf_counter() - begun)

    def _answers(self, count: int) -> None:
        left = count
        while left > 0:
            left -= self.speaker.recv(65536).count(b"\n")

    def close(self) -> None:
        self._poll.close()
        for sock in (*self.listeners, self.speaker):
            sock.close()


def main() -> int:
    """Measure and print; all systems in turn, round after round."""
    print(f"load average before: {os.getloadavg()[0]:.1f}\n")
    print("| listeners | lines a write | | deliveries/s | x bare loop |")
    print("|---:|---:|---|---:|---:|")
    with systems() as found:
        for listeners in LISTENERS:
            rooms = [Room(system, listeners) for system in found]
            for at_once in AT_ONCE:
                taken = [[room.rate(at_once) for room in rooms] for _ in range(ROUNDS)][1:]
                for number, system in enumerate(found):
                    rates = [row[number] for row in taken]
                    ratio = statistics.median(row[number] / row[0] for row in taken)
                    print(f"| {listeners} | {at_once} | {system.name} | {statistics.median(rates):,.0f} | {ratio:.2f} |", flush=True)
            for room in rooms:
                room.close()
    return 0
