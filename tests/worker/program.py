"""A worker as a process of its own, for tests that signal and kill it: program.py URL JOURNAL [name=value of Worker]...

Its jobs write what they do to the journal, one line each, so that a test knows without asking the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from typing import Any

from ropeway.link import Link
from ropeway.tasks import Tasks, current_claim
from ropeway.worker import Worker

tasks: Tasks


def say(journal: str, *words: object) -> None:
    """One line, in one write."""
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, (" ".join(map(str, (time.time(), os.getpid(), *words))) + "\n").encode())
    os.close(handle)


def build(link: Link, journal: str) -> Tasks:
    """The jobs."""
    tasks = Tasks(link)

    @tasks.task
    def sleep(seconds: float, name: str = "") -> None:
        claim = current_claim()
        assert claim is not None
        say(journal, "begin", claim.id, claim.attempt, name)
        time.sleep(seconds)
        say(journal, "end", claim.id, claim.attempt, name)

    @tasks.task
    def freezes(seconds: float) -> None:
        """As long as `sleep`. One of more than half a second stops its whole process first, when it runs for the first time."""
        claim = current_claim()
        assert claim is not None
        say(journal, "begin", claim.id, claim.attempt)
        if seconds > 0.5 and claim.attempt == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(seconds)
        say(journal, "end", claim.id, claim.attempt)

    @tasks.task
    async def asleep(seconds: float) -> None:
        claim = current_claim()
        assert claim is not None
        say(journal, "begin", claim.id, claim.attempt)
        try:
            await asyncio.sleep(seconds)
            say(journal, "end", claim.id, claim.attempt)
        except asyncio.CancelledError:
            say(journal, "cancelled", claim.id, claim.attempt)
            raise

    @tasks.task
    def kill(name: str = "") -> None:
        claim = current_claim()
        assert claim is not None
        say(journal, "kill", claim.id, claim.attempt)
        os.kill(os.getpid(), signal.SIGKILL)

    @tasks.task
    def quick(name: str = "") -> None:
        claim = current_claim()
        assert claim is not None
        say(journal, "quick", claim.id, claim.attempt)

    return tasks


def main() -> int:
    url, journal, *pairs = sys.argv[1:]
    options: dict[str, Any] = {"concurrency": 2, **{name: json.loads(value) for name, _, value in (pair.partition("=") for pair in pairs)}}
    link = Link(url)
    slow_store = options.pop("slow_store", 0)
    if slow_store:  # an ack that does not come back
        link.store.ack = lambda acks: [threading.Event().wait(slow_store)] * len(acks)  # type: ignore[method-assign]
    worker = Worker(link, build(link, journal), ("default",), **options)
    say(journal, "up")
    try:
        return worker.run()
    finally:
        say(journal, "down", worker.counters)


if __name__ == "__main__":
    sys.exit(main())
