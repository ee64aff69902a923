"""Topics: messages a second from one publisher to 1 and to 10 listening processes, one by one and 100 at a time, beside the bare way.

    ./dev bench --topics dir: sqlite: redis://127.0.0.1/0 postgresql://postgres@127.0.0.1/postgres mysql://root@127.0.0.1/test

The bare way: what carries the messages, with as little code as it can be used by. For redis: redis-py, publish and subscribe, 100 at a
time in a pipeline. For postgresql: psycopg, pg_notify, 100 at a time in a transaction. Else a socket to each listener and the same bytes
behind a length. A slice ends when every listener has heard its last message; the publisher is never more than 2,000 ahead, so none is lost.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AHEAD = 2000
BODY = b"x" * 100
SECONDS = 1.0
TOPIC = "bench.topic"
LISTENERS = (1, 10)
BATCHES = (1, 100)

Publish = Callable[[int], None]  # so many messages


class Board:
    """Counters that all processes see: of each listener, and whether it is ready."""

    def __init__(self, listeners: int) -> None:
        self._memory = mmap.mmap(-1, 16 * listeners)
        self.listeners = listeners

    def heard(self, index: int, count: int) -> None:
        struct.pack_into("q", self._memory, 16 * index, struct.unpack_from("q", self._memory, 16 * index)[0] + count)

    def ready(self, index: int) -> None:
        struct.pack_into("q", self._memory, 16 * index + 8, 1)

    def least(self) -> int:
        return int(min(struct.unpack_from("q", self._memory, 16 * index)[0] for index in range(self.listeners)))

    def all_ready(self) -> bool:
        return all(struct.unpack_from("q", self._memory, 16 * index + 8)[0] for index in range(self.listeners))


@contextmanager
def listening(board: Board, listen: Callable[[int], None]) -> Iterator[None]:
    """So many processes that listen, until the end."""
    pids = []
    try:
        for index in range(board.listeners):
            pid = os.fork()
            if not pid:
                try:
                    listen(index)
                    signal.pause()
                finally:
                    os._exit(0)
            pids.append(pid)
        while not board.all_ready():
            time.sleep(0.005)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def rate(board: Board, publish: Publish, batch: int) -> float:
    """Messages a second."""
    begun, sent, before = time.perf_counter(), 0, board.least()
    while time.perf_counter() - begun < SECONDS:
        publish(batch)
        sent += batch
        while sent - (board.least() - before) > AHEAD:
            time.sleep(0.0002)
    while board.least() - before < sent:
        time.sleep(0.0002)
    return sent / (time.perf_counter() - begun)


# -- ours


@contextmanager
def ours(url: str, listeners: int) -> Iterator[tuple[Board, Publish]]:
    from ropeway.ids import IdMaker
    from ropeway.message import Message
    from ropeway.stores import open_store

    board, new_id = Board(listeners), IdMaker(time.time_ns, os.urandom)

    def listen(index: int) -> None:
        store = open_store(url)
        store.bus.listen([TOPIC], lambda messages, missed: board.heard(index, len(messages) + max(missed, 0)))
        board.ready(index)
        signal.pause()

    with listening(board, listen):
        store = open_store(url)

        def publish(count: int) -> None:
            store.bus.publish([Message(TOPIC, new_id(), BODY, "text/plain", {}, time.time()) for _ in range(count)])

        yield board, publish
        store.close()


# -- bare


@contextmanager
def sockets(_: str, listeners: int) -> Iterator[tuple[Board, Publish]]:
    board = Board(listeners)
    pairs = [socket.socketpair() for _ in range(listeners)]
    frame = struct.pack(">I", len(BODY) + 80) + BODY + bytes(80)  # as much as a message of ours is

    def listen(index: int) -> None:
        for number, (theirs, mine) in enumerate(pairs):
            theirs.close()
            if number != index:
                mine.close()
        board.ready(index)
        rest = 0
        while data := pairs[index][1].recv(256 * 1024):
            rest += len(data)
            board.heard(index, rest // len(frame))
            rest %= len(frame)

    with listening(board, listen):
        for _, mine in pairs:
            mine.close()

        def publish(count: int) -> None:
            data = frame * count
            for theirs, _ in pairs:
                theirs.sendall(data)

        yield board, publish
        for theirs, _ in pairs:
            theirs.close()


@contextmanager
def redis_py(url: str, listeners: int) -> Iterator[tuple[Board, Publish]]:
    import redis

    board = Board(listeners)

    def listen(index: int) -> None:
        ear = redis.Redis.from_url(url.partition("?")[0]).pubsub()
        ear.subscribe(f"bare.{TOPIC}")
        for message in ear.listen():
            if message["type"] == "subscribe":
                board.ready(index)
            else:
                board.heard(index, 1)

    with listening(board, listen):
        client = redis.Redis.from_url(url.partition("?")[0])

        def publish(count: int) -> None:
            if count == 1:
                client.publish(f"bare.{TOPIC}", BODY)
                return
            pipe = client.pipeline(transaction=False)
            for _ in range(count):
                pipe.publish(f"bare.{TOPIC}", BODY)
            pipe.execute()

        yield board, publish
        client.close()


@contextmanager
def psycopg_notify(url: str, listeners: int) -> Iterator[tuple[Board, Publish]]:
    import psycopg

    board, text = Board(listeners), BODY.decode()

    def listen(index: int) -> None:
        connection = psycopg.connect(url.partition("?")[0], autocommit=True)
        connection.execute("listen bare_topic")
        board.ready(index)
        for _ in connection.notifies():
            board.heard(index, 1)

    with listening(board, listen):
        connection = psycopg.connect(url.partition("?")[0], autocommit=True, options="-c synchronous_commit=off")
        numbers = iter(range(1 << 60))

        def publish(count: int) -> None:
            if count == 1:
                connection.execute("select pg_notify('bare_topic', %s)", (text,))
                return
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany("select pg_notify('bare_topic', %s)", [(f"{text}{next(numbers)}",) for _ in range(count)])

        yield board, publish
        connection.close()


BARE = {"redis": redis_py, "postgresql": psycopg_notify}


def main(urls: list[str], above: str, rounds: int) -> int:
    """Print a row for each engine, number of listeners and batch."""
    print(f"{'':44} {'messages/s':>12} {'bare':>12} {'ratio':>7}")
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=above) as folder:
        for url in urls or ["dir:", "sqlite:"]:
            scheme, _, rest = url.partition(":")
            place = url if rest else f"{scheme}:{folder}/{scheme}"
            bare = BARE.get(scheme, sockets)
            for listeners in LISTENERS:
                for batch in BATCHES:
                    with ours(place, listeners) as mine, bare(place, listeners) as theirs:
                        pairs = [(rate(*mine, batch), rate(*theirs, batch)) for _ in range(rounds)]
                    own, floor = (statistics.median(column) for column in zip(*pairs, strict=True))
                    ratio = statistics.median(one / other for one, other in pairs)
                    what = f"{scheme}, {listeners} listening, {'one by one' if batch == 1 else f'{batch} at a time'}"
                    print(f"{what:44} {own:>12,.0f} {floor:>12,.0f} {ratio:>7.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], tempfile.gettempdir(), 3))
