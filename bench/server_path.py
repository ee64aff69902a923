"""What the server adds to a request: CPU from the bytes that came to the bytes that go, as a ratio to a bare endpoint; no sockets.

    .venv/bin/python -m bench.server_path [FOLDER]

The protocol of the server (uvicorn's parser, our connection, the gate, the handler, the store and its threads) is fed by hand, on as many
connections as `bench --http` has, and what it writes is taken from a transport that sends nothing. The floor is an endpoint of Starlette
under uvicorn's own protocol, fed in the same way: what has none of its own (a claim and its ack, the three messages of a WebSocket) is
compared with one request to it. All threads of the process count. Rounds go in turn, so that what else the machine does
falls on all alike. Use the ratios.

The last lines are of a put that wakes a waiting claim: wall time from the bytes of the put to the answer of the claim, all else idle.
"""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ropeway.broker import Broker
from ropeway.clock import SYSTEM
from ropeway.link import Link
from ropeway.server import make_app
from ropeway.server.grants import Keys
from ropeway.server.running import COLLECT
from ropeway.server.sockets import Config, Crowd, Http, Socket
from ropeway.server.stopping import Stopping

from .http.bare import one
from .http.client import BODY, http

CONNECTIONS = 32
ROUNDS = 5
TOKEN = "a-token-of-the-bench-that-nobody-else-has"
PORT = 7000
SOCKETS = 16
TEXT = 0x81  # the first byte of a frame that is a whole message of text
UPGRADE = (
    f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()
Made = Callable[[], asyncio.Protocol]


class Mouth(asyncio.Transport):
    """What a protocol writes to: `told` hears of each whole answer, and of each message of a WebSocket."""

    def __init__(self, told: Callable[[bytes], None]) -> None:
        super().__init__({"sockname": ("127.0.0.1", PORT), "peername": ("127.0.0.1", 40000)})
        self.told = told
        self.got = b""
        self.missing = 0
        self.protocol: Any = None

    def write(self, data: Any) -> None:
        if data[0] == TEXT and not self.missing:
            self.told(data[4 if data[1] == 126 else 2 :])  # a frame goes out in one piece
            return
        if self.missing:
            self.missing -= len(data)
        else:
            self.got = data
            end = data.index(b"\r\n\r\n") + 4
            at = data.find(b"content-length: ", 0, end)
            self.missing = int(data[at + 16 : data.index(b"\r", at)]) - (len(data) - end) if at > 0 else 0
            if not self.missing:
                self.told(self.got)
            return
        self.got += data
        if self.missing <= 0:
            self.told(self.got)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        return

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol


class Line:
    """One connection: it says `request` as soon as the answer to the one before is there, until `left` is used up."""

    def __init__(self, made: Made, request: bytes, left: list[int], done: asyncio.Future[None]) -> None:
        self.protocol: Any = made()
        self.request, self.left, self.done = request, left, done
        self.loop = asyncio.get_running_loop()
        self.protocol.connection_made(Mouth(self.told))

    def begin(self) -> None:
        self.protocol.data_received(self.request)

    def told(self, answer: bytes) -> None:
        assert answer.startswith(b"HTTP/1.1 2"), answer[:300]
        if self.left[0] > 0:
            self.left[0] -= 1
            self.loop.call_soon(self.begin)
            return
        self.left[1] -= 1
        if not self.left[1]:
            self.done.set_result(None)


async def ask(made: Made, request: bytes, count: int) -> float:
    """CPU microseconds a request."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = [count - CONNECTIONS, CONNECTIONS]
    lines = [Line(made, request, left, done) for _ in range(CONNECTIONS)]
    own = time.process_time()
    for line in lines:
        asyncio.get_running_loop().call_soon(line.begin)
    await done
    spent = time.process_time() - own
    for line in lines:
        line.protocol.connection_lost(None)
    return spent / count * 1e6


async def drain(made: Made, count: int, limit: int) -> float:
    """CPU microseconds of a claim of so many and the ack of what it gave, on one connection."""
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    protocol: Any = made()
    protocol.connection_made(Mouth(answers.put_nowait))
    claim = http(TOKEN, PORT, f"/v1/queues/bench/claims?limit={limit}&lease=60", b"", "application/json")
    spent = 0.0
    for _ in range(count):
        own = time.process_time()
        protocol.data_received(claim)
        got = await answers.get()
        spent += time.process_time() - own
        jobs = json.loads(got.partition(b"\r\n\r\n")[2])
        assert len(jobs) == limit, got[:300]
        ack = http(TOKEN, PORT, "/v1/ack", json.dumps({"receipts": [job["receipt"] for job in jobs]}).encode(), "application/json")
        own = time.process_time()
        protocol.data_received(ack)
        assert (await answers.get()).startswith(b"HTTP/1.1 200")
        spent += time.process_time() - own
    protocol.connection_lost(None)
    return spent / count * 1e6


class Talker:
    """A WebSocket that puts a job, claims it and acks it, round after round, until `left` is used up."""

    def __init__(self, made: Made, number: int, left: list[int], done: asyncio.Future[None]) -> None:
        self.left, self.done = left, done
        self.loop = asyncio.get_running_loop()
        self.put = frame({"op": "put", "queue": f"ws{number}", "body": "x" * 98})
        self.claim = frame({"op": "claim", "queue": f"ws{number}", "wait": 5})
        self.mouth = Mouth(self.told)
        self.mouth.protocol = made()
        self.mouth.protocol.connection_made(self.mouth)

    def say(self, data: bytes) -> None:
        self.loop.call_soon(self.mouth.protocol.data_received, data)

    def told(self, answer: bytes) -> None:
        if answer.startswith(b"HTTP/1.1 101"):
            self.say(self.put)
        elif answer.startswith(b'{"n":0,"id"'):
            self.say(self.claim)
        elif answer.startswith(b'{"n":0,"jobs":[{'):
            (job,) = json.loads(answer)["jobs"]
            self.say(frame({"op": "ack", "receipts": [job["receipt"]]}))
        elif answer == b'{"n":0,"answers":[true]}' and self.left[0]:
            self.left[0] -= 1
            self.say(self.put)
        else:
            assert answer == b'{"n":0,"answers":[true]}', answer
            self.left[1] -= 1
            if not self.left[1]:
                self.done.set_result(None)


def frame(message: dict[str, Any]) -> bytes:
    """As a client sends it; a mask of zeros leaves it as it is."""
    text = json.dumps(message).encode()
    size = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0x80 | 126, *len(text).to_bytes(2, "big")])
    return bytes([TEXT]) + size + bytes(4) + text


async def talk(made: Made, count: int) -> float:
    """CPU microseconds of a put, a claim and an ack as messages, the jobs one after the other on each of some WebSockets."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = [count - SOCKETS, SOCKETS]
    talkers = [Talker(made, number, left, done) for number in range(SOCKETS)]
    own = time.process_time()
    for talker in talkers:
        talker.say(UPGRADE)
    await done
    spent = time.process_time() - own
    ending = {task for talker in talkers for task in talker.mouth.protocol.tasks}
    for talker in talkers:
        talker.mouth.protocol.connection_lost(None)
    await asyncio.wait(ending)
    return spent / count * 1e6


async def wake(made: Made, count: int) -> list[float]:
    """Seconds from a put to the answer of the claim that waited for it."""
    claimed, rest = asyncio.Queue[tuple[float, bytes]](), asyncio.Queue[bytes]()
    waiting, putting = made(), made()
    waiting.connection_made(Mouth(lambda got: claimed.put_nowait((time.perf_counter(), got))))
    putting.connection_made(Mouth(rest.put_nowait))
    claim = http(TOKEN, PORT, "/v1/queues/wake/claims?wait=30&lease=60", b"", "application/json")
    put = http(TOKEN, PORT, "/v1/queues/wake/jobs", BODY, "application/octet-stream")
    took = []
    for _ in range(count):
        waiting.data_received(claim)  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        putting.data_received(put)  # type: ignore[attr-defined]
        ended, got = await claimed.get()
        took.append(ended - began)
        await rest.get()
        receipts = [json.loads(got.partition(b"\r\n\r\n")[2])[0]["receipt"]]
        putting.data_received(http(TOKEN, PORT, "/v1/ack", json.dumps({"receipts": receipts}).encode(), "application/json"))  # type: ignore[attr-defined]
        await rest.get()
    for protocol in (waiting, putting):
        protocol.connection_lost(None)
    return sorted(took)


class Ours:
    """The server on a store of its own, as `ropeway serve` sets it up."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder  # {} in the URL: a folder of its own

    def __enter__(self) -> Made:
        self.own = Path(tempfile.mkdtemp(dir=self.folder))
        self.url = self.url.format(self.own)
        self.broker = Broker(Link(self.url), config=False)
        keys = self.folder / "tokens"
        keys.write_text(TOKEN)
        keys.chmod(0o600)
        app = make_app(self.broker, Keys(str(keys), SYSTEM).grant, (f"127.0.0.1:{PORT}",), stopping=Stopping())
        config = Config(
            app, http=Http, ws=Socket, log_config=None, access_log=False, server_header=False, proxy_headers=False, lifespan="off"
        )
        config.load()
        config.crowd = Crowd()
        state = ServerState()
        return lambda: Http(config, state, {}, asyncio.get_running_loop())

    def __exit__(self, *_: object) -> None:
        self.broker.close()
        shutil.rmtree(self.own, ignore_errors=True)


class Bare:
    """The floor."""

    def __enter__(self) -> Made:
        app = Starlette(routes=[Route("/v1/queues/{q}/jobs", one, methods=["POST"])])
        config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False, server_header=False, lifespan="off")
        config.load()
        state = ServerState()
        return lambda: HttpToolsProtocol(config, state, {}, asyncio.get_running_loop())

    def __exit__(self, *_: object) -> None:
        return


def main() -> None:
    import uvloop

    above = sys.argv[1] if len(sys.argv) > 1 else None
    folder = Path(tempfile.mkdtemp(prefix="ropeway-bench-server-", dir=above))
    many = b"\n".join([b'"' + BODY[:98] + b'"'] * 100)
    puts = {
        "put one": (http(TOKEN, PORT, "/v1/queues/bench/jobs", BODY, "application/octet-stream"), 4000),
        "put 100": (http(TOKEN, PORT, "/v1/queues/bench/jobs", many, "application/x-ndjson"), 400),
    }
    rows: dict[str, Callable[[], Any]] = {
        "bare": Bare,
        "memory": lambda: Ours("memory:", folder),
        "directory os": lambda: Ours("dir:{}/jobs?durability=os", folder),
        "directory full": lambda: Ours("dir:{}/jobs?durability=full", folder),
        "sqlite full": lambda: Ours("sqlite:{}/jobs.db?durability=full", folder),
    }
    taken: dict[tuple[str, str], list[float]] = {}
    woken: dict[str, list[float]] = {}

    async def round_of(name: str, made: Made, few: int) -> None:
        gc.collect()
        for what, (request, count) in puts.items():
            taken.setdefault((name, what), []).append(await ask(made, request, count // few))
        if name != "bare":
            taken.setdefault((name, "claim, ack 100"), []).append(await drain(made, 200 // few, 100))
            taken.setdefault((name, "claim, ack one"), []).append(await drain(made, 1000 // few, 1))
            taken.setdefault((name, "websocket"), []).append(await talk(made, 1000 // few))
            woken.setdefault(name, []).extend(await wake(made, 100 // few))

    gc.set_threshold(*COLLECT)  # as the server has it
    try:
        for number in range(ROUNDS + 1):
            for name, kind in rows.items():
                with kind() as made:
                    uvloop.run(round_of(name, made, 1 if number else 10))
            if not number:
                taken.clear()  # that was to warm up
                woken.clear()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'CPU us a request':32} {'':>10} {'x bare':>8}")
    for (name, what), slices in taken.items():
        floor = taken.get(("bare", what)) or taken["bare", "put one"]
        ratio = median(a / b for a, b in zip(slices, floor, strict=True))
        print(f"{what:16} {name:15} {median(slices):10.1f} {ratio:8.2f}")
    print("a put wakes a waiting claim: ms    p50      p99")
    for name, took in woken.items():
        took.sort()
        print(f"{'':16} {name:15} {took[len(took) // 2] * 1e3:8.2f} {took[int(len(took) * 0.99)] * 1e3:8.2f}")


if __name__ == "__main__":
    main()
