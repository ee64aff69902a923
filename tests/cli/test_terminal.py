"""On a real terminal, by a pseudo-terminal: tables, prompts, and nothing that could steer it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ropeway.job import Job
from ropeway.link import Link
from ropeway.store import Query

from .conftest import ENTRY

AT_THE_IMPORT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == {!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""
HOSTILE = "red\x1b[31m\x1b]0;title\x07\x9b2J\u202egnp\rover"


class Terminal:
    """A process whose three streams are a terminal."""

    def __init__(self, *args: str, environment: dict[str, str], entry: Sequence[str] = ENTRY) -> None:
        ours, theirs = pty.openpty()
        self._fd = ours
        self.shown = b""
        self.process = subprocess.Popen(
            [*entry, *args], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True, close_fds=True
        )
        os.close(theirs)

    def read_until(self, text: bytes) -> None:
        deadline = time.monotonic() + 60
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if not self._read():
                break
        assert text in self.shown

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.shown += data
        return bool(data)

    def type(self, text: bytes) -> None:
        os.write(self._fd, text)

    def end(self) -> int:
        deadline = time.monotonic() + 60
        while self._read() and time.monotonic() < deadline:
            pass
        return self.process.wait(60)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._fd)


@pytest.fixture
def link(spool: str, environment: dict[str, str]) -> Link:
    environment["ROPEWAY_URL"] = spool
    environment["TERM"] = "xterm"
    environment.pop("COLUMNS", None)
    return Link(spool, name="test")


def seen(environment: dict[str, str], *args: str) -> str:
    """What a person sees of a command line that succeeds."""
    with Terminal(*args, environment=environment) as terminal:
        assert terminal.end() == 0, terminal.shown
    return terminal.shown.decode().replace("\r\n", "\n")


def test_tables_and_nothing_hostile(link: Link, environment: dict[str, str]) -> None:
    link.store.put([Job(link.new_id(), "q", HOSTILE.encode(), key=HOSTILE, headers={"x": "\x1b[2J"})])
    link.store.pause(["q"], claim=True, reason=HOSTILE)
    (entry,) = link.store.browse(Query())
    for args in (["ls"], ["jobs"], ["show", entry.job.id], ["peek", "q"], ["peek", "q", "--raw"], ["jobs", "-o", "jsonl"], ["export"]):
        text = seen(environment, *args)
        assert not [c for c in text if c != "\n" and not c.isprintable()], args
        assert "red" in text, args
    assert "QUEUE  READY" in seen(environment, "ls")
    link.close()


def test_a_terminal_that_says_nothing_of_its_width(link: Link, environment: dict[str, str]) -> None:
    link.store.put([Job(link.new_id(), "q", b"x" * 500)])
    assert all(len(line) <= 80 for line in seen(environment, "jobs").splitlines())
    link.close()


def test_empty_states_and_ids(link: Link, environment: dict[str, str]) -> None:
    assert "no queues yet; try: ropeway put mails 'hello'" in seen(environment, "ls")
    job_id = seen(environment, "put", "q", "a").strip()
    assert [entry.job.id for entry in link.store.browse(Query())] == [job_id]
    link.close()


def test_purge_asks_for_the_name(link: Link, environment: dict[str, str]) -> None:
    link.store.put([Job(link.new_id(), "q"), Job(link.new_id(), "q")])
    for typed, code, left in ((b"no\r", 1, 2), (b"q\r", 0, 0)):
        with Terminal("purge", "q", environment=environment) as terminal:
            terminal.read_until(b"Type the name of the queue")
            terminal.type(typed)
            assert terminal.end() == code
        assert len(link.store.browse(Query())) == left
    link.close()


def test_interrupted_while_it_asks(link: Link, environment: dict[str, str], tmp_path: Path) -> None:
    link.store.put([Job(link.new_id(), "q")])
    with Terminal("purge", "q", environment=environment) as terminal:
        terminal.read_until(b"Type the name of the queue")
        terminal.process.send_signal(2)
        assert terminal.end() == 130
    assert b"Traceback" not in terminal.shown
    assert len(link.store.browse(Query())) == 1
    link.close()


IN_THE_GAP = """
import os, signal, threading, time
from ropeway.cli.session import Session

session = Session()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # here: the other thread gets it, and no call of ours is broken off
try:
    session.ask("well?")
except KeyboardInterrupt:
    os._exit(42)
"""


def test_an_interrupt_that_breaks_off_no_call_ends_the_question(environment: dict[str, str]) -> None:
    """One that came after Python had last looked, and before the read had begun, was heard when the read was over: never."""
    with Terminal("-c", IN_THE_GAP, environment=environment, entry=[sys.executable]) as terminal:
        terminal.read_until(b"well?")
        terminal.process.send_signal(2)
        assert terminal.end() == 42, terminal.shown


@pytest.mark.parametrize("module", ["click", "ropeway.cli.root", "ropeway.cli.switches", "ropeway.stores.directory"])
def test_interrupted_while_it_starts(link: Link, environment: dict[str, str], tmp_path: Path, module: str) -> None:
    link.store.put([Job(link.new_id(), "q")])
    (tmp_path / "sitecustomize.py").write_text(AT_THE_IMPORT.format(module))
    environment["PYTHONPATH"] = f"{tmp_path}:{environment.get('PYTHONPATH', '')}".rstrip(":")
    with Terminal("purge", "q", "-y", environment=environment) as terminal:
        assert terminal.end() in (130, -2), terminal.shown  # a shell says 130 to both
    assert b"Traceback" not in terminal.shown
    assert len(link.store.browse(Query())) == 1
    link.close()
