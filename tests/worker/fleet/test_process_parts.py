"""The small parts: the title, the watch over source files, the stacks of tasks, the lifeline, the memory."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

from ropeway.errors import ConfigError, Conflict
from ropeway.sight.views import stacks_text
from ropeway.worker.fleet import meter
from ropeway.worker.fleet.daemon import PidFile
from ropeway.worker.fleet.lifeline import ALIVE, READY, Lifeline
from ropeway.worker.fleet.watching import Watching, times

from ..conftest import until

NATIVE = pytest.param(True, marks=pytest.mark.skipif(find_spec("watchfiles") is None, reason="watchfiles is not installed"))


@pytest.mark.parametrize("native", [False, NATIVE])
def test_a_change_is_told_once_it_is_over_and_what_is_no_source_is_not(tmp_path: Path, native: bool) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.py").write_text("1")
    told: list[list[str]] = []
    watching = Watching(str(tmp_path), told.append, native=native)
    watching.start()
    number = 0

    def poke() -> bool:
        nonlocal number
        number += 1
        (tmp_path / "notes.txt").write_text(str(number))
        (tmp_path / "__pycache__" / "a.py").write_text(str(number))
        if number % 200 == 1:  # it may not have begun to watch when the first one comes
            (tmp_path / "sub" / "b.py").write_text(str(number))
        return bool(told)

    try:
        until(poke)
        assert {os.path.realpath(path) for paths in told for path in paths} == {os.path.realpath(tmp_path / "sub" / "b.py")}
    finally:
        watching.close()
    assert not watching._thread.is_alive()


def test_hidden_folders_and_those_of_others_are_not_looked_at(tmp_path: Path) -> None:
    for folder in (".venv", "site-packages", "node_modules", "shop"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.py").touch()
    assert list(times(str(tmp_path))) == [str(tmp_path / "shop" / "x.py")]


@pytest.mark.parametrize("without", [True, False])
def test_the_title_is_seen_by_others(without: bool) -> None:
    code = (
        f"import sys\nif {without}: sys.modules['setproctitle'] = None\n"
        "import threading\nfrom ropeway.worker.fleet import title\n"
        "thread = threading.Thread(target=title.show, args=('ropeway: mails \\x1bbusy',)); thread.start(); thread.join()\n"
        "print(open('/proc/self/comm').read().strip(), flush=True)\nprint(open('/proc/self/cmdline').read().split('\\0')[0])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    if without:
        assert said[0] == "ropeway: mails "[:15].strip()
    elif find_spec("setproctitle"):
        assert said[1] == "ropeway: mails ?busy"


LIMIT = 400_000


def test_the_stacks_of_tasks_in_a_loop_of_another_thread() -> None:
    loop = asyncio.new_event_loop()
    begun = threading.Event()

    async def the_long_wait() -> None:
        begun.set()
        await asyncio.sleep(600)

    async def main() -> None:
        task = asyncio.create_task(the_long_wait(), name="0199b3c0")
        try:
            await task
        except asyncio.CancelledError:
            pass

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), name="the-loop")
    thread.start()
    begun.wait(30)
    try:
        text = stacks_text(LIMIT)
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop) if task.get_name() == "0199b3c0"])
        thread.join(30)
        loop.close()
    assert "task 0199b3c0, test_the_stacks_of_tasks_in_a_loop_of_another_thread.<locals>.the_long_wait" in text
    assert "await asyncio.sleep(600)" in text
    assert "thread the-loop" in text
    assert len(text) < LIMIT + 100


def test_the_lifeline_speaks_and_hears_the_end() -> None:
    ours, theirs = socket.socketpair()
    orphaned = threading.Event()
    line = Lifeline(theirs.detach(), orphaned.set)
    line.start()
    ours.settimeout(30)
    assert ours.recv(1) == READY
    assert ours.recv(1) == ALIVE
    assert not orphaned.is_set()
    ours.close()
    assert orphaned.wait(30)


def test_a_descriptor_that_is_no_lifeline_is_refused() -> None:
    with pytest.raises(ConfigError, match="leads to no supervisor"):
        Lifeline(987, lambda: None)


def test_memory_is_seen_to_grow() -> None:
    before = meter.memory()
    food = b"x" * (64 << 20)
    assert meter.memory() - before > 32 << 20
    assert len(food) == 64 << 20


def test_a_pid_file_is_taken_once_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with PidFile(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"
        with pytest.raises(Conflict, match=f"process {os.getpid()} runs"), PidFile(str(path)):
            pass
        assert path.exists()
    assert not path.exists()
    with pytest.raises(ConfigError, match="cannot be opened"), PidFile(str(tmp_path / "nowhere" / "pid")):
        pass
    path.symlink_to(tmp_path / "else")
    with pytest.raises(ConfigError, match="cannot be opened"), PidFile(str(path)):
        pass
    assert not (tmp_path / "else").exists()
