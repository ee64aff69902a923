"""A command that answers calls: the arguments on its standard input, the answer on its standard output.

As in command mode its exit decides, with one difference: what it prints is the result of the run. JSON is taken for that, anything else for
a text. The end of standard error is what the caller is told when it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..calls.wire import Failure
from ..demands import RESULT_LIMIT
from ..durations import Duration
from ..job import Job
from ..names import shown
from .command import CommandRunner, CommandWork, Extras, body_of
from .execution import Work
from .judge import Judge
from .process import Child
from .run import Run

_ENVELOPE = {"args", "kwargs"}


class ReplyRunner(CommandRunner):
    """Runs `argv` for each call of the task `name`. Raises as CommandRunner does."""

    def __init__(self, argv: Sequence[str], name: str, *, timeout: Duration | None = None) -> None:
        super().__init__(argv, feed="stdin", timeout=timeout)
        self.name = name

    def work(self, judge: Judge) -> Work:
        return ReplyWork(self, judge)


class ReplyWork(CommandWork):
    """Starts the command for each call, and keeps what it prints."""

    answers = True

    def __init__(self, runner: ReplyRunner, judge: Judge) -> None:
        super().__init__(runner, judge)
        self._name = runner.name
        self._prepare = _arguments(runner.argv)

    def _run(self, run: Run) -> None:
        task = run.lent.job.task
        if task == self._name:
            super()._run(run)
            return
        what = f"no task {shown(task)} is served here, only {self._name}" if task else "the job names no task"
        run.failure = Failure(["UnknownTask"], what)
        self._judge.refused(run, f"{what}; it was not run. Give each service a queue of its own, then requeue")

    def _by_exit(self, run: Run, code: int, child: Child) -> None:
        if code == 0 and len(child.heard) > RESULT_LIMIT:
            self._judge.refused(run, f"the command's answer is over {RESULT_LIMIT} bytes")
        elif code == 0:
            self._judge.done(run, answer_of(bytes(child.heard)))
        else:
            super()._by_exit(run, code, child)


def answer_of(printed: bytes) -> Any:
    """What a command's output says: nothing, JSON, a text, or bytes that are none."""
    if not printed:
        return None
    try:
        return msgspec.json.decode(printed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return printed.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        return printed


def _arguments(argv: list[bytes]) -> Callable[[Job, Extras], list[bytes]]:
    """The arguments as an array, or as an object by name, whichever form they came in."""

    def prepare(job: Job, extras: Extras) -> list[bytes]:
        extras.stdin = _plain(body_of(job))
        return argv

    return prepare


def _plain(body: bytes) -> bytes:
    try:
        given = msgspec.json.decode(body) if body else []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    if isinstance(given, dict) and given.keys() == _ENVELOPE:
        if not given["kwargs"]:
            return msgspec.json.encode(given["args"])
        if not given["args"]:
            return msgspec.json.encode(given["kwargs"])
    return body or b"[]"
