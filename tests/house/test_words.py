"""What must not stand in a file: somebody's own paths, promises for later, secrets, and sleeping where a test wants to know."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from .tree import HOME, project_files

OURS = Path(__file__).name
SUFFIXES = (".py", ".md", ".toml", ".sh", ".sql", ".lua", ".js", ".css", ".html", ".cfg", ".yml", ".yaml", ".txt", "")

PATHS = re.compile(r"(?<![\w.])/(?:root|home/[a-z]+|work|Users/\w+|opt/wheels|opt/pypi)/[\w.]")
LATER = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
SECRET = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b")

LOOK = 0.1  # seconds: a longer pause between two looks, in a loop that polls, is sleeping
# Real processes that are signalled, stopped and killed: how long that takes is what these tests are about.
MAY_SLEEP = ("tests/crash/", "tests/worker/test_signals.py")
# Whole workers with real threads: that nothing more happens can only be waited for, for a moment.
MAY_PAUSE = ("tests/worker/test_worker.py",)


def _lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(HOME)}:{number} {line.strip()[:80]}"
        for path in project_files(*SUFFIXES)
        if path.name != OURS
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_paths_of_somebodys_machine() -> None:
    found = _lines(PATHS)
    assert not found, "\n".join(found)


def test_nothing_is_left_for_later() -> None:
    found = [line for line in _lines(LATER) if "mktemp" not in line]
    assert not found, "\n".join(found)


def test_no_secrets() -> None:
    found = _lines(SECRET)
    assert not found, "\n".join(found)


def sleeps(tree: ast.AST, *, may_pause: bool = False) -> list[int]:
    """The lines of a test file that sleep. A short pause in a `while` loop is a poll of something real, which may take its time; and a task
    may sleep, since that is its work. `may_pause`: any short pause is allowed."""
    fine = {id(node) for node in ast.walk(tree) if may_pause and _is_short(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.While):
            fine |= {id(inner) for inner in ast.walk(node) if _is_short(inner)}
        elif isinstance(node, ast.FunctionDef) and any(_is_task(mark) for mark in node.decorator_list):
            fine |= {id(inner) for inner in ast.walk(node)}
    direct = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name == "sleep"
    }
    out = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and id(node) not in fine:
            func = node.func
            of_time = (
                isinstance(func, ast.Attribute) and func.attr == "sleep" and isinstance(func.value, ast.Name) and func.value.id == "time"
            )
            if of_time or (isinstance(func, ast.Name) and func.id in direct):
                out.append(node.lineno)
    return out


def _is_task(mark: ast.expr) -> bool:
    """Whether a decorator is `tasks.task` or `broker.task(...)`."""
    mark = mark.func if isinstance(mark, ast.Call) else mark
    return isinstance(mark, ast.Attribute) and mark.attr == "task"


def _is_short(node: ast.AST) -> bool:
    """A call with one constant argument of at most LOOK."""
    if not isinstance(node, ast.Call) or len(node.args) != 1 or not isinstance(node.args[0], ast.Constant):
        return False
    seconds = node.args[0].value
    return isinstance(seconds, int | float) and seconds <= LOOK


def test_tests_do_not_sleep() -> None:
    """A test that sleeps is slow when all is well and wrong when the machine is busy: give it a fake clock, or poll with a deadline."""
    found = [
        f"{path.relative_to(HOME)}:{line}"
        for path in project_files(".py")
        if (shown := path.relative_to(HOME).as_posix()).startswith("tests/")
        and path.name.startswith("test_")
        and not shown.startswith(MAY_SLEEP)
        for line in sleeps(ast.parse(path.read_text()), may_pause=shown in MAY_PAUSE)
    ]
    assert not found, f"sleeping in tests: {found}"


def test_the_rules_see_what_they_forbid() -> None:
    assert sleeps(ast.parse("import time\ndef test_a():\n    time.sleep(1)\n")) == [3]
    assert sleeps(ast.parse("from time import sleep as nap\ndef test_a():\n    nap(1)\n")) == [3]
    assert sleeps(ast.parse("import time\nwhile not done():\n    time.sleep(1)\n")) == [3]
    assert sleeps(ast.parse("import time\nwhile not done():\n    time.sleep(0.01)\n")) == []
    assert sleeps(ast.parse("import time\n@tasks.task\ndef work():\n    time.sleep(1)\n")) == []
    assert sleeps(ast.parse("import time\ntime.sleep(1)\ntime.sleep(0.01)"), may_pause=True) == [2]
    assert PATHS.search("see /work/" + "x") and not PATHS.search("examples/work/x")
    assert LATER.search("# TO" + "DO: later")
