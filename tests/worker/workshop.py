"""Tasks for the tests of the process pool: each child imports this module. What they did stands in the files that they are told."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from ropeway.errors import Discard, RetryLater
from ropeway.retry import Retry
from ropeway.tasks import TaskClaim, Tasks, current_claim

tasks = Tasks()
seen: contextvars.ContextVar[int] = contextvars.ContextVar("seen", default=0)
hoard: list[bytes] = []
starts = 0


def say(path: str, *words: object) -> None:
    """One line, in one write."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, (" ".join(map(str, (time.time(), os.getpid(), *words))) + "\n").encode())
    os.close(handle)


def wait_for(path: str, seconds: float = 60.0) -> None:
    """Until that file is there."""
    end = time.monotonic() + seconds
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)


@tasks.task
def nothing(number: int = 0) -> None: ...


@tasks.task(keep="1h")
def add(a: int, b: int = 1) -> dict[str, int]:
    before = seen.get()
    seen.set(a)
    return {"sum": a + b, "before": before, "pid": os.getpid()}


@tasks.task(keep="1h")
async def aadd(a: int, b: int = 1) -> dict[str, int]:
    before = seen.get()
    seen.set(a)
    await asyncio.sleep(0.001)
    return {"sum": a + b, "before": before, "loop": id(asyncio.get_running_loop())}


@tasks.task
def mark(path: str, name: str = "") -> None:
    say(path, "mark", name)


@tasks.task
def sleep(path: str, seconds: float) -> None:
    claim = current_claim()
    assert claim is not None
    say(path, "begin", claim.id, claim.attempt)
    time.sleep(seconds)
    say(path, "end", claim.id, claim.attempt)


@tasks.task
def gated(path: str, gate: str, name: str = "") -> None:
    say(path, "begin", name)
    wait_for(gate)
    say(path, "end", name)


@tasks.task(retry=Retry(2, base=0.01))
def die(path: str, how: str) -> None:
    claim = current_claim()
    assert claim is not None
    say(path, "die", claim.id, claim.attempt)
    if how == "exit":
        os._exit(3)
    if how == "segv":
        ctypes.string_at(0)
    os.kill(os.getpid(), signal.SIGKILL)


@tasks.task(retry=Retry(10, base=0.01))
def killer(path: str) -> None:
    say(path, "killer")
    os.kill(os.getpid(), signal.SIGKILL)


@tasks.task(retry=1)
def fails(how: str) -> None:
    if how == "discard":
        raise Discard("no such user")
    if how == "later":
        raise RetryLater("1h")
    if how == "exit":
        sys.exit(4)
    raise ValueError(f"bad {how}")


@tasks.task(timeout=0.4, retry=1)
def hangs(path: str, how: str) -> None:
    say(path, "hangs", how)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            if how == "loop":
                while True:
                    pass
            time.sleep(60)
        except BaseException:
            continue


@tasks.task(timeout=30)
def limited(number: int) -> None: ...


@tasks.task
def tidy(path: str) -> None:
    """It is told to end, and tidies up."""
    try:
        say(path, "begin")
        time.sleep(60)
    finally:
        claim = current_claim()
        assert claim is not None
        say(path, "tidied", bool(claim.lost), claim.stopping)


@tasks.task
async def atidy(path: str) -> None:
    try:
        say(path, "begin")
        await asyncio.sleep(60)
    finally:
        say(path, "tidied")


@tasks.task
def stubborn(path: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(path, "begin")
    time.sleep(60)


@tasks.task
def eats(path: str, megabytes: int) -> None:
    hoard.append(b"x" * (megabytes << 20))
    say(path, "eats")


@tasks.task
def talks(path: str, name: str) -> None:
    claim = current_claim()
    assert claim is not None
    print(f"hello from {name}")
    subprocess.run(["echo", f"and from the child of {name}"], check=True)
    print(f"{name} on stderr", file=sys.stderr)
    claim.progress({"at": name})
    claim.extend("90s")
    say(path, "talked", name)
    wait_for(f"{path}.{name}")


@tasks.task(keep="1h")
def large(body: str) -> str:
    return body[::-1]


@tasks.task(keep="1h")
def measures(body: str) -> int:
    return len(body)


@tasks.task
def puts() -> None:
    nothing.put(1)


@tasks.task(batch=10, batch_wait=0.2, keep="1h", retry=1)
def sums(pairs: list[tuple[int, int]]) -> list[dict[str, int] | Exception]:
    """Negative ones fail, a pair of zeros fails them all, and 666 ends the process."""
    if (0, 0) in pairs:
        raise ValueError("a pair of zeros")
    if any(a == 666 for a, _ in pairs):
        os.kill(os.getpid(), signal.SIGKILL)
    return [ValueError(f"negative {a}") if a < 0 else {"sum": a + b, "of": len(pairs)} for a, b in pairs]


@tasks.task(batch=50, batch_wait=0.2, keep="1h")
async def lengths(words: list[str]) -> list[int]:
    await asyncio.sleep(0.001)
    return [len(word) for word in words]


@tasks.task(batch=5, batch_wait=0.1, keep="1h")
def ids(claims: list[TaskClaim]) -> list[str]:
    return [f"{claim.id} {claim.data['args']}" for claim in claims]


@tasks.task(batch=5, batch_wait=0.1)
def nothing_said(numbers: list[int]) -> None: ...


@tasks.task(batch=3, batch_wait=0.1, retry=1)
def too_few(numbers: list[int]) -> list[int]:
    return numbers[1:]


@tasks.task(batch=4, batch_wait=0.1, retry=1, timeout=0.3)
def slow_batch(numbers: list[int]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass


@tasks.task(batch=4, batch_wait=0.1, retry=1, timeout=0.3)
async def slow_abatch(numbers: list[int]) -> None:
    await asyncio.sleep(60)


@tasks.task
async def agated(path: str, gate: str, name: str = "") -> None:
    say(path, "begin", name)
    while not Path(gate).exists():
        await asyncio.sleep(0.01)
    say(path, "end", name)


@tasks.task(timeout=0.3, retry=1)
def close_call(path: str, number: int) -> None:
    say(path, "close", number)
    time.sleep(0.25 + number * 0.012)


over = threading.Event()


@tasks.task(retry=1)
async def asometimes_long(number: int) -> None:
    if number % 57 == 1:
        async with asyncio.timeout(30):
            while not over.is_set():
                await asyncio.sleep(0.01)


@tasks.task(retry=1)
def takes(others: str) -> None:
    """With the name of a file: until four do so at once."""
    if others:
        with open(others, "ab") as file:
            file.write(b"x")
            file.flush()
            mine = os.lseek(file.fileno(), 0, os.SEEK_CUR)
        end = time.monotonic() + 60
        while Path(others).stat().st_size < -(-mine // 4) * 4:
            assert time.monotonic() < end
            time.sleep(0.01)
