"""The functions that the tests call: registered by the caller and by the worker alike, in one process or in two."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

from ropeway import Retry, current_claim
from ropeway.tasks import Tasks


class Missing(LookupError):
    """An error of the application's own."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} is not in {where}")
        self.what = what


class Odd(Exception):
    """One that only the worker has a name for."""


def register(tasks: Tasks) -> Tasks:
    """All of them."""

    @tasks.task
    def add(a: int, b: int = 0) -> int:
        return a + b

    @tasks.task
    async def echo(what: str) -> str:
        return what

    @tasks.task
    def nothing() -> None:
        return None

    @tasks.task
    def pair(a: int) -> tuple[int, str]:
        return a, str(a)

    @tasks.task(retry=1)
    def fail(how: str) -> int:
        if how == "value":
            raise ValueError("no such number")
        if how == "key":
            raise KeyError("the key")
        if how == "missing":
            raise Missing("it", "the box")
        if how == "odd":
            raise Odd("very")
        raise UnicodeDecodeError("utf-8", b"x", 0, 1, "no byte")

    @tasks.task(retry=Retry(3, base=0.01, cap=0.02))
    def second_time(path: str) -> int:
        tries = Path(path)
        count = len(tries.read_text()) if tries.exists() else 0
        tries.write_text("x" * (count + 1))
        if count == 0:
            raise ValueError("not yet")
        return count

    @tasks.task(retry=Retry(9, base=3600, cap=3600, jitter=False))
    def never(what: str) -> None:
        raise ValueError(what)

    @tasks.task
    def tell(values: list[int]) -> str:
        claim = current_claim()
        assert claim is not None
        for value in values:
            claim.progress({"at": value})
        return "told"

    @tasks.task
    def upto(n: int) -> Generator[int, None, str]:
        yield from range(n)
        return "end"

    @tasks.task
    def lines(text: str) -> Iterator[str]:
        yield from text.splitlines()

    @tasks.task
    async def slowly(n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number

    @tasks.task(retry=Retry(3, base=0.01, cap=0.02))
    def stumbles(path: str) -> Iterator[int]:
        yield 1
        yield 2
        if not Path(path).exists():
            Path(path).touch()
            raise ValueError("half way")
        yield 3

    @tasks.task(retry=1)
    def breaks(n: int) -> Iterator[int]:
        yield from range(n)
        raise ValueError("broken off")

    @tasks.task
    def endless(path: str) -> Iterator[int]:
        number = 0
        try:
            while not (claim := current_claim()) or not claim.lost:
                yield number
                number += 1
        finally:
            Path(path).write_text("closed")

    @tasks.task
    def large(size: int) -> str:
        return "x" * size

    @tasks.task
    def object_result() -> object:
        return object()

    @tasks.task
    def die_once(path: str) -> str:
        if not Path(path).exists():
            Path(path).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{Path(path).read_text()} died"

    @tasks.task
    def who() -> int:
        return os.getpid()

    @tasks.task
    def patient(timeout: float) -> float:
        return timeout

    @tasks.task
    def anything(**words: int) -> dict[str, int]:
        return words

    return tasks


shared = register(Tasks())  # for children of the process pool, which find it here
