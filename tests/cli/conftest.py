"""A shell for tests: one command line in this process, or as a process of its own, and what it answered."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from ropeway.cli.root import run
from ropeway.cli.session import Session
from ropeway.clock import Clock
from ropeway.link import Link
from ropeway.testing.clock import FakeClock

ENTRY = [sys.executable, "-m", "ropeway"]


class Answer(NamedTuple):
    """How one command line ended, and what it printed."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def err(self) -> str:
        return self.stderr.decode()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What was printed as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def row(self) -> dict[str, Any]:
        (row,) = self.rows
        return row


class _Bytes(io.BytesIO):
    """A stream in memory that says whether it is a terminal, and may break as a pipe does when nobody reads."""

    def __init__(self, data: bytes = b"", *, terminal: bool = False, breaks_after: int | None = None) -> None:
        super().__init__(data)
        self._terminal = terminal
        self._left = breaks_after

    def isatty(self) -> bool:
        return self._terminal

    def write(self, data: Any, /) -> int:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise BrokenPipeError
        return super().write(data)


class Shell:
    """Runs command lines on one store, in this process."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.link = Link(url, clock, name="test")
        self.store = self.link.store

    def __call__(self, *args: str, stdin: bytes = b"", terminal: bool = False, breaks_after: int | None = None) -> Answer:
        """Run one; `terminal`: a person sits there; `breaks_after`: so many writes until nobody reads any more."""
        streams = [_Bytes(stdin, terminal=terminal), _Bytes(terminal=terminal, breaks_after=breaks_after), _Bytes(terminal=terminal)]
        before = sys.stdin, sys.stdout, sys.stderr
        wrapped = [io.TextIOWrapper(stream, encoding="utf-8", write_through=True) for stream in streams]
        sys.stdin, sys.stdout, sys.stderr = wrapped
        try:
            code = run(args)
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
        answer = Answer(code, streams[1].getvalue(), streams[2].getvalue())
        for stream in wrapped:
            stream.detach()
        return answer

    def ok(self, *args: str, **more: Any) -> Answer:
        """Run one that must succeed."""
        answer = self(*args, **more)
        assert answer.code == 0, answer
        return answer

    def put(self, *args: str, **more: Any) -> str:
        """Put one job; its id."""
        return str(self.ok("put", *args, **more).row["id"])


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration, store or folder of the machine that the tests run on."""
    monkeypatch.chdir(tmp_path)
    for name in ("ROPEWAY_CONFIG", "ROPEWAY_QUEUE", "ROPEWAY_LOG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The time of all command lines in this process."""
    clock = FakeClock()
    monkeypatch.setattr(Session, "clock", clock)
    return clock


@pytest.fixture(params=["memory", "dir"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell on each embedded engine, whose time the test moves."""
    url = f"memory:{uuid4().hex}" if request.param == "memory" else f"dir:{tmp_path}/spool?durability=os&bell=off"
    monkeypatch.setenv("ROPEWAY_URL", url)
    shell = Shell(url, clock)
    yield shell
    shell.link.close()


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a directory store that processes share."""
    url = f"dir:{tmp_path}/spool?durability=os"
    monkeypatch.setenv("ROPEWAY_URL", url)
    return url


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of these tests keep their compiled code."""
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture
def environment(bytecode: Path) -> dict[str, str]:
    """The environment of a process: with compiled code kept, as it is where ropeway is installed."""
    out = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode)}
    out.pop("PYTHONDONTWRITEBYTECODE", None)
    return out


class Process:
    """Runs command lines as processes of their own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._started: list[subprocess.Popen[bytes]] = []

    def __call__(self, *args: str, stdin: bytes = b"", timeout: float = 90) -> Answer:
        done = subprocess.run(
            [*ENTRY, *args], input=stdin, capture_output=True, timeout=timeout, check=False, env={**os.environ, **self.environment}
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str, **more: Any) -> subprocess.Popen[bytes]:
        """Start one and leave it running; the test's end kills it."""
        more = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        process = subprocess.Popen([*ENTRY, *args], env={**os.environ, **self.environment}, **more)
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    try:
                        stream.close()
                    except OSError:
                        pass  # what was still to be written has no reader any more


@pytest.fixture
def process(spool: str, environment: dict[str, str]) -> Iterator[Process]:
    """Real processes on a directory store."""
    made = Process(environment)
    yield made
    made.end()
