"""Every command of the README is run on a terminal, in order, and prints what the README shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

import pytest

from .blocks import Block, agrees, blocks
from .tree import HOME

PAGE = (HOME / "README.md").read_text()

# Blocks without a language are not run here; each of their lines must be one of these, or part of a picture.
ELSEWHERE = {
    "pip install .": "the package index",
    "./dev try [DIR]": "tests/house/test_try.py",
    "./dev test": "that is what is running now",
}


def run(block: Block, folder: Path) -> str:
    """Run a block in the folder as the reader would, on a terminal; what stands there afterwards. Fails on an exit other than 0."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ROPEWAY_", "XDG_")) or k.startswith("ROPEWAY_TEST")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment |= {"PATH": path, "HOME": str(home), "ROPEWAY_URL": "dir:spool", "TERM": "dumb", "COLUMNS": "120", "LINES": "40"}
    ours, theirs = os.openpty()
    command = ["sh", "-e", "-c", block.text]
    shell = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        with open(ours, "rb", buffering=0) as terminal:
            printed = b"".join(_until_all_have_left(terminal)).decode().replace("\r\n", "\n")
        code = shell.wait(60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    assert code == 0, f"README line {block.line} exits with {code}:\n{block.text}\n{printed}"
    return printed


def _until_all_have_left(terminal: FileIO) -> Iterator[bytes]:
    """What is written to the terminal, until nobody holds its other end any more."""
    try:
        while chunk := terminal.read(65536):
            yield chunk
    except OSError:  # so Linux says that the other end is closed
        return


def test_the_first_five_minutes(tmp_path: Path) -> None:
    ran, last = 0, None
    for block in blocks(PAGE):
        if block.kind == "python":
            name = re.match(r"# (\w+\.py)\n", block.text)
            assert name, f"README line {block.line}: say which file it is"
            (tmp_path / name[1]).write_text(block.text)
        elif block.kind == "sh":
            last = run(block, tmp_path)
            ran += 1
        elif block.kind == "text":
            assert last is not None, f"README line {block.line}: shown before anything was run"
            assert agrees(block.text, last), f"README line {block.line} shows\n{block.text}\nbut it prints\n{last}"
            last = None
    assert ran >= 4


def test_what_is_not_run_here_is_run_elsewhere() -> None:
    for block in blocks(PAGE):
        if block.kind in {"sh", "python", "text"}:
            continue
        for line in block.text.splitlines():
            assert line in ELSEWHERE or not re.match(r"[a-z./$]", line), f"README line {block.line}: nobody runs {line!r}"


def test_the_task_has_eight_lines() -> None:
    task = next(block for block in blocks(PAGE) if block.kind == "python")
    lines = [line for line in task.text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 8


def test_the_page_says_the_url_that_it_uses() -> None:
    assert "export ROPEWAY_URL=dir:spool" in next(block for block in blocks(PAGE) if block.kind == "sh").text


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [("a\nb", "a \nb\n", True), ("a...z", "abcz", True), ("a\n...\nz", "a\nx\ny\nz", True), ("a", "ab", False), ("a...z", "zza", False)],
)
def test_the_comparison(shown: str, real: str, same: bool) -> None:
    assert agrees(shown, real) is same
