"""What a thread or task does is told by what it stands in: one of each kind, real threads."""

from __future__ import annotations

import asyncio
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropeway.sight.whole import Whole, text


class Kinds:
    """Threads that wait, each in its own way, until `release`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.mine = threading.RLock()
        self.mine.acquire()
        self.ended = threading.Event()
        self.ours, self.theirs = socket.socketpair()
        self.read, self.write = os.pipe()
        self.child: subprocess.Popen[bytes] | None = None
        self.queue: queue.Queue[None] = queue.Queue()
        self.threads: list[threading.Thread] = []

    def start(self, *functions: Callable[[], object]) -> None:
        for function in functions:
            thread = threading.Thread(target=function, name=f"it-{function.__name__}", daemon=True)
            thread.start()
            self.threads.append(thread)

    def release(self) -> None:
        self.lock.release()
        self.mine.release()
        self.ended.set()
        self.theirs.send(b"x")
        os.write(self.write, b"x")
        self.queue.put(None)
        if self.child is not None:
            self.child.kill()
        for thread in self.threads:
            thread.join(30)
        for one in (self.ours, self.theirs):
            one.close()
        for fd in (self.read, self.write):
            os.close(fd)

    def locked(self) -> None:
        self.lock.acquire()

    def reentrant(self) -> None:
        with self.mine:
            pass

    def evented(self) -> None:
        self.ended.wait()

    def receives(self) -> None:
        self.ours.recv(1)

    def reads(self) -> None:
        os.read(self.read, 1)

    def queues(self) -> None:
        self.queue.get()

    def runs_a_program(self) -> None:
        with subprocess.Popen(["sleep", "600"]) as self.child:
            self.child.wait()

    def joins(self) -> None:
        self.threads[0].join()

    def spins(self) -> None:
        while not self.ended.is_set():
            sum(range(1000))

    def selects(self) -> None:
        import selectors

        with selectors.DefaultSelector() as selector:
            selector.register(self.ours, selectors.EVENT_READ)
            selector.select()


EXPECTED = {
    "locked": ("lock", "waits for a lock: self.lock.acquire()"),
    "reentrant": ("lock", "waits for a lock that thread MainThread holds: "),
    "evented": ("event", "waits for an event: self.ended.wait()"),
    "receives": ("socket", "waits for something from socket"),
    "reads": ("socket", "waits for something to read from"),
    "queues": ("queue", "waits for something in a queue: self.queue.get()"),
    "runs_a_program": ("process", "(sleep 600)"),
    "joins": ("thread", "waits for the end of thread it-locked"),
    "spins": (None, "runs"),
    "selects": ("socket", "waits for sockets"),
}


@pytest.fixture
def kinds() -> Iterator[Kinds]:
    made = Kinds()
    yield made
    made.release()


def looked(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What each thread does, by its name, once it is as wanted: one that has just begun is told as it was a moment ago."""
    end = time.monotonic() + 60
    while True:
        rows = {row["name"]: row["doing"] for row in Whole().shown()["threads"]}
        if wanted(rows) or time.monotonic() > end:
            return rows


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not tell")
def test_each_kind_of_waiting_is_named(kinds: Kinds) -> None:
    kinds.start(*(getattr(kinds, name) for name in EXPECTED))

    def right(rows: dict[str, Any]) -> bool:
        return all(
            (row := rows.get(f"it-{name}")) is not None and row.get("waits_for") == kind and words in row["text"]
            for name, (kind, words) in EXPECTED.items()
        )

    rows = looked(right)
    for name, (kind, words) in EXPECTED.items():
        row = rows[f"it-{name}"]
        assert row.get("waits_for") == kind, row
        assert words in row["text"], row
        assert row["function"] == f"Kinds.{name}", row
        assert row["file"] == __file__


def test_tasks_are_named_and_one_that_blocks_its_loop_too(kinds: Kinds) -> None:
    ended = asyncio.Event()

    async def on_event() -> None:
        await ended.wait()

    async def on_sleep() -> None:
        await asyncio.sleep(600)

    async def on_lock() -> None:
        await lock.acquire()

    async def on_task() -> None:
        await tasks[0]

    async def within() -> None:
        await asyncio.wait_for(on_event(), 600)

    async def blocks() -> None:
        await asyncio.sleep(0.05)
        kinds.lock.acquire()

    lock = asyncio.Lock()
    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        await lock.acquire()
        tasks.extend(
            asyncio.create_task(one(), name=f"it-{one.__name__}") for one in (on_event, on_sleep, on_lock, on_task, within, blocks)
        )
        await tasks[-1]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def loops() -> None:
        asyncio.run(main())

    kinds.start(loops)
    end, rows = time.monotonic() + 60, {}
    while time.monotonic() < end and rows.get("it-blocks", {}).get("waits_for") != "lock":
        rows = {row["name"]: row["doing"] for row in Whole().shown()["tasks"]}
    assert (rows["it-on_event"]["waits_for"], rows["it-on_event"]["text"]) == ("event", "awaits an event: await ended.wait()")
    assert rows["it-on_sleep"]["text"] == "awaits time to pass: await asyncio.sleep(600)"
    assert rows["it-on_lock"]["waits_for"] == "lock"
    assert rows["it-on_task"]["text"] == "awaits task it-on_event: await tasks[0]"
    assert rows["it-within"]["state"] == "waits"
    assert rows["it-blocks"]["thread"] == "it-loops"
    assert rows["it-blocks"]["waits_for"] == "lock"
    assert rows["it-blocks"]["function"].endswith("blocks")


def test_stacks_as_text_and_nothing_of_the_locals(kinds: Kinds) -> None:
    def it_waits() -> None:
        password = "planted-7f3a"
        assert password
        kinds.lock.acquire()

    kinds.start(it_waits)
    looked(lambda rows: rows.get("it-it_waits", {}).get("waits_for") == "lock")
    shown = text(Whole().shown())
    assert "thread it-it_waits, daemon: waits for a lock: kinds.lock.acquire()" in shown
    assert f'File "{__file__}", line' in shown
    assert "planted-7f3a" not in str(Whole().shown())


def test_the_look_takes_no_code_of_the_programs(kinds: Kinds) -> None:
    """Attributes of what stands in a line are looked up without running anything."""
    ran: list[str] = []

    class Trap:
        def __getattr__(self, name: str) -> Any:
            ran.append(name)
            return kinds.lock

        def __repr__(self) -> str:
            ran.append("repr")
            return ""

    trap = Trap()

    def it_traps() -> None:
        trap.lock.acquire()

    kinds.start(it_traps)
    looked(lambda rows: rows.get("it-it_traps", {}).get("waits_for") == "lock")
    assert ran == ["lock"], "by the program itself, once"


def test_hundreds_of_threads_are_no_trouble() -> None:
    gate = threading.Event()
    threads = [threading.Thread(target=gate.wait, daemon=True) for _ in range(300)]
    for thread in threads:
        thread.start()
    try:
        start = time.monotonic()
        shown = Whole().shown()
        assert len(shown["threads"]) >= 300
        assert time.monotonic() - start < 30
    finally:
        gate.set()
        for thread in threads:
            thread.join(30)
