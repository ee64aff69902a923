"""Command mode: a job is a run of a program, without a shell, and its exit decides.

    0               done
    75              (EX_TEMPFAIL) given back, however often: the back-off grows, nothing ends it
    65, 126, 127    (EX_DATAERR, cannot be run, not found) dead at once
    others          given back with back-off until the retry policy ends, then dead; so is the end by a signal, or by the timeout

The body comes on standard input, in place of each `{}`, or as the path of a file in place of each `{}`. In the environment: ROPEWAY_ID,
_QUEUE, _ATTEMPT (1 is the first), _KEY, _DEADLINE (seconds since 1970, empty without a timeout) and _HEADERS (a JSON object); of a message
that comes to a durable group also _TOPIC and _MESSAGE (its id). Standard
output and error are the worker's own; the end of standard error goes into the job's history.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import IO

import msgspec

from ..durations import Duration, seconds
from ..errors import BadValue, ConfigError
from ..failure import clean, one_line
from ..group import ID as MESSAGE
from ..group import TOPIC
from ..job import Job
from .execution import Work
from .judge import Judge
from .process import Child, ended
from .run import NEVER, Run

FEEDS = ("stdin", "arg", "file")
RETRY = 75
DEAD = frozenset({65, 126, 127})
NEVER_BETTER = {errno.ENOENT: 127, errno.ENOTDIR: 127, errno.EACCES: 126, errno.ENOEXEC: 126, errno.EISDIR: 126, errno.E2BIG: 65}
_SHELLS = frozenset({b"sh", b"bash", b"dash", b"ash", b"zsh", b"ksh", b"mksh"})
_BODY = b"ROPEWAY_BODY"


class CommandRunner:
    """Runs `argv` for each job, without a shell.

    `feed`: "stdin" the body on standard input; "arg" the body in place of each `{}`; "file" the path of a file that holds the
    body in place of each `{}`. None: "arg" when `{}` stands in argv, else "stdin". `timeout` kills the whole process group.
    `persistent` keeps one process a slot running and talks JSON lines with it (persistent.py).
    Raises ConfigError when there is no such program, BadValue for options that make no sense.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        feed: str | None = None,
        timeout: Duration | None = None,
        persistent: bool = False,
    ) -> None:
        if not argv or not argv[0]:
            raise BadValue("there is no command to run; nothing was started")
        if feed is not None and feed not in FEEDS:
            raise BadValue(f"feed is one of {' '.join(FEEDS)}, not {ascii(feed)[:40]}; nothing was started")
        if persistent and (feed or "{}" in argv):
            raise BadValue("a persistent command gets its jobs as JSON lines: leave {} and the feed away; nothing was started")
        if "{}" in argv[0]:
            raise BadValue("a job cannot say which program runs: {} cannot stand in the command's name; nothing was started")
        if shutil.which(argv[0]) is None:
            raise ConfigError(f"there is no program {ascii(argv[0])[:120]} here, or it cannot be run; nothing was started")
        self.argv = [os.fsencode(arg) for arg in argv]
        self.feed = feed or ("arg" if any(b"{}" in arg for arg in self.argv) else "stdin")
        self.timeout = None if timeout is None else seconds(timeout, "timeout")
        self.persistent = persistent
        if self.timeout == 0:
            raise BadValue("a timeout of 0 would end every run; leave it out for none")
        if self.feed != "stdin" and not any(b"{}" in arg for arg in self.argv):
            self.argv.append(b"{}")

    def work(self, judge: Judge) -> Work:
        """What the slots of a worker do."""
        if self.persistent:
            from .persistent import PersistentWork

            return PersistentWork(self.argv, self.timeout, judge)
        return CommandWork(self, judge)


