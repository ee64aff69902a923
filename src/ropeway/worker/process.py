"""A child process in a session of its own: fed, listened to, timed and ended from the thread that runs its job."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Protocol

from ..sight.here import here
from .run import NEVER, Run, Verdict

TAIL = 4096  # bytes of the end of its stderr that are kept for the history
TO_END = 1.0  # seconds from SIGTERM to SIGKILL, for a run that is ended from beside
LONGEST_LINE = 16 << 20  # bytes of an answer
_LOOK = 0.5  # seconds between two looks for a verdict
_CHUNK = 65536


class Sink(Protocol):
    """Takes all that a command prints: by its descriptor, or where that is -1, by `write`. `tick` is called at least twice a second."""

    fd: int

    def write(self, data: bytes) -> None: ...
    def tick(self) -> None: ...


class Child:
    """A process started for `argv`. Its group is its own, so that ending it ends what it started too. `stdin`: bytes to feed it, or a file.

    `answers`: its stdout is a pipe to read from, its stderr is ours; with `told` that passes through here too. `sink`: both go there, or
    with `errors` the stderr there. Else its stdout is ours, and its stderr passes through here. Raises OSError when it cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[bytes],
        env: Mapping[bytes, bytes],
        stdin: bytes | IO[bytes] = b"",
        *,
        answers: bool = False,
        told: bool = False,
        sink: Sink | None = None,
        errors: Sink | None = None,
        cwd: bytes | None = None,
        umask: int = -1,
    ) -> None:
        stdout: int | None = subprocess.PIPE if answers else None
        stderr: int | None = None if answers and not told else subprocess.PIPE
        if sink is not None:
            stdout, stderr = (sink.fd, sink.fd) if sink.fd >= 0 else (subprocess.PIPE, subprocess.STDOUT)
        if errors is not None:
            stderr = errors.fd if errors.fd >= 0 else subprocess.PIPE
        self._sink, self._errors = sink, errors
        self._process = subprocess.Popen(  # noqa: S603 - the operator's own command; a job gives no more than an argument or a file
            argv,
            env=env,
            stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            bufsize=0,
            cwd=cwd,
            umask=umask,
        )
        self._reaping = threading.Lock()  # a pid is signalled or reaped, never one while the other
        self._kill_at = NEVER
        self._exit = _exit_fd(self._process.pid)
        self.left = memoryview(stdin) if isinstance(stdin, bytes) else memoryview(b"")  # of what is to be fed
        self.tail = b""
        self.heard = bytearray()  # from stdout, for `answers`
        self._said = 0  # bytes that went into the sinks
        self._stdin, self._stderr, self._stdout = (
            -1 if pipe is None else pipe.fileno() for pipe in (self._process.stdin, self._process.stderr, self._process.stdout)
        )
        for fd in (self._stdin, self._stderr, self._stdout):
            if fd >= 0:
                os.set_blocking(fd, False)

    @property
    def pid(self) -> int:
        """Its pid, and that of its group."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, minus the signal that killed it; None while it runs."""
        with self._reaping:
            return self._process.poll()

    def signal(self, number: int) -> None:
        """Send this signal to its whole group, if it has not ended."""
        with self._reaping:
            if self._process.poll() is None:
                try:
                    os.killpg(self._process.pid, number)
                except ProcessLookupError:
                    pass

    def end(self, run: Run) -> None:
        """End it from beside: SIGTERM now, SIGKILL a second later."""
        self._kill_at = min(self._kill_at, run.shift.boot() + TO_END)
        self.signal(signal.SIGTERM)

    def stopper(self, run: Run) -> Callable[[], None]:
        """`end`, as a run's `stop`."""
        return lambda: self.end(run)

    def listen(self) -> None:
        """Hear what has been said so far."""
        self._poll(0.0, close_stdin=False)

    def wait(self, run: Run, *, until_line: bool = False, close_stdin: bool = True) -> int | None:
        """Feed and listen until it has ended: its exit code; or, with `until_line`, until a whole line is in `heard`, or too much: None.

        At the run's deadline the whole group is killed, and the run has its verdict.
        """
        boot = run.shift.boot
        while True:
            if until_line and (b"\n" in self.heard or len(self.heard) > LONGEST_LINE):
                return None
            now = boot()
            if now >= run.deadline and not run.verdict:
                run.verdict = Verdict.TIMEOUT
                self._kill_at = now
            if now >= self._kill_at:
                self.signal(signal.SIGKILL)
            code = self.code
            if code is not None:
                self._hear_the_rest()
                return code
            for sink in (self._sink, self._errors):
                if sink is not None:
                    sink.tick()
            self._poll(min(_LOOK, max(0.0, min(run.deadline if not run.verdict else NEVER, self._kill_at) - now)), close_stdin=close_stdin)

    def close(self) -> None:
        """Let go of it; kill it if it still runs."""
        if self.code is None:
            self.signal(signal.SIGKILL)
            with self._reaping:
                self._process.wait()
        for pipe in (self._process.stdin, self._process.stderr, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self._exit >= 0:
            os.close(self._exit)
            self._exit = -1

    def close_stdin(self) -> None:
        """No more is to come."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._stdin = -1

    def feed(self, data: bytes) -> None:
        """To be written to its stdin by the next `wait`."""
        self.left = memoryview(data)

    # One look at all its ends

    def _poll(self, seconds: float, *, close_stdin: bool) -> None:
        poll = select.poll()
        if self._stdin >= 0:
            if self.left:
                poll.register(self._stdin, select.POLLOUT)
            elif close_stdin:
                self.close_stdin()
        for fd in (self._stderr, self._stdout, self._exit):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        if self._exit < 0:
            seconds = min(seconds, 0.05)
        for fd, _ in poll.poll(seconds * 1000):
            if fd == self._stdin:
                self._write()
            elif fd == self._stderr:
                self._stderr = self._pass_on(fd)
            elif fd == self._stdout:
                self._stdout = self._hear(fd)

    def _write(self) -> None:
        try:
            self.left = self.left[os.write(self._stdin, self.left[:_CHUNK]) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # it does not want to read all: its exit decides
            self.left = self.left if self._stdout >= 0 else memoryview(b"")
            self.close_stdin()

    def _pass_on(self, fd: int) -> int:
        data = _read(fd)
        if data and self._errors is not None:
            self._said += len(data)
            self._errors.write(data)
        elif data:
            self.tail = (self.tail + data)[-TAIL:]
            if (printed := here().printed) is not None:
                printed.passed(2, data)
            try:
                os.write(2, data)
            except OSError:
                pass  # ours is closed or full: the job goes on
        return fd if data != b"" else -1

    def _hear(self, fd: int) -> int:
        data = _read(fd)
        if data and self._sink is not None:
            self._said += len(data)
            self._sink.write(data)
        elif data and len(self.heard) <= LONGEST_LINE:
            self.heard += data
        return fd if data != b"" else -1

    def _hear_the_rest(self) -> None:
        """What was written before the end. Not until the pipe is closed: a grandchild may hold it for ever."""
        for _ in range(64):
            before = len(self.heard), self._said, self.tail
            if self._stderr >= 0:
                self._stderr = self._pass_on(self._stderr)
            if self._stdout >= 0:
                self._stdout = self._hear(self._stdout)
            if before == (len(self.heard), self._said, self.tail):
                return


def _read(fd: int) -> bytes | None:
    """What there is: nothing at the end, None when nothing is there yet."""
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _exit_fd(pid: int) -> int:
    """A descriptor that is readable once the process has ended, where the system has such; -1: look often instead."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"killed by signal {-code}"
