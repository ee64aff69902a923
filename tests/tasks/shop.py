"""A program's module of tasks, as the children of a process pool import it: hooks and middleware write into a journal, codecs differ."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ropeway import Retry, Tasks

tasks = Tasks()
JOURNAL = "ROPEWAY_TEST_JOURNAL"


@dataclass
class Size:
    """An argument with a type."""

    width: int
    data: bytes = b""


def note(what: str) -> None:
    """One line in the journal, with the process that wrote it."""
    with open(os.environ[JOURNAL], "a") as file:
        file.write(f"{os.getpid()} {what}\n")


@tasks.use
def around(claim: Any, call_next: Any) -> Any:
    note(f"in {claim.job.task}")
    try:
        return call_next(claim)
    finally:
        note(f"out {claim.job.task}")


@tasks.hook("before_run")
def before_run(claim: Any) -> None:
    note(f"before_run {claim.job.task}")


@tasks.hook("after_run")
def after_run(claim: Any, error: BaseException | None) -> None:
    note(f"after_run {claim.job.task} {type(error).__name__}")


for name in ("on_retry", "on_failure"):
    tasks.hook(name)(lambda ended, name=name: note(f"{name} {ended.job.task} {ended.attempt} {ended.error}"))

for name in ("process_start", "process_stop"):
    tasks.hook(name)(lambda pid, name=name: note(f"{name} {pid == os.getpid()}"))

for name in ("worker_start", "worker_stop"):
    tasks.hook(name)(lambda worker, name=name: note(name))


def grow(size: Size) -> Size:
    """The same for each codec."""
    return Size(size.width + 1, size.data + b"\xff")


by_codec = {name: tasks.task(name=f"grow_{name}", codec=name, keep=60)(grow) for name in ("json", "msgpack", "yaml", "pickle")}


@tasks.task(codec="raw", keep=60)
def length(data: bytes) -> int:
    return len(data)


@tasks.task(retry=Retry(2, base=0))
def bad() -> None:
    raise LookupError("nobody")


@tasks.task(keep=60)
async def awaited(n: int) -> int:
    return n + 1


@tasks.task
def fails() -> None:
    raise LookupError("as often as its queue says")
