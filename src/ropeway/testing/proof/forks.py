"""Children for the proof: forked from a parent that has opened nothing, so that hundreds cost little, and what they say at their end."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from ..crew import die_with


class Child:
    """A forked child. What its function returns is read by `result`; a child that ended otherwise says so there."""

    def __init__(self, run: Callable[[], Any]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        reader, writer = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid:
            os.close(writer)
            self._reader = reader
            self.code: int | None = None
            return
        code = 1
        try:
            die_with(parent)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            with open(writer, "wb") as out:
                try:
                    answer = [True, run()]
                except Exception:  # noqa: BLE001 (all of it is told to the parent)
                    answer = [False, traceback.format_exc()[-1500:]]
                out.write(msgspec.json.encode(answer))
            code = 0
        finally:
            os._exit(code)

    def result(self) -> Any:
        """Wait for its end; what it returned. Raises RuntimeError with the child's traceback, or when it was killed."""
        with open(self._reader, "rb", closefd=False) as file:
            data = file.read()
        self.wait()
        if not data:
            raise RuntimeError(f"a child said nothing and ended with {self.code}")
        well, answer = msgspec.json.decode(data)
        if not well:
            raise RuntimeError(answer)
        return answer

    def signal(self, number: int) -> None:
        if self.code is None:
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code; negative: the signal."""
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code

    def end(self) -> None:
        """Dead and gone, whatever it was at."""
        self.signal(signal.SIGKILL)
        self.wait()
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1


@contextmanager
def children(*runs: Callable[[], Any]) -> Iterator[list[Child]]:
    """All of them at once; none is left at the end."""
    made: list[Child] = []
    try:
        made.extend(Child(run) for run in runs)
        yield made
    finally:
        for child in made:
            child.end()


def in_child(run: Callable[[], Any]) -> Any:
    """Run it in a child of its own, so that this process has opened nothing; what it returned."""
    with children(run) as made:
        return made[0].result()
