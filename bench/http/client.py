"""A client that costs little: bytes that were made before, on connections that are kept, one request after the other on each.

It runs in a process of its own, `python -m bench.http.client`, and prints one line of JSON. What is compared is asked by the same client.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

BODY = b"x" * 100


class Line(asyncio.Protocol):
    """One connection; `ask` sends and waits until `whole` finds a whole answer."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.whole: Callable[[bytearray], bool] = bool
        self.answer: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        if self.answer is not None and not self.answer.done() and self.whole(self.got):
            self.answer.set_result(bytes(self.got))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(exc or ConnectionResetError("closed"))

    async def ask(self, data: bytes, whole: Callable[[bytearray], bool]) -> bytes:
        self.got.clear()
        self.whole, self.answer = whole, asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await self.answer


async def connect(port: int) -> Line:
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    return line


def http(token: str, port: int, path: str, body: bytes, kind: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answered(got: bytearray) -> bool:
    """Whether an HTTP answer is whole."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return False
    if got.startswith(b"HTTP/1.1 204"):
        return True
    at = got.find(b"content-length: ")
    return len(got) >= end + 4 + int(got[at + 16 : got.find(b"\r", at)])


def lines(count: int) -> Callable[[bytearray], bool]:
    """Whether so many lines have come."""
    return lambda got: got.count(b"\r\n") >= count


# -- the loads: each a loop on one connection, that tells how many jobs it has moved

Load = Callable[[Line, "Given"], Awaitable[int]]


class Given:
    """What a load needs to know."""

    def __init__(self, port: int, token: str, turn: int) -> None:
        self.port, self.token, self.turn = port, token, turn
        self.put = http(token, port, "/v1/queues/bench/jobs", BODY, "application/octet-stream")
        many = b"\n".join([b'"' + BODY[:98] + b'"'] * 100)
        self.put_many = http(token, port, "/v1/queues/bench/jobs", many, "application/x-ndjson")
        self.claim = http(token, port, "/v1/queues/bench/claims?limit=100&lease=60", b"", "application/json")
        self.beans = b"put 50 0 60 100\r\n" + BODY + b"\r\n"


async def put_one(line: Line, given: Given) -> int:
    got = await line.ask(given.put, answered)
    assert got.startswith(b"HTTP/1.1 201"), got[:200]
    return 1


async def put_hundred(line: Line, given: Given) -> int:
    got = await line.ask(given.put_many, answered)
    assert got.startswith(b"HTTP/1.1 201"), got[:200]
    return 100


async def claim_ack(line: Line, given: Given) -> int:
    got = await line.ask(given.claim, answered)
    if got.startswith(b"HTTP/1.1 204"):
        return 0
    jobs = json.loads(got.partition(b"\r\n\r\n")[2])
    body = json.dumps({"receipts": [job["receipt"] for job in jobs]}).encode()
    got = await line.ask(http(given.token, given.port, "/v1/ack", body, "application/json"), answered)
    assert got.startswith(b"HTTP/1.1 200"), got[:200]
    return len(jobs)


async def beans_put(line: Line, given: Given) -> int:
    got = await line.ask(given.beans, lines(1))
    assert got.startswith(b"INSERTED"), got[:100]
    return 1


async def beans_put_hundred(line: Line, given: Given) -> int:
    await line.ask(given.beans * 100, lines(100))
    return 100


async def beans_claim_ack(line: Line, given: Given) -> int:
    got = await line.ask(b"reserve-with-timeout 0\r\n" * 100, _reserved)
    ids = [row.split()[1] for row in got.split(b"\r\n") if row.startswith(b"RESERVED")]
    if ids:
        await line.ask(b"".join(b"delete %s\r\n" % one for one in ids), lines(len(ids)))
    return len(ids)


def _reserved(got: bytearray) -> bool:
    taken = got.count(b"RESERVED ")
    return taken + got.count(b"TIMED_OUT\r\n") >= 100 and got.endswith(b"\r\n") and got.count(b"\r\n") >= 100 + taken


LOADS: dict[str, Load] = {
    "put one": put_one,
    "put 100": put_hundred,
    "claim and ack": claim_ack,
    "beans put one": beans_put,
    "beans put 100": beans_put_hundred,
    "beans claim and ack": beans_claim_ack,
}


async def load(name: str, port: int, token: str, connections: int, seconds: float) -> dict[str, float]:
    """Jobs a second, and how long a request took."""
    opened = [await connect(port) for _ in range(connections)]
    took: list[float] = []
    moved = 0
    began = time.perf_counter()
    end = began + seconds

    async def go(number: int, line: Line) -> None:
        nonlocal moved
        given, act = Given(port, token, number), LOADS[name]
        while (now := time.perf_counter()) < end:
            count = await act(line, given)
            if not count:
                return
            took.append(time.perf_counter() - now)
            moved += count

    await asyncio.gather(*(go(number, line) for number, line in enumerate(opened)))
    spent = time.perf_counter() - began
    for line in opened:
        line.transport.close()
    took.sort()
    return {"rate": moved / spent, "p50": took[len(took) // 2] if took else 0.0, "p99": took[int(len(took) * 0.99)] if took else 0.0}


async def wake(port: int, token: str, rounds: int) -> dict[str, float]:
    """From a put to the claim that was waiting for it, nothing else going on."""
    waiting, putting = await connect(port), await connect(port)
    claim = http(token, port, "/v1/queues/wake/claims?wait=30&lease=60", b"", "application/json")
    put = http(token, port, "/v1/queues/wake/jobs", BODY, "application/octet-stream")
    took = []
    for _ in range(rounds):
        coming = asyncio.ensure_future(waiting.ask(claim, answered))
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        putting.transport.write(put)
        got = await coming
        took.append(time.perf_counter() - began)
        receipt = json.loads(got.partition(b"\r\n\r\n")[2])[0]["receipt"]
        await putting.ask(http(token, port, "/v1/ack", json.dumps({"receipts": [receipt]}).encode(), "application/json"), answered)
    took.sort()
    return {"rate": 0.0, "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)]}


async def socket(port: int, token: str, connections: int, seconds: float) -> dict[str, float]:
    """Put, claim and ack as messages of one WebSocket, one after the other; so many connections at once."""
    from websockets.asyncio.client import connect as open_socket

    moved = 0
    began = time.perf_counter()
    end = began + seconds

    async def go(number: int) -> None:
        nonlocal moved
        told = {"Authorization": f"Bearer {token}"}
        async with open_socket(f"ws://127.0.0.1:{port}/v1/ws", additional_headers=told, compression=None) as talk:
            put = json.dumps({"op": "put", "queue": f"ws{number}", "body": "x" * 98})
            claim = json.dumps({"op": "claim", "queue": f"ws{number}", "wait": 5})
            while time.perf_counter() < end:
                await talk.send(put)
                await talk.recv()
                await talk.send(claim)
                (job,) = json.loads(await talk.recv())["jobs"]
                await talk.send(json.dumps({"op": "ack", "receipts": [job["receipt"]]}))
                await talk.recv()
                moved += 1

    await asyncio.gather(*map(go, range(connections)))
    return {"rate": moved / (time.perf_counter() - began), "p50": 0.0, "p99": 0.0}


async def hold(port: int, token: str, path: str, count: int) -> None:
    """Open so many requests that stay open, say so, and keep them until stdin ends."""
    verb = "GET" if "events" in path else "POST"
    request = f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n".encode()
    opened = []
    for _ in range(count):
        line = await connect(port)
        line.transport.write(request)
        opened.append(line)
    await asyncio.sleep(2.0)
    print(json.dumps({"open": sum(not line.transport.is_closing() for line in opened)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    import uvloop

    given = json.loads(sys.argv[1])
    kind = given.pop("kind")
    what: Any = {"load": load, "wake": wake, "socket": socket, "hold": hold}[kind](**given)
    told = uvloop.run(what)
    if told is not None:
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