class CommandWork:
    """Starts the command for each run, waits, and judges by its exit. `answers`: what it prints is kept."""

    answers = False

    def __init__(self, runner: CommandRunner, judge: Judge) -> None:
        self._judge = judge
        self._timeout = runner.timeout
        self._prepare: Callable[[Job, Extras], list[bytes]]
        self._prepare = {"stdin": _on_stdin, "arg": _as_argument, "file": _as_file}[runner.feed](runner.argv)

    def __call__(self, run: Run) -> None:
        try:
            self._run(run)
        except BaseException as error:  # noqa: BLE001 - a fault of ours must not end the slot and leave the job without a word
            self._judge.raised(run, error)

    def close(self) -> None:
        """Nothing outlives a run."""

    def _run(self, run: Run) -> None:
        if self._timeout is not None:
            run.deadline = run.started + self._timeout
        with Extras() as extras:
            try:
                argv = self._prepare(run.lent.job, extras)
                child = Child(argv, environment(run, extras.env), extras.stdin, answers=self.answers, told=True)
            except (OSError, ValueError) as error:
                self._not_started(run, error)
                return
            run.stop = child.stopper(run)
            try:
                if run.verdict:
                    child.end(run)
                code = child.wait(run)
            finally:
                run.stop = None
                child.close()
        assert code is not None
        self._by_exit(run, code, child)

    def _by_exit(self, run: Run, code: int, child: Child) -> None:
        text = child.tail.decode("utf-8", "replace").strip()
        last = clean(text.rpartition("\n")[2].strip())
        error = f"{ended(code)}: {last}" if last else ended(code)
        if code == 0:
            self._judge.done(run)
        elif code == RETRY:
            self._judge.again(run, error, text)
        elif code in DEAD:
            self._judge.refused(run, error, text)
        else:
            self._judge.failed(run, error, text)

    def _not_started(self, run: Run, error: OSError | ValueError) -> None:
        """Too little memory passes; a program that is not there, or an argument that cannot be one, does not."""
        code = NEVER_BETTER.get(error.errno or 0) if isinstance(error, OSError) else 65
        text = f"the command could not be started: {one_line(error)}"
        if code is None:
            self._judge.failed(run, text)
        else:
            self._judge.refused(run, f"exit {code}: {text}")


class Extras:
    """What a run needs beside its arguments, and what must be tidied up after it."""

    def __init__(self) -> None:
        self.stdin: bytes | IO[bytes] = b""
        self.env: dict[bytes, bytes] = {}
        self.file = ""

    def __enter__(self) -> Extras:
        return self

    def __exit__(self, *_: object) -> None:
        if not isinstance(self.stdin, bytes):
            self.stdin.close()
        if self.file:
            try:
                os.unlink(self.file)
            except OSError:
                pass


def environment(run: Run, more: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Ours, and what a command may know of its job."""
    job, shift = run.lent.job, run.shift
    deadline = "" if run.deadline == NEVER else f"{shift.link.clock.now() + run.deadline - shift.boot():.3f}"
    if TOPIC in job.headers:
        more = {b"ROPEWAY_TOPIC": job.headers[TOPIC].encode(), b"ROPEWAY_MESSAGE": job.headers.get(MESSAGE, "").encode(), **more}
    return {
        **os.environb,
        b"ROPEWAY_ID": job.id.encode(),
        b"ROPEWAY_QUEUE": job.queue.encode(),
        b"ROPEWAY_ATTEMPT": str(run.lent.attempt).encode(),
        b"ROPEWAY_KEY": job.key.encode(),
        b"ROPEWAY_DEADLINE": deadline.encode(),
        b"ROPEWAY_HEADERS": msgspec.json.encode(job.headers),
        **more,
    }


def body_of(job: Job) -> bytes:
    return job.body if job.source is None else job.source.read()


def _on_stdin(argv: list[bytes]) -> Callable[[Job, Extras], list[bytes]]:
    def prepare(job: Job, extras: Extras) -> list[bytes]:
        extras.stdin = job.body if job.source is None else open(job.source.path(), "rb")
        return argv

    return prepare


def _as_argument(argv: list[bytes]) -> Callable[[Job, Extras], list[bytes]]:
    """The body in place of `{}`. Inside the script of a shell it stands as a quoted variable: as text there, a body could run commands."""
    script = next((n + 1 for n, arg in enumerate(argv) if n and arg.startswith(b"-") and arg.endswith(b"c")), 0)
    if os.path.basename(argv[0]) not in _SHELLS or script >= len(argv) or b"{}" not in argv[script]:
        script = 0

    def prepare(job: Job, extras: Extras) -> list[bytes]:
        body = body_of(job)
        out = [arg.replace(b"{}", body) for arg in argv]
        if script:
            out[script] = argv[script].replace(b"{}", b'"${' + _BODY + b'}"')
            extras.env[_BODY] = body
        return out

    return prepare


def _as_file(argv: list[bytes]) -> Callable[[Job, Extras], list[bytes]]:
    def prepare(job: Job, extras: Extras) -> list[bytes]:
        if job.source is not None:
            path = job.source.path()
        else:
            handle, path = tempfile.mkstemp(prefix="ropeway-", suffix=".body")
            extras.file = path
            with open(handle, "wb") as file:
                file.write(job.body)
        return [arg.replace(b"{}", os.fsencode(path)) for arg in argv]

    return prepare
