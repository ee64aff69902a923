"""Shell jobs in a worker: each runs its own command line, in its own directory and environment, and its exit is its end.

    0           done
    any other   dead, with that code; a signal, and the timeout, likewise. Only with `retries` it is tried again

What it prints is kept (shell/output.py). A command dies with its worker (guard.py), so that it never runs twice at the same time; its job
is run again then, by whoever takes it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from signal import SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM

from ..errors import BadBody
from ..failure import clean, one_line
from ..retry import Retry
from ..shell.command import CONTENT_TYPE, Command, bytes_of, unpack
from ..shell.output import ERRORS, FileSink, NoteSink
from ..shell.private import is_sealed
from .command import NEVER_BETTER, body_of, environment
from .execution import TaskWork, Work
from .guard import GO, HELD, Guard
from .judge import Judge
from .process import Child, ended
from .run import Run

ENDING = frozenset({SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM})
UNSEALED = (
    "it was not put here by ropeway run of this user, so it does not run by itself; put it anew, or have a worker with --allow-commands"
)
AFTER_DEATH = 1.0  # seconds before a command begins whose last worker died: what is left of that run is over by then


class ShellRunner:
    """Runs shell jobs. `outputs`: the folder for what they print, a file each; None: it is kept in the store. `key`: only those that carry
    its seal."""

    def __init__(self, outputs: str | None = None, key: bytes | None = None) -> None:
        self.outputs = outputs
        self.key = key

    def work(self, judge: Judge) -> Work:
        """What the slots of a worker do that takes nothing else."""
        return ShellWork(self, judge)

    def beside(self, other: Work, judge: Judge) -> Work:
        """What they do where there are other jobs as well."""
        return Either(ShellWork(self, judge), other)


class ShellWork:
    """Starts the command of each run, waits, and judges by its exit. Called by several slots at once."""

    def __init__(self, runner: ShellRunner, judge: Judge) -> None:
        self._judge = judge
        self._outputs = runner.outputs
        self._key = runner.key
        self._guard = Guard()

    def __call__(self, run: Run) -> None:
        try:
            self._run(run)
        except BadBody as error:
            self._judge.refused(run, one_line(error))
        except BaseException as error:  # noqa: BLE001 - a fault of ours must not end the slot and leave the job without a word
            self._judge.raised(run, error)

    def close(self) -> None:
        self._guard.close()

    def _run(self, run: Run) -> None:
        body = body_of(run.lent.job)
        if self._key is not None and not is_sealed(self._key, run.lent.job, body):
            return self._judge.refused(run, UNSEALED)
        command = unpack(body)
        run.retry = Retry(command.retries)
        if run.lent.deaths:
            _wait(run, AFTER_DEATH)
        if run.verdict:
            return self._judge.overruled(run)
        if command.timeout:
            run.deadline = run.shift.boot() + command.timeout
        with self._sink(run) as sink, self._sink(run, ERRORS) if command.apart else nullcontext() as errors:
            try:
                child = _started(run, command, sink, errors)
            except (OSError, ValueError) as error:
                return self._not_started(run, command, error)
            code, killed = self._watched(run, child)
            tail = (errors and errors.tail.strip()) or sink.tail.strip()
            last = clean(tail.decode("utf-8", "replace").strip().rpartition("\n")[2].strip())
        self._by_exit(run, code, last, killed=killed)
        return None

    def _watched(self, run: Run, child: Child) -> tuple[int, bool]:
        """Let it go, and wait until it has ended: how, and whether it was told to by an order."""
        told: list[int] = []

        def signalled(number: int) -> None:
            told.append(number)
            child.signal(number)

        run.stop, run.signal = child.stopper(run), signalled
        try:
            self._guard.add(child.pid)
            if run.verdict:
                child.end(run)
            else:
                child.feed(GO)
            code = child.wait(run)
        finally:
            run.stop = run.signal = None
            child.close()
            self._guard.drop(child.pid)
        assert code is not None
        return code, bool(ENDING & set(told))

    def _by_exit(self, run: Run, code: int, last: str, *, killed: bool) -> None:
        if code == 0:
            took = round(run.shift.boot() - run.started, 3)
            self._judge.done(run, {"exit": 0, "worker": run.shift.name, "seconds": took})
            return
        error = f"{ended(code)}: {last}" if last else ended(code)
        if killed:
            self._judge.refused(run, error)
        else:
            self._judge.failed(run, error)

    def _not_started(self, run: Run, command: Command, error: OSError | ValueError) -> None:
        """Too little memory passes; a directory that is not there does not."""
        code = NEVER_BETTER.get(error.errno or 0) if isinstance(error, OSError) else 65
        where = os.fsdecode(bytes_of(command.cwd))
        why = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        text = f"the command could not be started in {where or '/'}: {why}"
        if code is None:
            self._judge.failed(run, clean(text))
        else:
            self._judge.refused(run, clean(f"exit {code}: {text}"))

    @contextmanager
    def _sink(self, run: Run, end: str = "") -> Iterator[FileSink | NoteSink]:
        job_id, clock = f"{run.lent.job.id}{end}", run.shift.link.clock
        sink: FileSink | NoteSink
        if self._outputs is not None:
            sink = FileSink(f"{self._outputs}/{job_id}")
        else:
            sink = NoteSink(run.shift.link.store.notes, job_id, clock.boot, lambda pause: clock.sleep(threading.Event(), pause))
        try:
            yield sink
        finally:
            sink.close()


class Either(TaskWork):
    """Shell jobs beside others."""

    def __init__(self, shell: ShellWork, other: Work) -> None:
        self._shell = shell
        self._other = other

    def __call__(self, run: Run) -> None:
        (self._shell if is_shell(run) else self._other)(run)

    def batch(self, runs: list[Run]) -> None:  # type: ignore[override]
        assert isinstance(self._other, TaskWork)
        self._other.batch(runs)

    def close(self) -> None:
        self._shell.close()
        self._other.close()


def is_shell(run: Run) -> bool:
    """Whether it is a command line."""
    return run.lent.job.content_type == CONTENT_TYPE


def _started(run: Run, command: Command, sink: FileSink | NoteSink, errors: FileSink | NoteSink | None) -> Child:
    """The command, held back until it is let go."""
    argv = [*HELD, *map(bytes_of, command.argv)]
    given = {os.fsencode(name): bytes_of(value) for name, value in command.env.items()}
    env = environment(run, {})
    if command.whole:
        env = {name: value for name, value in env.items() if name in _OF_JOB}
    return Child(argv, {**env, **given}, b"", sink=sink, errors=errors, cwd=bytes_of(command.cwd) or b"/", umask=command.umask)


_OF_JOB = frozenset(b"ROPEWAY_" + name for name in (b"ID", b"QUEUE", b"ATTEMPT", b"KEY", b"DEADLINE", b"HEADERS"))


def _wait(run: Run, seconds: float) -> None:
    """Sleep, unless the run is ended meanwhile."""
    told = threading.Event()
    run.stop = told.set
    run.shift.link.clock.sleep(told, seconds)
    run.stop = None
