"""For the tests of shell jobs: a folder with a program whose runs can be held up, command lines on a store, and workers beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli.conftest import Answer, Shell
from ropeway.clock import SYSTEM

PATIENCE = 60.0
ENTRY = [sys.executable, "-m", "ropeway"]

# step NAME [CODE]: writes down when it begins and ends, and goes on for as long as there is a file hold.NAME
STEP = """#!/bin/sh
echo "begin $1" >> log
echo "$1 has begun"
while [ -e "hold.$1" ]; do sleep 0.01; done
echo "end $1" >> log
exit ${2:-0}
"""


class Yard:
    """The folder that a test works in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        (folder / "step").write_text(STEP)
        (folder / "step").chmod(0o755)

    def hold(self, *names: str) -> None:
        for name in names:
            (self.folder / f"hold.{name}").touch()

    def release(self, *names: str) -> None:
        for name in names:
            (self.folder / f"hold.{name}").unlink()

    def log(self) -> list[str]:
        """What the steps have written so far."""
        file = self.folder / "log"
        return file.read_text().splitlines() if file.exists() else []

    def sees(self, line: str) -> None:
        """Wait until it is in the log."""
        until(lambda: line in self.log(), f"{line!r} in the log")

    def let_go(self) -> None:
        """Nothing is held up any more."""
        for held in self.folder.glob("hold.*"):
            held.unlink()

    def end(self) -> None:
        """No worker that came by itself goes on."""
        for lock in (self.state / "ropeway" / "shell").glob("*.lock"):
            text = lock.read_text().strip()
            if text.isdigit():
                _end(int(text))


def _end(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        if "--attend" not in process.cmdline():
            return
        process.terminate()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    except psutil.NoSuchProcess:
        pass


def until(condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """Wait until it is true; what it answered."""
    end = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {timeout} s: {what}"
        time.sleep(0.01)
    return answer


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """A folder of its own, which is the working directory; no settings of the machine reach it."""
    folder = tmp_path / "yard"
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(folder)
    made = Yard(folder)
    for name in ("ROPEWAY_CONFIG", "ROPEWAY_QUEUE", "ROPEWAY_LOG", "ROPEWAY_URL", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(made.state))
    yield made
    made.let_go()
    made.end()


class Store:
    """Command lines on one store, in this process, and workers in others."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = url
        monkeypatch.setenv("ROPEWAY_URL", url)
        self.shell = Shell(url, SYSTEM)
        self._started: list[subprocess.Popen[bytes]] = []
        self._errors = tempfile.TemporaryFile()

    def __call__(self, *args: str, **more: Any) -> Answer:
        return self.shell(*args, **more)

    def run(self, *args: str) -> str:
        """Put a command line; its id."""
        answer = self.shell("run", "-o", "id", *args)
        assert answer.code == 0, answer
        return answer.out.strip()

    def start(self, *args: str, **more: Any) -> subprocess.Popen[bytes]:
        """Start a command of ropeway's and leave it running; the test's end kills it."""
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        env = {**os.environ, "ROPEWAY_URL": self.url, "PYTHONFAULTHANDLER": "1"}
        process = subprocess.Popen([*ENTRY, *args], env=env, **more)
        self._started.append(process)
        return process

    def worker(self, *args: str) -> subprocess.Popen[bytes]:
        """A worker that is there."""
        before = len(self.workers())
        process = self.start("work", *args, stdout=subprocess.DEVNULL, stderr=self._errors)
        until(lambda: process.poll() is not None or len(self.workers()) > before, "the worker is there")
        assert process.poll() is None
        return process

    def workers(self) -> list[dict[str, Any]]:
        return self.shell("workers").rows

    def end(self) -> None:
        stuck: list[str] = []
        for process in self._started:
            if process.poll() is None:
                process.terminate()
        for process in self._started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)  # it says where it stands
                process.wait()
                self._errors.seek(0)
                stuck.append(self._errors.read().decode(errors="replace"))
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self.shell.link.close()
        self._errors.close()
        assert not stuck, "did not end within 15 s of SIGTERM:\n" + "\n".join(stuck)


@pytest.fixture
def own(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that is the user's own: workers come by themselves."""
    made = Store(f"dir:{yard.folder}/spool?durability=os", monkeypatch)
    yield made
    yard.let_go()
    yard.end()
    made.end()


@pytest.fixture
def shared(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """One that others may write to: nothing starts by itself."""
    (yard.folder / "spool").mkdir()
    (yard.folder / "spool").chmod(0o770)
    made = Store(f"dir:{yard.folder}/spool?durability=os", monkeypatch)
    yield made
    yard.let_go()
    made.end()


def alive(pid: int) -> bool:
    """Whether that process runs."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
