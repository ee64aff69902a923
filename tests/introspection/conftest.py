"""A real program with a page, written by the test, and one way to ask it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0

START = """
import os, sys, time, threading, ropeway
page = ropeway.introspect({arguments})
with open("url.new", "w") as file:
    file.write(page.url + "\\n" + page.address)
os.rename("url.new", "url")
def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.005)
"""


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until it is true; what it answered."""
    end = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what or condition}"
        time.sleep(0.01)
    return answer


class Answer:
    """What the page answered."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Program:
    """A process in a folder of its own, whose output goes into files."""

    def __init__(self, folder: Path, text: str, arguments: str = "", **more: Any) -> None:
        self.folder = folder
        script = folder / "program.py"
        script.write_text(START.format(arguments=arguments) + text)
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            given: dict[str, Any] = {"stdout": out, "stderr": err, "stdin": subprocess.DEVNULL, **more}
            environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), **given.pop("env", {})}
            self.process = subprocess.Popen([sys.executable, str(script)], cwd=folder, env=environment, **given)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        """With the token in it."""
        return self._told()[0]

    @property
    def address(self) -> str:
        return self._told()[1]

    def _told(self) -> list[str]:
        path = self.folder / "url"
        until(lambda: path.exists() or self.process.poll() is not None, "the page is open")
        assert path.exists(), self.err()
        return path.read_text().split("\n")

    def ask(self, path: str, *, base: str | None = None, timeout: float = PATIENCE, method: str = "GET", **headers: str) -> Answer:
        """One request."""
        url = (self.url if base is None else base) + path
        host, _, rest = url.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=timeout)
        try:
            connection.request(method, f"/{rest}", headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def view(self, what: str, timeout: float = PATIENCE) -> Any:
        answer = self.ask(f"/{what}.json", timeout=timeout)
        assert answer.status == 200, answer.body
        return answer.json

    def go_on(self, name: str = "go") -> None:
        """What the program waits for."""
        (self.folder / name).touch()

    def end(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self.process.wait(PATIENCE)

    def out(self) -> bytes:
        return (self.folder / "out").read_bytes()

    def err(self) -> str:
        return (self.folder / "err").read_text()

    def helpers(self) -> list[int]:
        """The processes that pass its output on."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if b"sight/tail.py" in (entry / "cmdline").read_bytes() and str(self.folder).encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found


Run = Callable[..., Program]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start a program; it is killed at the end of the test, and so is what passes its output on."""
    begun: list[Program] = []

    def start(text: str, arguments: str = "", **more: Any) -> Program:
        folder = tmp_path / f"program-{len(begun)}"
        folder.mkdir()
        begun.append(Program(folder, text, arguments, **more))
        return begun[-1]

    yield start
    for program in begun:
        if program.process.poll() is None:
            program.process.kill()
        program.process.wait()
    for program in begun:
        for pid in program.helpers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        until(lambda program=program: not program.helpers(), "nothing is left behind")
